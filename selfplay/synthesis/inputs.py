"""What the two models read for a seed's pair (c, x)."""

from __future__ import annotations

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.run.records import Seed


def for_prompt_model(recipe: Recipe, seed: Seed) -> str:
    """c, which p(z, x | c) reads."""
    return formats.prompt_input(recipe.domains[seed.domain], seed.concepts, seed.level)


def for_rationale_model(recipe: Recipe, seed: Seed) -> str:
    """c and x, which q(z | c, x) reads."""
    return formats.rationale_input(recipe.domains[seed.domain], seed.concepts, seed.level, seed.problem)
