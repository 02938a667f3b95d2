"""Held-out problems side by side over the rounds: how the policy changed its mind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.plan import Kind, PlannedStage, read_plan
from selfplay.run.records import Rollout
from selfplay.run.tables import read_columns, read_plain
from selfplay.watching.rollout_tables import gold_of
from selfplay.watching.rollouts import FIELDS, joined

GREEDY = "greedy"
EACH = {"solved at last": 3, "lost again": 3, "changed on the way": 2, "never solved": 2, "always solved": 1}
"""How many problems of a kind are shown for each domain."""
MOST_ROUNDS = 6
"""Rounds side by side: the first, and the last of the others."""

Outcomes = dict[str, bool | None]
"""By stage, whether the completion of a problem passed."""


@dataclass(frozen=True, slots=True)
class ChangedProblem:
    """A held-out problem with its completion of each round."""

    domain: str
    how: str
    """One of `EACH`."""
    problem: str
    gold: str
    rounds: list[tuple[int, dict[str, Any]]]
    """Rounds, and the rollout of each."""


def changed_problems(run_path: Path) -> list[ChangedProblem]:
    """Problems on which the verdict changed between evaluations, and a few on which it did not; of each the completion
    that was drawn greedily, or else the first. None before there are two evaluations.

    Raises:
        RecordError: a table is damaged.
    """
    stages = [stage for stage in read_plan(run_path).of_kind(Kind.EVALUATION) if _file(run_path, stage).exists()]
    if len(stages) < 2:
        return []
    stages = [stages[0], *stages[1:][-(MOST_ROUNDS - 1) :]]
    known: dict[tuple[str, str], Outcomes] = {}
    for stage in stages:
        for row in _first(_file(run_path, stage), ("task_id", "domain", "mode", "index", "passed")):
            known.setdefault((row["domain"], row["task_id"]), {})[stage.name] = row["passed"]
    chosen = _chosen({key: outcomes for key, outcomes in known.items() if len(outcomes) == len(stages)})
    rows = {stage.name: _rows(_file(run_path, stage), set(chosen)) for stage in stages}
    last = stages[-1].name
    found = joined(run_path, last, {task: [rows[last][task]] for task in chosen})
    return [
        ChangedProblem(
            group.domain,
            chosen[group.task_id],
            "" if group.task is None else group.task.problem,
            "" if group.task is None else gold_of(group.task),
            [(stage.round, rows[stage.name][group.task_id]) for stage in stages],
        )
        for group in found
    ]


def _file(run_path: Path, stage: PlannedStage) -> Path:
    return run_path / "stages" / stage.name / "rollouts.parquet"


def _first(file: Path, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """One rollout of each task: the greedy one where there is one, else the first of the first mode."""
    mode = _mode(file)
    return (row for row in read_plain(file, Rollout, names) if row["mode"] == mode and row["index"] == 0)


def _mode(file: Path) -> str:
    found = ""
    for batch in read_columns(file, Rollout, ["mode"]):
        modes = batch["mode"].unique().to_pylist()
        if GREEDY in modes:
            return GREEDY
        found = found or next(iter(modes), "")
    return found


def _rows(file: Path, tasks: set[str]) -> dict[str, dict[str, Any]]:
    return {row["task_id"]: dict(row) for row in _first(file, FIELDS) if row["task_id"] in tasks}


def _chosen(known: Mapping[tuple[str, str], Outcomes]) -> dict[str, str]:
    """Tasks with what became of them, a few of each kind and domain, in the order of the table."""
    counts: dict[tuple[str, str], int] = {}
    chosen: dict[str, list[str]] = {how: [] for how in EACH}
    for (domain, task), outcomes in known.items():
        how = _how(list(outcomes.values()))
        counts[domain, how] = counts.get((domain, how), 0) + 1
        if counts[domain, how] <= EACH[how]:
            chosen[how].append(task)
    return {task: how for how, tasks in chosen.items() for task in tasks}


def _how(passed: Sequence[bool | None]) -> str:
    solved = [outcome is True for outcome in passed]
    if solved[0] != solved[-1]:
        return "solved at last" if solved[-1] else "lost again"
    if len(set(solved)) > 1:
        return "changed on the way"
    return "always solved" if solved[0] else "never solved"
