"""The names of a recipe's stages, in the order of `selfplay.pipeline`."""

from __future__ import annotations

from selfplay.config import Recipe


def planned_stages(recipe: Recipe) -> list[str]:
    """The names of a recipe's stages, in order; EM may end before its last round."""
    names = ["seeds", "base", "cold_start", *(f"em_{number}" for number in range(1, recipe.em.rounds + 1))]
    names += ["synthesis", "curation", "labelling", "evaluation_0"]
    for number in range(1, recipe.training.rounds + 1):
        names += [f"selfplay_{number}", f"evaluation_{number}"]
    return names
