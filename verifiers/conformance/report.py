"""The report of the conformance kit: checks, agreement with labelled cases, and both as JSON."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["passed", "failed", "skipped"]
SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """One item on which a check failed, and how."""

    item: str
    problem: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it asks in a word, whether it must pass, how many trials it took, and what went wrong."""

    name: str
    must: bool
    outcome: Outcome
    trials: int
    detail: str
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with a 95% Wilson interval of the rate; all rates lie in [0, 1]."""

    count: int
    of: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How verdicts compare with labels: wrong ones passed, right ones failed, and those that were not checked."""

    false_passes: Share
    false_fails: Share
    not_checked: Share


@dataclass(frozen=True, slots=True)
class Report:
    """All that one examination found. It passed when no check that must pass has failed."""

    verifier: str
    source: str
    params: Mapping[str, Any]
    judges: str
    checks: tuple[Check, ...]
    agreement: Agreement | None
    slowest_item: str
    slowest_s: float
    peak_memory_mb: float
    seconds: float
    version: int = field(default=1)

    @property
    def passed(self) -> bool:
        """Whether every check that must pass did, and none of them was cut short."""
        return not any(check.must and check.outcome == "failed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Returns the report as plain JSON data."""
        return {"passed": self.passed, **asdict(self)}


def check_of(name: str, trials: int, failures: Sequence[Failure], detail: str = "", *, must: bool = True) -> Check:
    """Returns a check that failed if there are failures; the first twenty are kept."""
    if failures and not detail:
        detail = f"{len(failures)} of {trials} failed"
    return Check(name, must, "failed" if failures else "passed", trials, detail, tuple(failures[:SHOWN_FAILURES]))


def skipped(name: str, why: str) -> Check:
    """Returns a check that could not be made."""
    return Check(name, True, "skipped", 0, why)


def share_of(count: int, of: int) -> Share:
    """Returns a share with its interval."""
    low, high = wilson_interval(count, of)
    return Share(count, of, count / of if of else 0.0, low, high)


@functools.lru_cache(maxsize=1 << 14)
def wilson_interval(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (E. B. Wilson, JASA 22, 1927, p. 209); all of [0, 1] when nothing was tried.

    It contains count / of, and holds its level for rates near 0 and few trials, where the usual interval has no width.

    Args:
        count: successes, 0 to `of`.
        of: trials.
        confidence: level, in (0, 1).
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no proportion")
    if of == 0:
        return 0.0, 1.0
    # Half a second to import, and half a millisecond a call.
    from scipy.stats import binomtest

    found = binomtest(count, of).proportion_ci(confidence, method="wilson")
    # Rounding must not push an end past the rate that it encloses.
    return min(float(found.low), count / of), max(float(found.high), count / of)
