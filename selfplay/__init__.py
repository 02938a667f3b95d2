"""A language model that makes its own problems, solves them, checks the answers and learns from the verdicts."""

__version__ = "0.1.0"
