"""A model on a suite: its completions with their verdicts, a row a problem, and what becomes of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from selfplay.rollouts.completions import Completion
from selfplay.rollouts.judge import Judge
from selfplay.rollouts.rollout import with_verdicts
from selfplay.suites.load import Suite
from verifiers.extraction import choice_letter, final_text
from verifiers.mathematics import MathVerifier, answer_reader
from verifiers.model import Verdict, Verifier
from verifiers.rules.text import ChoiceVerifier
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
    verifier = judge.verifiers[suite.name]
    pairs = itertools.chain.from_iterable(zip(*found, strict=True) for found in with_verdicts(judge, batches))
    for _, group in itertools.groupby(pairs, key=lambda pair: pair[0].task.id):
        yield _row(suite.name, verifier, list(group))


def _row(suite: str, verifier: Verifier, judged: Sequence[Judged]) -> MeasuredProblem:
    task = judged[0][0].task
    answers = [_answer(verifier, one, verdict) for one, verdict in judged]
    return MeasuredProblem(
        id=task.id,
        suite=suite,
        published=getattr(task, "source", ""),
        problem=task.problem,
        label=task.task.answer or "",
        prompt=judged[0][0].prompt,
        completions=tuple(one.text for one, _ in judged),
        passed=tuple(verdict.passed for _, verdict in judged),
        statuses=tuple(verdict.status for _, verdict in judged),
        reasons=tuple(verdict.reason for _, verdict in judged),
        answers=tuple(answers),
        classes=tuple(_classes(verifier, answers, [verdict.passed for _, verdict in judged])),
        cut=tuple(not one.sample.complete and not one.refusal for one, _ in judged),
        prompt_tokens=tuple(one.sample.prompt_tokens for one, _ in judged),
        tokens=tuple(one.sample.completion_tokens for one, _ in judged),
        seconds=tuple(verdict.seconds for _, verdict in judged),
    )


def votes(verifier: Verifier) -> bool:
    """Whether a verifier's problems have answers that a majority can be found of."""
    return answer_reader(verifier) is not None or isinstance(getattr(verifier, "inner", verifier), ChoiceVerifier)


def _answer(verifier: Verifier, one: Completion, verdict: Verdict) -> str | None:
    """The final answer of a completion that ended, as far as answers can be read."""
    if not one.sample.complete or verdict.status == "no_answer" or not votes(verifier):
        return None
    known: Any = verdict.details.get("answer")
    if known is None:
        reader = answer_reader(verifier)
        known = reader.extract(one.text) if reader else choice_letter(final_text(one.text) or "")
    return None if known is None else str(known)[:LONGEST_ANSWER]


def _classes(verifier: Verifier, answers: Sequence[str | None], passed: Sequence[bool | None]) -> list[int | None]:
    """The class of each answer: those that passed are one, the others as they equal one another."""
    wrong = [answer for answer, right in zip(answers, passed, strict=True) if answer is not None and not right]
    reader: MathVerifier | None = answer_reader(verifier)
    if reader is None:
        groups = [[answer] for answer in sorted(set(wrong))]
    else:
        groups = classes(wrong, reader.equal, reader.canonical)
    numbers = {answer: number for number, group in enumerate(groups, RIGHT + 1) for answer in group}
    return [
        RIGHT if right and answer is not None else None if answer is None else numbers[answer]
        for answer, right in zip(answers, passed, strict=True)
    ]
