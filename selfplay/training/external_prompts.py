"""Given prompts as tasks: the training seeds, or a person's own file in the format of seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from selfplay.config.recipe import Recipe
from selfplay.run.records import LabelledTask, Seed
from selfplay.run.seeding import content_id
from selfplay.seeds.rows import SeedError
from selfplay.seeds.stage import given_problems
from selfplay.training.prompt_pool import Given


def given_tasks(recipe: Recipe, train: Sequence[Seed], reserved: Sequence[Seed]) -> list[Given]:
    """The given prompts of every domain; none where the recipe's arm has none.

    They have answers or tests, unless the update rule needs none.

    Args:
        recipe: the run.
        train: the training seeds, which a domain without a file takes.
        reserved: held-out and development problems, none of which may be learnt from.

    Raises:
        SeedError: a file has a bad row, or holds a reserved problem, or a domain has nothing to give.
    """
    settings = recipe.training.pool
    if settings.arm == "synthetic_only":
        return []
    needed = recipe.training.needs_labels
    kept_back = {seed.id for seed in reserved}
    found: list[Given] = []
    for name in recipe.domains:
        file = settings.given.get(name)
        seeds = (
            given_problems(name, file, "required" if needed else "optional")
            if file
            else [seed for seed in train if seed.domain == name]
        )
        for seed in seeds:
            if seed.id in kept_back:
                raise SeedError(
                    f"training.pool.given.{name}: {seed.problem[:80]!r} is a held-out or development problem; remove it"
                )
        # A problem that stands in a file twice is one prompt.
        usable = {seed.id: seed for seed in seeds if not needed or seed.answer is not None or seed.tests}
        if not usable:
            raise SeedError(
                f"training.pool.given: domain {name} has no problem with an answer or tests; name a file of them in "
                f"training.pool.given.{name}"
            )
        found += [Given(_task(seed), seed.source) for seed in usable.values()]
    return found


def given_files(recipe: Recipe) -> str:
    """A hash of the files of given prompts; empty where there are none."""
    files = recipe.training.pool.given
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(Path(files[name]).read_bytes())
    return digest.hexdigest() if files else ""


def _task(seed: Seed) -> LabelledTask:
    """A task whose label is somebody's word: full agreement, and a difficulty that nobody has measured."""
    return LabelledTask(
        id=content_id("given", seed.id, seed.answer, seed.tests),
        prompt_id=seed.id,
        domain=seed.domain,
        problem=seed.problem,
        answer=seed.answer,
        tests=seed.tests,
        agreement=1.0,
        pass_rate=0.0,
        dropped="",
        label_is_right=None,
    )
