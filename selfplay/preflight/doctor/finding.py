"""A finding of the doctor: what was looked at, how it is, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is, from the best to the worst."""

    OK = "ok"
    WARN = "warn"
    """Runs go on, but slower, or not all kinds of them."""
    FAIL = "fail"
    """Runs do not start, or end badly."""


@dataclass(frozen=True, slots=True)
class MachineFinding:
    """One line of the page."""

    subject: str
    state: State
    detail: str
    remedy: str = ""
    """The means to mend it; of what is well, what one may still want."""


def ok(subject: str, detail: str, remedy: str = "") -> MachineFinding:
    """A thing that is well."""
    return MachineFinding(subject, State.OK, detail, remedy)


def warn(subject: str, detail: str, remedy: str) -> MachineFinding:
    """A thing that some runs lack."""
    return MachineFinding(subject, State.WARN, detail, remedy)


def fail(subject: str, detail: str, remedy: str) -> MachineFinding:
    """A thing that runs cannot do without."""
    return MachineFinding(subject, State.FAIL, detail, remedy)


def worst(findings: Iterable[MachineFinding]) -> State:
    """The worst state among findings; ok where there are none."""
    return max((finding.state for finding in findings), key=list(State).index, default=State.OK)
