"""Labels of problems with one answer: a majority among classes of equal answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay.labelling_settings import Labelling
from selfplay.records import TestCase
from verifiers.math_answer import MathVerifier
from verifiers.voting import vote


@dataclass(frozen=True, slots=True)
class Label:
    """What a vote gave a problem; `fault` says why there is no label."""

    answer: str | None = None
    tests: tuple[TestCase, ...] = ()
    agreement: float = 0.0
    votes: tuple[bool, ...] = ()
    """For each completion, in order: whether it agrees with the label."""
    fault: str = ""


def label_by_answers(verifier: MathVerifier, completions: Sequence[str], settings: Labelling) -> Label:
    """The answer that most completions agree on; one without an answer counts against, and never wins."""
    answers = [verifier.extract(completion) for completion in completions]
    result = vote(
        answers,
        verifier.equal,
        min_agreement=settings.min_agreement,
        ties=settings.ties,
        canonical=verifier.canonical,
    )
    if result.answer is None:
        return Label(agreement=result.agreement, fault=_short(result.reason))
    winner = result.answer
    votes = tuple(answer is not None and verifier.equal(answer, winner) for answer in answers)
    return Label(winner, (), result.agreement, votes)


def _short(reason: str) -> str:
    """The kind of fault, without the figures of the case, so that equal faults can be counted."""
    for kind in ("no sample has an answer", "below", "tied"):
        if kind in reason:
            return {"below": "agreement too low", "tied": "tie"}.get(kind, "no answer")
    return reason
