"""The problems that a run starts from."""
