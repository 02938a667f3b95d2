"""The names of a recipe's stages, in the order of `selfplay.pipeline.main_loop`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfplay.config.models import ScratchModel
from selfplay.config.recipe import Recipe
from selfplay.run.directory import RunDirectory
from selfplay.run.files import read_json


def planned_stages(recipe: Recipe) -> list[str]:
    """The names of a recipe's stages, in order; EM and the rounds may end before their last one."""
    names = [*synthesis_stages(recipe)]
    if synthesises(recipe) and recipe.training.needs_labels:
        names.append("labelling")
    if scratch_teacher(recipe) is not None:
        names.append("teacher")
    names += ["evaluation_0", *(["selection_0"] if recipe.training.selection else [])]
    for number in range(1, recipe.training.rounds + 1):
        names += round_stages(recipe, number)
    return names


def synthesis_stages(recipe: Recipe) -> list[str]:
    """The stages that come before self-play: from seed problems to curated prompts."""
    if not synthesises(recipe):
        return ["seeds", "base"]
    annotation = ["annotation"] if recipe.cold_start.annotators else []
    rounds = [f"em_{number}" for number in range(1, recipe.em.rounds + 1)]
    return ["seeds", *annotation, "base", "cold_start", *rounds, "synthesis", "curation"]


def round_stages(recipe: Recipe, number: int) -> list[str]:
    """The stages of round `number`, from 1."""
    selection = [f"selection_{number}"] if recipe.training.selection else []
    return [*renewing_stages(recipe, number), f"selfplay_{number}", f"evaluation_{number}", *selection]


def renewing_stages(recipe: Recipe, number: int) -> list[str]:
    """The stages by which round `number` comes to prompts or labels that the round before did not have."""
    each = recipe.training.pool.each_round
    if number == 1 or not synthesises(recipe):
        return []
    labelling = [f"labelling_{number}"] if recipe.training.needs_labels else []
    if each == "reuse":
        again = labelling and recipe.labelling.relabelling is not None
        return [f"relabelling_{number}"] if again else []
    if each == "relabel":
        return labelling
    feedback = [f"feedback_{number}"] if recipe.synthesis.feedback else []
    return [*feedback, f"synthesis_{number}", f"curation_{number}", *labelling]


def synthesises(recipe: Recipe) -> bool:
    """Whether the run makes prompts of its own."""
    return recipe.training.pool.arm != "external" and recipe.training.needs_prompts


def scratch_teacher(recipe: Recipe) -> ScratchModel | None:
    """The teacher that the run trains first, if it does."""
    training = recipe.training
    teacher = training.sft.teacher if training.algorithm == "sft" else None
    return teacher.engine if teacher is not None and isinstance(teacher.engine, ScratchModel) else None


def expected_stages(run_path: Path, recipe: Recipe) -> list[str]:
    """The planned stages less those that a run has passed over, since a selection of its ended it."""
    names = planned_stages(recipe)
    for place, name in enumerate(names):
        manifest = run_path / "stages" / name / "manifest.json"
        if name.startswith("selection_") and manifest.exists() and read_json(manifest)["counts"].get("stopped"):
            return names[: place + 1]
    return names


def is_finished(run: RunDirectory) -> bool:
    """Whether nothing is left to do."""
    return run.stage(expected_stages(run.path, run.recipe)[-1]).done


def rounds_made(stages: Sequence[str]) -> list[int]:
    """The rounds of self-play among the names of stages that are done."""
    return sorted(int(name.removeprefix("selfplay_")) for name in stages if name.startswith("selfplay_"))
