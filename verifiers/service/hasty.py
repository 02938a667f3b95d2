"""Verifiers that get little time for an item, and leave what needs more of it to the real one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verifiers.model import Task, Verdict, Verifier
from verifiers.registry import load

_BY_DEADLINE = frozenset({"math", "math_verify"})
_LEFT = Verdict(None, None, "not_checked", "it needs more time")
_ALL_TESTS = 4
"""All tests of an item have so many times the time of one."""
_LONG = 100_000
"""Characters of a completion that is left at once: what ends its reading may cost the worker, and each waits for a new
one."""
_SURE = 0.15
"""An item that fails within this share of the time did not fail for lack of it."""


class HastyVerifier(Verifier):
    """Gives the verdicts that the inner verifier reaches in a short time, and no others.

    A pass is a pass. What did not pass is judged again wherever the time may have been the reason.
    """

    overlaps = True

    def __init__(self, inner: Verifier, seconds: float) -> None:
        """`seconds` is the time for an item, or for each test of one."""
        self.name, self._inner, self._seconds = inner.name, inner, seconds
        self.workers = places_of(inner)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order."""
        hasty = [(self._shortened(task), completion) for task, completion in items if len(completion) <= _LONG]
        found = iter(self._inner.verify_many(hasty))
        return [
            verdict if len(completion) <= _LONG and self._final(task, verdict := next(found)) else _LEFT
            for task, completion in items
        ]

    def start(self) -> None:
        """Starts the workers of the inner verifier, where it has any that it would start later. Raises OSError."""
        start = getattr(getattr(self._inner, "inner", self._inner), "start", None)
        if start is not None:
            start()

    def close(self) -> None:
        """Closes the inner verifier."""
        self._inner.close()

    def _shortened(self, task: Task) -> Task:
        return replace(task, time_limit_s=min(task.time_limit_s, self._seconds)) if task.tests else task

    def _final(self, task: Task, verdict: Verdict) -> bool:
        if verdict.passed:
            return True
        return verdict.status != "time_limit" if task.tests else verdict.seconds < _SURE * self._seconds


def places_of(verifier: Verifier) -> int | None:
    """How many items a verifier judges at a time, whoever asks; None for one that does not say."""
    found: int | None = getattr(getattr(verifier, "inner", verifier), "workers", None)
    return found


def hasty_verifier(
    name: str, params: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]] | None, seconds: float
) -> HastyVerifier | None:
    """A hasty verifier beside the one that has this name and these parameters; None where there can be none."""
    if name in _BY_DEADLINE and params.get("deadline_s", 5.0) > seconds:
        return HastyVerifier(load(name, {**params, "deadline_s": seconds}, defaults=defaults), seconds)
    if name == "code" and not params.get("partial_credit"):
        # Else a program that takes its time at each of a thousand tests would be at it for half an hour.
        brief = {**params, "deadline_s": min(params.get("deadline_s") or math.inf, _ALL_TESTS * seconds)}
        return HastyVerifier(load(name, brief, defaults=defaults), seconds)
    return None
