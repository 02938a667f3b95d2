"""Prompts from concepts: formats, cold start, EM, and sampling at volume."""
