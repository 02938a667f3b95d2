"""Pairs of a right and a wrong completion out of a run's rounds, whichever rule they trained by.

A round of DPO has made its pairs. Of another rule's rollouts they are made here in the same way, `pairs_per_prompt` of
`training.dpo` a prompt. What GRPO rolled out for a prompt lies all over its table, and all of it does not fit into
memory: the pairs are drawn among hashes of the texts, and a second pass fetches the texts of those drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.run.plan import Kind, PlannedStage, read_plan
from selfplay.run.records import TOKENS, LabelledTask, Pair, Rollout, RoundPrompt
from selfplay.run.seeding import content_id, derive
from selfplay.run.tables import read_rows
from selfplay.training.pairs import make_pairs
from selfplay.training.validity import ValidForm, fault
from selfplay.watching.rounds import prompt_rounds, table_file, table_rows

ROLLOUTS, PAIRS = "rollouts", "pairs"


def round_pairs(run: Path, recipe: Recipe, number: int | None = None) -> Iterator[tuple[Pair, str]]:
    """The pairs of all rounds that have ended, each with the stage that it is from.

    Args:
        recipe: the run's; a control with shuffled rewards has no pairs, since its verdicts say nothing.
        number: only those of prompts that were made for this round; None for all.

    Raises:
        RecordError: a table is damaged.
    """
    if recipe.training.rewards == "shuffled":
        return
    wanted = None if number is None else _tasks_ever(run, number)
    for stage in stages_with(run, ROLLOUTS, PAIRS):
        made = table_file(run, stage.name, PAIRS)
        pairs = table_rows(made, Pair) if made.exists() else _made_of(run, stage.name, stage.round, recipe)
        for pair in pairs:
            if wanted is None or pair.task_id in wanted:
                yield pair, stage.name


def stages_with(run: Path, *tables: str) -> list[PlannedStage]:
    """The rounds of self-play that have one of these tables, in order."""
    planned = read_plan(run).of_kind(Kind.SELFPLAY)
    return [stage for stage in planned if any(table_file(run, stage.name, table).exists() for table in tables)]


def _tasks_ever(run: Path, number: int) -> Container[str]:
    """Ids of the tasks that a round's prompts were, under any of their labels."""
    stages = [stage for own in prompt_rounds(run, number) for stage in own.labellings]
    return {task.id for stage in stages for task in table_rows(table_file(run, stage, "tasks"), LabelledTask)}


def _made_of(run: Path, stage: str, number: int, recipe: Recipe) -> Iterator[Pair]:
    rows = table_rows(table_file(run, stage, "prompts"), RoundPrompt)
    tasks = {row.task.id: row.task for row in rows}
    seed = derive(recipe.seed, "selfplay", number)
    drawn: dict[str, list[Pair]] = {}
    for pair in make_pairs(_hashed(run, stage, recipe, tasks), str, recipe.training.dpo.pairs_per_prompt, seed):
        drawn.setdefault(pair.task_id, []).append(pair)
    missing = {task: {text for pair in pairs for text in (pair.chosen, pair.rejected)} for task, pairs in drawn.items()}
    texts: dict[str, dict[str, str]] = {}
    for rollout in _rollouts(run, stage):
        task, digest = rollout.task_id, _digest(rollout.completion)
        if digest not in missing.get(task, ()):
            continue
        missing[task].remove(digest)
        texts.setdefault(task, {})[digest] = rollout.completion
        # As soon as a task has all its texts, since rollouts of a task lie near one another: few are held at a time.
        if not missing[task]:
            found = texts.pop(task)
            prompt = formats.solver_input(recipe.domains[tasks[task].domain], tasks[task].task)
            for pair in drawn.pop(task):
                chosen, rejected = found[pair.chosen], found[pair.rejected]
                yield Pair(content_id("pair", task, chosen, rejected), task, prompt, chosen, rejected, "self-play")


def _hashed(run: Path, stage: str, recipe: Recipe, tasks: Container[str]) -> Iterator[Rollout]:
    """The rollouts that may teach, task by task, without their texts."""
    form = ValidForm.of(recipe)
    of_task: dict[str, list[Rollout]] = {}
    for rollout in _rollouts(run, stage):
        if rollout.task_id in tasks and not fault(rollout, form):
            light = replace(rollout, completion=_digest(rollout.completion), reason="")
            of_task.setdefault(rollout.task_id, []).append(light)
    for task in sorted(of_task):
        yield from of_task[task]


def _rollouts(run: Path, stage: str) -> Iterator[Rollout]:
    return read_rows(table_file(run, stage, ROLLOUTS), Rollout, leave_out=TOKENS)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
