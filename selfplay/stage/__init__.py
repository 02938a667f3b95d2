"""What a stage is, which ones a recipe has, and what they work with."""
