"""Verifiers that get little time for an item, and leave what needs more of it to the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verifiers.model import Task, Verdict, Verifier
from verifiers.registry import load

_BY_DEADLINE = frozenset({"math", "math_verify"})
_LEFT = Verdict(None, None, "not_checked", "it needs more time")
_SURE = 0.15
"""An item that fails within this share of the time did not fail for lack of it."""

_LONG, _LONG_ANSWER = 50_000, 400
_BY_ITS_LOOKS = (r"\binom", r"\sum", r"\prod", r"\int", r"\lim", "!!", ")!", "}!")
_MOST_BRACKETS = 30
_IN_EXPONENTS = frozenset("0123456789abcdefghijklmnopqrstuvwxyz\\{( ")


def looks_long(answer: str | None, completion: str) -> bool:
    """Whether a comparison had better not be begun in haste: by length, nesting, towers and what runs over many terms.

    It looks at the gold answer, and at the completion from its last box on.
    """
    gold = answer or ""
    if len(completion) > _LONG or len(gold) > _LONG_ANSWER:
        return True
    at = completion.rfind("boxed")
    for text in (gold, completion[at:] if at >= 0 else completion[-_LONG_ANSWER:]):
        if len(text) > 4 * _LONG_ANSWER or any(mark in text for mark in _BY_ITS_LOOKS):
            return True
        if text.count("{") + text.count("(") + text.count("[") > _MOST_BRACKETS:
            return True
        exponents = text.split("^")[1:]
        if any(set(part) <= _IN_EXPONENTS for part in exponents[:-1]):
            return True
        if any(part.lstrip("{( ")[:4].isdigit() and len(part.lstrip("{( ")) > 3 for part in exponents):
            return True
    return False


class HastyVerifier:
    """Gives the verdicts that the inner verifier reaches in a short time, and no others.

    A pass is a pass. What did not pass is judged again wherever the time may have been the reason.
    """

    overlaps = True

    def __init__(self, inner: Verifier, seconds: float) -> None:
        """`seconds` is the time for an item, or for each test of one."""
        self.name, self._inner, self._seconds = inner.name, inner, seconds

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order."""
        hasty = [(self._shortened(task), completion) for task, completion in items]
        verdicts = self._inner.verify_many(hasty)
        return [
            verdict if self._final(task, verdict) else _LEFT for (task, _), verdict in zip(items, verdicts, strict=True)
        ]

    def close(self) -> None:
        """Closes the inner verifier."""
        self._inner.close()

    def _shortened(self, task: Task) -> Task:
        return replace(task, time_limit_s=min(task.time_limit_s, self._seconds)) if task.tests else task

    def _final(self, task: Task, verdict: Verdict) -> bool:
        if verdict.passed:
            return True
        return verdict.status != "time_limit" if task.tests else verdict.seconds < _SURE * self._seconds


def hasty_verifier(
    name: str, params: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] | None, seconds: float
) -> HastyVerifier | None:
    """A hasty verifier beside the one that has this name and these parameters; None where there can be none."""
    if name in _BY_DEADLINE and params.get("deadline_s", 5.0) > seconds:
        return HastyVerifier(load(name, {**params, "deadline_s": seconds}, defaults=defaults), seconds)
    if name == "code" and not params.get("partial_credit"):
        return HastyVerifier(load(name, params, defaults=defaults), seconds)
    return None
