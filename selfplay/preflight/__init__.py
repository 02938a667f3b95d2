"""What is checked before anything expensive starts."""
