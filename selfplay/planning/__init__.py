"""What a recipe needs, before it runs: memory, disk, tokens and hours, from the models' configurations alone."""
