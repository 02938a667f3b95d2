"""Stages: how one is described, what it may read, and what it works with."""
