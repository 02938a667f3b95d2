"""The side of the caller: a sandbox that stays up between programs."""
