"""The quickstart's own parts: procedural seeds with exact solvers, and a tiny model."""
