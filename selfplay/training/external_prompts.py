"""External prompts as tasks: the training seeds, or a person's own file in the format of seeds."""

from __future__ import annotations

from collections.abc import Sequence

from selfplay.config.recipe import Recipe
from selfplay.curation.reserved import Reserved
from selfplay.run.files import contents_hash
from selfplay.run.records import LabelledTask, RoundPrompt, Seed
from selfplay.run.seeding import task_id
from selfplay.seeds.rows import SeedError, files_of
from selfplay.seeds.stage import external_problems
from selfplay.training.prompt_pool import EXTERNAL, candidate


def reads_given_data(recipe: Recipe) -> bool:
    """Whether rounds learn from people's own files, whose problems nobody has compared with the held-out ones."""
    training = recipe.training
    files = training.sft.files if training.algorithm == "sft" else training.pair_files
    return files is not None or (training.pool.arm != "synthetic_only" and bool(training.pool.external))


def external_tasks(recipe: Recipe, train: Sequence[Seed], reserved: Reserved | None) -> tuple[list[RoundPrompt], int]:
    """The external prompts of every domain, and how many were left out since they hold a reserved problem.

    They have answers or tests, unless the update rule needs none. None where the recipe's arm has none.

    Args:
        train: the training seeds, which a domain without a file takes.
        reserved: problems that nothing may be trained on, which files are compared with.

    Raises:
        SeedError: a file has a bad row, or a domain has nothing to take.
    """
    settings = recipe.training.pool
    if settings.arm == "synthetic_only":
        return [], 0
    needed = recipe.training.needs_labels
    found: list[RoundPrompt] = []
    leaks = 0
    for name, domain in recipe.domains.items():
        rows = settings.external.get(name)
        seeds = (
            external_problems(name, domain, rows, "required" if needed else "optional")
            if rows
            else [seed for seed in train if seed.domain == name]
        )
        # A problem that stands in a file twice is one prompt.
        able = {seed.id: seed for seed in seeds if not needed or seed.task.answer is not None or seed.task.tests}
        usable = able
        if rows and reserved is not None:
            usable = {key: seed for key, seed in able.items() if reserved.leak(name, seed.problem) is None}
            leaks += len(able) - len(usable)
        if not usable:
            lost = f" ({len(able)} hold a problem that must stay unseen)" if able else ""
            raise SeedError(
                f"training.pool.external: domain {name} has no problem with an answer or tests{lost}; name a file of "
                f"them in training.pool.external.{name}"
            )
        found += [candidate(_task(seed), EXTERNAL, origin=seed.source) for seed in usable.values()]
    return found, leaks


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
