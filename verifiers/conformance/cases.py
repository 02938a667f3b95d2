"""Labelled cases for the conformance kit: rows of `verifiers.jsonl` with a label, the verdict that must come.

Fields besides a row's own: `label` (right: must pass; wrong: must fail; not_checked: must be without a reward),
and optionally `status` and `reward`, which the verdict must then have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from verifiers.jsonl import NEEDS, Row, UnusableInput, read_rows
from verifiers.model import Task, Test

Label = Literal["right", "wrong", "not_checked"]
_LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled completion; `name` says where it comes from."""

    name: str
    task: Task
    completion: str
    label: Label
    status: str | None = None
    reward: float | None = None


DEFAULT_TASKS = (
    Task(
        answer="417",
        tests=(Test(input="278 139\n", output="417\n"),),
        time_limit_s=1.0,
        problem="What is 278 + 139? (Or write a program that reads two numbers and prints their sum.)",
    ),
)
"""The tasks of hostile completions when there are no cases."""


def read_cases(path: Path | str, verifier: str = "") -> list[Case]:
    """Reads a file of cases. Raises UnusableInput, naming file, line and field, also for an empty file."""
    cases = [_case(path, row, NEEDS.get(verifier)) for row in read_rows(path)]
    if not cases:
        raise UnusableInput(path, 0, "", "has no cases")
    return cases


def _case(path: Path | str, row: Row, needed: str | None) -> Case:
    label = row.fields.get("label")
    if label not in _LABELS:
        raise UnusableInput(path, row.line, "label", f"must be one of {', '.join(_LABELS)}, not {label!r}")
    if needed and label != "not_checked" and row.fields.get(needed) is None:
        raise UnusableInput(path, row.line, needed, f"is missing, and a case labelled {label} needs it")
    status, reward = row.fields.get("status"), row.fields.get("reward")
    if status is not None and not isinstance(status, str):
        raise UnusableInput(path, row.line, "status", f"must be text, not {type(status).__name__}")
    if reward is not None and (type(reward) not in (int, float) or not 0 <= reward <= 1):
        raise UnusableInput(path, row.line, "reward", f"must be a number in [0, 1], not {reward!r}")
    named = row.fields.get("id")
    name = f"{Path(path).name}:{row.line}" + (f" ({named})" if named is not None else "")
    return Case(name, row.task, row.completion, label, status, reward)


def tasks_of(cases: Sequence[Case], most: int) -> list[Task]:
    """Returns the first few distinct tasks of cases that can be checked, those of right answers first."""
    ranked = sorted((case for case in cases if case.label != "not_checked"), key=lambda case: case.label != "right")
    found: list[Task] = []
    for case in ranked:
        if case.task not in found:
            found.append(case.task)
        if len(found) == most:
            break
    return found or list(DEFAULT_TASKS)
