"""The stages of a recipe in their order, by kind and round; `pipeline.stages` says what each does.

They stand apart from their work, so that a plan of memory and hours loads no library for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from selfplay.config.recipe import Recipe
from selfplay.run.plan import Kind, PlannedStage


def stages_of(recipe: Recipe) -> list[PlannedStage]:
    """All of them, in order."""
    return [PlannedStage(kind, number) for kind, number in _kinds(recipe)]


def _kinds(recipe: Recipe) -> Iterator[tuple[Kind, int]]:
    training = recipe.training
    yield Kind.SEEDS, 0
    if recipe.is_annotated:
        yield Kind.ANNOTATION, 0
    yield Kind.BASE, 0
    if recipe.synthesises:
        yield Kind.COLD_START, 0
        yield from ((Kind.EM, number) for number in range(1, recipe.em.rounds + 1))
        yield from _prompts(recipe, 1)
    if training.scratch_teacher is not None:
        yield Kind.TEACHER, 0
    yield from _measured(recipe, 0)
    for number in range(1, training.rounds + 1):
        if number > 1 and recipe.synthesises:
            yield from _renewed(recipe, number)
        yield Kind.SELFPLAY, number
        yield from _measured(recipe, number)


def _prompts(recipe: Recipe, number: int) -> Iterator[tuple[Kind, int]]:
    yield Kind.SYNTHESIS, number
    yield Kind.CURATION, number
    if recipe.training.needs_labels:
        yield Kind.LABELLING, number


def _renewed(recipe: Recipe, number: int) -> Iterator[tuple[Kind, int]]:
    each, labels = recipe.training.pool.each_round, recipe.training.needs_labels
    if each == "resynthesise":
        if recipe.synthesis.feedback is not None:
            yield Kind.FEEDBACK, number
        yield from _prompts(recipe, number)
    elif each == "relabel" and labels:
        yield Kind.LABELLING, number
    elif each == "reuse" and labels and recipe.labelling.relabelling is not None:
        yield Kind.RELABELLING, number


def _measured(recipe: Recipe, number: int) -> Iterator[tuple[Kind, int]]:
    yield Kind.EVALUATION, number
    if recipe.training.selection is not None:
        yield Kind.SELECTION, number
