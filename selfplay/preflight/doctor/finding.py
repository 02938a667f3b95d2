"""A finding of the doctor: what was looked at, how it is, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is, from the best to the worst."""

    OK = "ok"
    WARN = "warn"
    """Runs go on, but slower, or not all kinds of them."""
    FAIL = "fail"
    """Runs do not start, or end badly."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page."""

    subject: str
    state: State
    detail: str
    remedy: str = ""
    """What mends it; of what is well, what one may still want."""

    def to_json(self) -> dict[str, str]:
        """Its parts by name."""
        return asdict(self) | {"state": str(self.state)}


def ok(subject: str, detail: str, remedy: str = "") -> Finding:
    """A thing that is well."""
    return Finding(subject, State.OK, detail, remedy)


def warn(subject: str, detail: str, remedy: str) -> Finding:
    """A thing that some runs lack."""
    return Finding(subject, State.WARN, detail, remedy)


def fail(subject: str, detail: str, remedy: str) -> Finding:
    """A thing that runs cannot do without."""
    return Finding(subject, State.FAIL, detail, remedy)


def worst(findings: Iterable[Finding]) -> State:
    """The worst state among findings; ok where there are none."""
    return max((finding.state for finding in findings), key=list(State).index, default=State.OK)
