"""Answers beside verdicts: what a verifier offers so that samples can vote on a problem that has no label yet.

A verifier that has `extract` and `equal` tells which answer a completion gives, and whether two answers are the same.
With these a domain goes the whole way: votes label its problems, difficulty is measured, wrong answers are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from verifiers.model import Verifier

LONGEST = 100_000
"""Characters of an answer of a plug-in; a longer one is none."""


class AnswerReader(Protocol):
    """Finds the answer of a completion, and compares two answers."""

    def extract(self, completion: str) -> str | None:
        """The final answer as text; None where the completion gives none."""

    def equal(self, first: str, second: str) -> bool:
        """Whether two answers are the same, in whichever order; False where that could not be found out."""

    def canonical(self, answer: str) -> str:
        """A spelling that two answers share only if they are equal, which saves comparisons."""


class GuardedReader:
    """Stands before the reader of a plug-in, whose faults cost one answer, never the run.

    Both orders of two answers must be the same, and each answer is the same as itself.
    """

    def __init__(self, inner: Any) -> None:
        """Takes an object with `extract`, `equal` and, if it has one, `canonical`."""
        self._inner = inner
        self._canonical = getattr(inner, "canonical", None)

    def extract(self, completion: str) -> str | None:
        """The answer; None also where the plug-in raises, or returns what is no text of a bounded length."""
        try:
            found = self._inner.extract(completion)
        except Exception:  # noqa: BLE001 - an answer that a plug-in cannot read is none
            return None
        return found if isinstance(found, str) and found.strip() and len(found) <= LONGEST else None

    def equal(self, first: str, second: str) -> bool:
        """Whether they are the same; False also where the plug-in raises."""
        if first == second:
            return True
        try:
            return bool(self._inner.equal(first, second)) and bool(self._inner.equal(second, first))
        except Exception:  # noqa: BLE001 - answers that a plug-in cannot compare are two
            return False

    def canonical(self, answer: str) -> str:
        """The plug-in's spelling, or the answer itself where it has none."""
        if self._canonical is None:
            return answer
        try:
            return str(self._canonical(answer))
        except Exception:  # noqa: BLE001 - the answer stands for itself
            return answer


def part_that_reads(verifier: Verifier) -> Verifier | None:
    """The verifier itself, or the first part of a composite, that finds and compares answers; None where none does."""
    inner: Verifier = getattr(verifier, "inner", verifier)
    if callable(getattr(inner, "extract", None)) and callable(getattr(inner, "equal", None)):
        return inner
    found = (part_that_reads(part) for part in _parts(verifier))
    return next((part for part in found if part is not None), None)


def is_shipped(verifier: Verifier) -> bool:
    """Whether a verifier is one of ours, whose answers may stand in a box."""
    module = type(verifier).__module__
    return module.startswith("verifiers.") and not module.startswith("verifiers.plugins.")


def answer_reader(verifier: Verifier) -> AnswerReader | None:
    """The part that finds and compares the answers that a verifier judges; None where nothing does.

    It is None, too, where completions are programs, whose answers are what they print.
    """
    part: Any = part_that_reads(verifier)
    return part if part is None or is_shipped(part) else GuardedReader(part)


def judges_programs(verifier: Verifier) -> bool:
    """Whether completions are programs that are judged by tests: the verifier is `code`, or holds it."""
    inner = getattr(verifier, "inner", verifier)
    return bool(getattr(inner, "runs_programs", False)) or any(map(judges_programs, _parts(verifier)))


def _parts(verifier: Verifier) -> Sequence[Verifier]:
    return getattr(verifier, "verifiers", ())
