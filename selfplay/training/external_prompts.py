"""External prompts as tasks: the training seeds, or a person's own file in the format of seeds."""

from __future__ import annotations

from collections.abc import Sequence

from selfplay.config.recipe import Recipe
from selfplay.run.files import contents_hash
from selfplay.run.records import LabelledTask, RoundPrompt, Seed
from selfplay.run.seeding import task_id
from selfplay.seeds.rows import SeedError, files_of
from selfplay.seeds.stage import external_problems
from selfplay.training.prompt_pool import EXTERNAL, candidate


def external_tasks(recipe: Recipe, train: Sequence[Seed], reserved: Sequence[Seed]) -> list[RoundPrompt]:
    """The external prompts of every domain; none where the recipe's arm has none.

    They have answers or tests, unless the update rule needs none.

    Args:
        recipe: the run.
        train: the training seeds, which a domain without a file takes.
        reserved: held-out and development problems, none of which may be trained on.

    Raises:
        SeedError: a file has a bad row, or holds a reserved problem, or a domain has nothing to take.
    """
    settings = recipe.training.pool
    if settings.arm == "synthetic_only":
        return []
    needed = recipe.training.needs_labels
    kept_back = {seed.id for seed in reserved}
    found: list[RoundPrompt] = []
    for name, domain in recipe.domains.items():
        rows = settings.external.get(name)
        seeds = (
            external_problems(name, domain, rows, "required" if needed else "optional")
            if rows
            else [seed for seed in train if seed.domain == name]
        )
        for seed in seeds:
            if seed.id in kept_back:
                raise SeedError(
                    f"training.pool.external.{name}: {seed.problem[:80]!r} is a held-out or development problem; "
                    "remove it"
                )
        # A problem that stands in a file twice is one prompt.
        usable = {seed.id: seed for seed in seeds if not needed or seed.task.answer is not None or seed.task.tests}
        if not usable:
            raise SeedError(
                f"training.pool.external: domain {name} has no problem with an answer or tests; name a file of them "
                f"in training.pool.external.{name}"
            )
        found += [candidate(_task(seed), EXTERNAL, origin=seed.source) for seed in usable.values()]
    return found


def external_files(recipe: Recipe) -> str:
    """A hash of the files of external prompts; empty where there are none."""
    sources = recipe.training.pool.external
    return contents_hash(files_of(sources[name] for name in sorted(sources))) if sources else ""


def _task(seed: Seed) -> LabelledTask:
    """A task whose label is somebody's word: full agreement, and a difficulty that nobody has measured."""
    return LabelledTask(
        id=task_id(seed.id, seed.task),
        prompt_id=seed.id,
        domain=seed.domain,
        task=seed.task,
        agreement=1.0,
        pass_rate=None,
        dropped="",
        label_correct=None,
    )
