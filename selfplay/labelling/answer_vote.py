"""Labels of problems with one answer: a majority among classes of equal answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay.config.labelling import Labelling
from selfplay.labelling.filters import answer_fault
from verifiers.answers import AnswerReader
from verifiers.model import Task, Test, Verifier
from verifiers.voting import vote

UNREACHABLE = "no completion can pass it"


@dataclass(frozen=True, slots=True)
class Label:
    """The outcome of a vote on a problem; `fault` says why there is no label."""

    answer: str | None = None
    tests: tuple[Test, ...] = ()
    agreement: float | None = None
    """Share of the votes behind the winner, or behind what came closest; None where nothing was voted on."""
    agrees: tuple[bool | None, ...] = ()
    """For each vote, in order: whether it agrees with the label; None where that could not be found out."""
    fault: str = ""
    checker: str | None = None
    """Source of a program that judges outputs, where many are right."""

    def missing(self, fault: str) -> Label:
        """The outcome of the same vote where its winner is no label."""
        return Label(agreement=self.agreement, fault=fault)


def label_by_answers(
    verifier: AnswerReader, answers: Sequence[str | None], weights: Sequence[float], settings: Labelling
) -> Label:
    """The answer that most votes agree on; one without an answer counts against, and never wins.

    A winner under which its own text in a box does not pass, such as "the answer is 7", is no label.

    Args:
        verifier: tells which answers are equal; one of ours judges under the label, too.
        answers: the answer of each vote, None where it has none.
        settings: the least share of all weights, ties, and filters of answers.
    """
    result = vote(
        answers,
        verifier.equal,
        min_agreement=settings.min_agreement,
        ties=settings.ties,
        canonical=verifier.canonical,
        weights=weights,
    )
    if result.answer is None:
        return Label(agreement=result.agreement, fault=_short(result.reason))
    winner = result.answer
    agrees = tuple(answer is not None and verifier.equal(answer, winner) for answer in answers)
    label = Label(winner, (), result.agreement, agrees)
    fault = answer_fault(winner, settings) or _unreachable(verifier, winner)
    return label.missing(fault) if fault else label


def _unreachable(reader: AnswerReader, winner: str) -> str:
    """Why no completion could pass under a label, by one that gives the label itself as its answer.

    Verifiers of others may not read boxes, so of these nothing is said.
    """
    if not isinstance(reader, Verifier):
        return ""
    verdict = reader.verify(Task(answer=winner), f"\\boxed{{{winner}}}")
    return "" if verdict.passed else f"{UNREACHABLE} ({verdict.status})"


def _short(reason: str) -> str:
    """The kind of fault, without the figures of the case, so that equal faults can be counted."""
    for kind in ("no sample has an answer", "below", "tied"):
        if kind in reason:
            return {"below": "agreement too low", "tied": "tie"}.get(kind, "no answer")
    return reason
