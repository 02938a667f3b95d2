"""What runs inside a sandbox. Standard library only."""
