"""Arms of EM, compared over several seeds: the paper's convergence experiment, and the alternatives to its reward.

Every arm of every seed is an ordinary run directory below the output folder, `seed-S/ARM`; what the arms of a seed have
in common is made once and taken over. A comparison that was cut off goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.load import deciding, load_recipe
from selfplay.config.recipe import Recipe
from selfplay.run.files import read_json, write_json

DONE_FILE = "ablation-arm.json"
LENGTH_FLOOR = 8
"""Tokens, markers counted: above the gists and outlines of the quickstart's annotators, below their full plans."""

Start = Callable[[Recipe, Path, Path | None, str | None], object]
"""Runs a recipe in a folder, with stages taken over from another run, until a stage is done or, without one, whole."""
Say = Callable[[str], None]


class ArmError(UserError):
    """An arm that cannot be compared; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of running EM."""

    name: str
    overrides: tuple[str, ...]
    """Settings of the recipe that make it what it is."""
    label: str
    """What it is, in a few words for a plot."""


CONVERGENCE = (
    Arm("e_step", (), "E-step"),
    Arm("frozen", ("em.e_step=frozen",), "E-step frozen"),
    Arm("with_z", ("em.e_step=annotated",), "cold start with z"),
    Arm("without_z", ("em.rationales=false",), "cold start without z"),
)
"""The four arms of the paper, in the order that it expects, best first. All give p the same number of updates."""

REWARDS = (
    Arm("e_step", (), "sum (paper)"),
    Arm("mean", ("em.reward=mean",), "mean a token"),
    Arm("half_weight", ("em.rationale_weight=0.5",), "half weight on log p(z|c)"),
    Arm("information_gain", ("em.reward=information_gain", "em.min_reward=0"), "information gain above 0"),
    Arm("length_floor", (f"em.min_rationale_tokens={LENGTH_FLOOR}",), f"sum, at least {LENGTH_FLOOR} tokens"),
    Arm("soft", ("em.assignment=soft", "em.m_step_rationales=sampled"), "soft EM"),
    Arm("frozen", ("em.e_step=frozen",), "E-step frozen"),
)
"""The alternatives to the summed reward, with the frozen E-step as what choosing at all must beat.

Two arms have the names and settings of the convergence experiment, so that both can share an output folder. No weight
on log p(z|c) is no arm of its own: log p(x|z,c) and the information gain differ by a number that is the same for all
candidates of a pair, and so choose the same one.
"""


def arm_of(text: str) -> Arm:
    """An arm from the command line, `NAME:a.b=value,c.d=value`.

    Raises:
        ArmError: it has no name.
    """
    name, colon, settings = text.partition(":")
    if not colon or not name.replace("_", "").replace("-", "").isalnum():
        raise ArmError(f"--arm {text!r}: is not written NAME:a.b=value,c.d=value")
    return Arm(name, tuple(part for part in settings.split(",") if part), name.replace("_", " "))


def seeds_of(text: str) -> list[int]:
    """Seeds from the command line, `0,1,2`.

    Raises:
        ArmError: they are not distinct whole numbers.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ArmError(f"--seeds {text!r}: is not a list of numbers such as 0,1,2") from error
    if len(set(seeds)) < len(seeds):
        raise ArmError(f"--seeds {text!r}: names a seed twice")
    return seeds


def arm_recipe(recipe: Path, overrides: Sequence[str], arm: Arm, seed: int) -> Recipe:
    """The recipe of one arm and seed.

    Raises:
        RecipeError: it, or an override, cannot be used.
    """
    loaded = load_recipe(recipe, [*overrides, *arm.overrides, f"seed={seed}"])
    return loaded.model_copy(update={"name": f"{loaded.name[:30]}-{arm.name[:20]}-{seed}"})


def run_arms(
    recipe: Path,
    overrides: Sequence[str],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    out: Path,
    downstream: bool,
    start: Start,
    say: Say,
) -> None:
    """Runs what is not done yet, one seed after the other.

    Args:
        recipe: the recipe's file.
        overrides: settings for all arms.
        arms: what to compare.
        seeds: the recipe's seed in each repetition.
        out: where the runs go.
        downstream: whether to go on to labelled prompts and the recipe's rounds of self-play, or to end with the
            last round of EM.
        start: runs one recipe.
        say: hears which run comes next.

    Raises:
        ArmError: two arms have one name, or there is nothing to compare.
        RecipeError: one of them cannot be used. Both come before anything is run.
    """
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names):
        raise ArmError(f"two arms are called {next(n for n in names if names.count(n) > 1)}; give each its own name")
    planned = [(seed, arm, arm_recipe(recipe, overrides, arm, seed)) for seed in seeds for arm in arms]
    if any(not loaded.em.rounds for _, _, loaded in planned):
        raise ArmError("em.rounds is 0, but arms differ in their rounds; set at least 1")
    for number, (seed, arm, loaded) in enumerate(planned, 1):
        folder = out / f"seed-{seed}" / arm.name
        if is_done(folder, loaded, downstream):
            say(f"[{number}/{len(planned)}] seed {seed}, {arm.name}: already done")
            continue
        say(f"[{number}/{len(planned)}] seed {seed}, {arm.name}")
        start(loaded, folder, _shared(folder), _last_stage(loaded, downstream))
        write_json(folder / DONE_FILE, {"recipe": deciding(loaded.model_dump(mode="json")), "downstream": downstream})


def _last_stage(recipe: Recipe, downstream: bool) -> str | None:
    """Where a run ends; None is its own end."""
    if not downstream:
        return f"em_{recipe.em.rounds}"
    return None if recipe.training.rounds else "labelling"


def is_done(folder: Path, recipe: Recipe, downstream: bool) -> bool:
    """Whether a run came to its end with this very recipe, as far as is asked now."""
    file = folder / DONE_FILE
    if not file.exists():
        return False
    known = read_json(file)
    return bool(known["recipe"] == deciding(recipe.model_dump(mode="json")) and known["downstream"] >= downstream)


def _shared(folder: Path) -> Path | None:
    """Another run of the seed, from which the common stages may be taken: the one that began first."""
    found = [file.parents[2] for file in folder.parent.glob("*/stages/base/manifest.json")]
    others = [other for other in found if other != folder]
    return min(others, key=lambda other: (other / "stages" / "base" / "manifest.json").stat().st_mtime_ns, default=None)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The measures of a run by round, the cold start's first, each with the updates that p has had in all."""
    rows, steps = [], 0
    for stage in _stages(folder):
        steps += _updates(stage)
        row: dict[str, Any] = read_json(stage / "manifest.json")["counts"]["row"]
        rows.append(row | {"steps": steps})
    return rows


def seconds_of(folder: Path) -> float:
    """What a run's cold start and rounds took, those taken over from another included."""
    return sum(float(read_json(stage / "manifest.json")["seconds"]) for stage in _stages(folder))


def _stages(folder: Path) -> list[Path]:
    found = sorted((folder / "stages").glob("em_*"), key=lambda path: int(path.name.removeprefix("em_")))
    stages = [folder / "stages" / "cold_start", *found]
    return [stage for stage in stages if (stage / "manifest.json").exists()]


def _updates(stage: Path) -> int:
    """Optimiser steps of p in a stage, by what the trainer logged."""
    log = stage / "prompt-model-training" / "log.jsonl"
    if not log.exists():
        return 0
    last = log.read_text(encoding="utf-8").splitlines()[-1]
    return int(json.loads(last)["step"])
