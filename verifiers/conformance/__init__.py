"""The kit that tries a verifier: `selfplay verifiers test`."""
