"""The names of a recipe's stages, in the order of `selfplay.pipeline`."""

from __future__ import annotations

from selfplay.config import Recipe


def planned_stages(recipe: Recipe) -> list[str]:
    """The names of a recipe's stages, in order; EM may end before its last round."""
    names = [*synthesis_stages(recipe), "labelling", "evaluation_0"]
    for number in range(1, recipe.training.rounds + 1):
        names += [f"selfplay_{number}", f"evaluation_{number}"]
    return names


def synthesis_stages(recipe: Recipe) -> list[str]:
    """The stages that come before self-play: from seed problems to curated prompts."""
    annotation = ["annotation"] if recipe.cold_start.annotators else []
    rounds = [f"em_{number}" for number in range(1, recipe.em.rounds + 1)]
    return ["seeds", *annotation, "base", "cold_start", *rounds, "synthesis", "curation"]
