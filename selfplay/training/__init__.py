"""Self-play rounds: what the policy learns from, and by which rule."""
