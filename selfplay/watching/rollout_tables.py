"""Rollouts as a table for trackers: prompt, gold answer, step, verdict, reason, reward."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from selfplay.run.records import Rollout
from selfplay.run.tables import read_columns
from selfplay.watching.rollouts import FIELDS, TABLE, TaskRollouts, joined, rollout_rows, sources, test_text
from verifiers.model import Task

COLUMNS = (
    *("step", "mode", "domain", "task_id", "prompt", "gold", "completion", "verdict", "status", "reason", "reward"),
)
VERDICTS = {True: "passed", False: "failed", None: "not checked"}
LONGEST_TEXT = 8000
"""Characters of one text; the stage's own files have the whole."""
SHOWN_TESTS = 3
LAST_ROWS = 64
"""Rows of a table that is made while a training goes on."""
CLOSING_ROWS = 500
"""Those of the table that is made when a stage has ended."""

RolloutTable = tuple[list[str], list[list[Any]]]
"""Columns, and rows with a value for each."""


def draws_rollouts(run_path: Path, stage: str) -> bool:
    """Whether a stage is a training that goes on and has drawn rollouts already."""
    return any(file.suffix != TABLE and file.stat().st_size for file in sources(run_path / "stages" / stage))


def newest_rollouts(run_path: Path, stage: str) -> RolloutTable:
    """The newest rollouts of the first rank of a training that goes on, those of a task together."""
    logs = sources(run_path / "stages" / stage)[:1]
    newest = list(itertools.islice(rollout_rows(logs), LAST_ROWS))
    return _table(run_path, stage, reversed(newest))


def closing_rollouts(file: Path) -> RolloutTable:
    """The last rollouts of a stage's table."""
    last: pa.Table | None = None
    for batch in read_columns(file, Rollout, FIELDS):
        last = batch if last is None else pa.concat_tables([last, batch])
        last = last.slice(max(0, last.num_rows - CLOSING_ROWS))
    stage = file.parent
    return _table(stage.parent.parent, stage.name, [] if last is None else last.to_pylist())


def _table(run_path: Path, stage: str, rollouts: Iterable[dict[str, Any]]) -> RolloutTable:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rollouts:
        groups.setdefault(row["task_id"], []).append(row)
    return list(COLUMNS), [row for group in joined(run_path, stage, groups) for row in _rows(group)]


def _rows(group: TaskRollouts) -> list[list[Any]]:
    prompt, gold = ("", "") if group.task is None else (group.task.problem, gold_of(group.task))
    rows = []
    for rollout in group.rollouts:
        known: Mapping[str, Any] = {
            "step": rollout.get("step"),
            "domain": group.domain,
            "task_id": group.task_id,
            "prompt": _cut(prompt),
            "gold": _cut(gold),
            "verdict": VERDICTS[rollout["passed"]],
        }
        values: Sequence[Any] = [known.get(name, rollout.get(name)) for name in COLUMNS]
        rows.append([_cut(value) if isinstance(value, str) else value for value in values])
    return rows


def gold_of(task: Task) -> str:
    """The label of a task as text: its answer, or its first tests."""
    if task.answer is not None:
        return task.answer
    shown = "\n\n".join(test_text(task, test) for test in task.tests[:SHOWN_TESTS])
    further = len(task.tests) - SHOWN_TESTS
    return f"{shown}\n\nand {further} more tests" if further > 0 else shown


def _cut(text: str) -> str:
    further = len(text) - LONGEST_TEXT
    return f"{text[:LONGEST_TEXT]} … ({further} more characters)" if further > 0 else text
