"""Concepts: the bank, the sampler of combinations, and what is known of their use."""
