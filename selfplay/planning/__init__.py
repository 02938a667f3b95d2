"""The needs of a recipe, before it runs: memory, disk, tokens and hours, from the models' configurations alone."""
