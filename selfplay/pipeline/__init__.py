"""A run from its first stage to its last: the main loop, the rounds, and what starts and ends them."""
