"""What the quickstart needs to run anywhere: procedural seeds with exact solvers, and a tiny model."""
