"""Checks before anything expensive starts."""
