"""Samples of other evaluation frameworks as tasks, and which of several verdicts counts for a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verifiers.model import Task, Verdict
from verifiers.programs.task_rows import TASK_FIELDS, read_task


class UnusableSample(ValueError):
    """A sample that no task can be made of; the message names the field and the remedy."""


def tasks_of(metadata: Mapping[str, Any], targets: Sequence[str], problem: str, programs: bool) -> list[Task]:
    """A task for each target, any of which is right; one without an answer where tests judge.

    Args:
        metadata: of the sample; the fields of a task in it, such as `tests`, bear the names that rows of tasks have.
        problem: the text that was asked.
        programs: whether programs answer.

    Raises:
        UnusableSample: a field in the metadata is none of a task's values.
    """
    row = {"problem": problem} | {name: metadata[name] for name in TASK_FIELDS if name in metadata}
    answers: list[str | None] = [target for target in targets if target.strip()] or [None]
    return [
        read_task(
            row if answer is None else row | {"answer": answer},
            lambda field, fault: UnusableSample(f"metadata.{field} {fault}; give it as rows of tasks have it"),
            programs,
        )
        for answer in answers
    ]


def decisive(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a sample with several targets: one that passed, else one that could not be reached, since that
    target may be the right one, else the first."""
    return min(verdicts, key=lambda verdict: 0 if verdict.passed else 1 if verdict.passed is None else 2)


def beside_score(verdict: Verdict) -> dict[str, Any]:
    """A verdict's answer, reason, status and seconds, as inspect's scores hold such things."""
    return {
        "answer": verdict.details.get("answer"),
        "explanation": verdict.reason or None,
        "metadata": {"status": verdict.status, "seconds": verdict.seconds},
    }
