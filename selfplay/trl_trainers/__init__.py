"""TRL's trainers, taken whole, run inside worker processes."""
