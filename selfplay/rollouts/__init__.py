"""Completions and their verdicts: judging them, as rewards too, and the logs of them."""
