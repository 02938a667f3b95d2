"""A model on a suite: its completions with their verdicts, a row a problem, and what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from selfplay.rollouts.completions import Completion
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.rollout import with_verdicts
from selfplay.run.tables import read_rows
from selfplay.suites.load import Suite
from verifiers.answers import AnswerReader, answer_reader
from verifiers.model import Verdict
from verifiers.voting import classes

LONGEST_ANSWER = 500
"""Characters kept of an answer, as verdicts have it."""
RIGHT = 0
"""The class of right answers; wrong ones are numbered from 1."""


@dataclass(frozen=True, slots=True)
class MeasuredProblem:
    """A problem of a suite with a model's completions; each list has a place for each completion, in order."""

    version: ClassVar[int] = 1
    id: str
    suite: str
    published: str
    """The name of the problem in its suite."""
    problem: str
    label: str
    """The right answer; empty where tests judge."""
    prompt: str
    """Text that the model read, before its chat template."""
    completions: tuple[str, ...]
    passed: tuple[bool | None, ...]
    statuses: tuple[str, ...]
    reasons: tuple[str, ...]
    answers: tuple[str | None, ...]
    """The final answers; null where there is none, or where programs answer."""
    classes: tuple[int | None, ...]
    """Equal answers bear the same number; null where there is none."""
    cut: tuple[bool, ...]
    """Whether the token limit ended a completion."""
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    """Of each completion, its thinking included."""
    seconds: tuple[float, ...]
    """For each verdict."""


Judged = tuple[Completion, Verdict]


def measured_problems(judge: Judge, suite: Suite, batches: Iterable[Sequence[Completion]]) -> Iterator[MeasuredProblem]:
    """A row for each problem, as its last completion is judged.

    Args:
        judge: has the suite's verifier under its name.
        suite: what is measured on.
        batches: completions, those of a problem one after the other.
    """
    reader = answer_reader(judge.verifiers[suite.name])
    pairs = itertools.chain.from_iterable(zip(*found, strict=True) for found in with_verdicts(judge, batches))
    for _, group in itertools.groupby(pairs, key=lambda pair: pair[0].task.id):
        yield _row(suite.name, reader, list(group))


def _row(suite: str, reader: AnswerReader | None, judged: Sequence[Judged]) -> MeasuredProblem:
    task = judged[0][0].task
    answers = [None if reader is None else _answer(reader, one, verdict) for one, verdict in judged]
    passed = [verdict.passed for _, verdict in judged]
    return MeasuredProblem(
        id=task.id,
        suite=suite,
        published=getattr(task, "source", ""),
        problem=task.problem,
        label=task.task.answer or "",
        prompt=judged[0][0].prompt,
        completions=tuple(one.text for one, _ in judged),
        passed=tuple(passed),
        statuses=tuple(verdict.status for _, verdict in judged),
        reasons=tuple(verdict.reason for _, verdict in judged),
        answers=tuple(answers),
        classes=(None,) * len(answers) if reader is None else tuple(_classes(reader, answers, passed)),
        cut=tuple(not one.sample.complete and not one.refusal for one, _ in judged),
        prompt_tokens=tuple(one.sample.prompt_tokens for one, _ in judged),
        tokens=tuple(one.sample.completion_tokens for one, _ in judged),
        seconds=tuple(verdict.seconds for _, verdict in judged),
    )


def _answer(reader: AnswerReader, one: Completion, verdict: Verdict) -> str | None:
    """The final answer of a completion that ended."""
    if not one.sample.complete or verdict.status == "no_answer":
        return None
    found: Any = verdict.details.get("answer")
    found = reader.extract(one.text) if found is None else found
    return None if found is None else str(found)[:LONGEST_ANSWER]


def _classes(
    reader: AnswerReader, answers: Sequence[str | None], passed: Sequence[bool | None]
) -> Iterator[int | None]:
    """The class of each answer: those that passed are one, the others as they equal one another."""
    wrong = [answer for answer, right in zip(answers, passed, strict=True) if answer is not None and not right]
    groups = enumerate(classes(wrong, reader.equal, reader.canonical), RIGHT + 1)
    numbers = {answer: number for number, group in groups for answer in group}
    for answer, right in zip(answers, passed, strict=True):
        yield None if answer is None else RIGHT if right else numbers[answer]


SHOWN_COLUMNS = ("published", "problem", "label", "pass rate", "cut share", "tokens", "completion", "passed", "reason")
"""Of the rows that people look at in W&B and other trackers."""
SHOWN_ROWS = 500


def shown_rows(table: Path) -> Iterator[tuple[Any, ...]]:
    """The first problems of a table, each with its first completion.

    Raises:
        RecordError: the table is damaged.
    """
    for row in itertools.islice(read_rows(table, MeasuredProblem), SHOWN_ROWS):
        checked = [passed for passed in row.passed if passed is not None]
        yield (
            row.published,
            row.problem,
            row.label,
            sum(checked) / len(checked) if checked else None,
            sum(row.cut) / len(row.cut),
            sum(row.tokens) / len(row.tokens),
            row.completions[0],
            row.passed[0],
            row.reasons[0],
        )
