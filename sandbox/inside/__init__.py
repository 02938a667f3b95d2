"""The code that runs inside a sandbox. Standard library only."""
