"""The nouns of verification: a task, a verdict on a completion of it, and what a verifier is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

from verifiers.untrusted.json_values import parse_json


@dataclass(frozen=True, slots=True)
class Test:
    """One check of a program: text in and out, or arguments and the expected value."""

    __test__ = False  # keeps pytest from collecting it

    input: str = ""
    output: str = ""
    args: tuple[Any, ...] | None = None
    """JSON values, by position; None where a program is run rather than a function called."""
    expected: Any = None
    """The JSON value that the call should return."""


@dataclass(frozen=True, slots=True)
class Task:
    """A problem with its label: what a completion is judged against. Which fields matter depends on the verifier."""

    problem: str = ""
    """The text; empty where no verifier reads it, as only a judge does."""
    answer: str | None = None
    tests: tuple[Test, ...] = ()
    entry_point: str | None = None
    language: str = "python"
    time_limit_s: float = 5.0
    memory_mb: int = 512
    float_tolerance: float | None = None
    tolerance_kind: str = "either"
    """The error that the tolerance bounds: the absolute one, the relative one, or either of them."""
    comparison: str | None = None
    """How outputs are compared, by one of `programs.comparison.COMPARISONS`; None leaves it to the verifier."""
    checker: str | None = None
    """Source of a program that judges outputs, with testlib's exit codes."""

    def __post_init__(self) -> None:
        """Takes tests as mappings, too, as rows have them. Raises TypeError where one is no test."""
        if self.tests and not all(isinstance(test, Test) for test in self.tests):
            object.__setattr__(self, "tests", tuple(map(_test_of, self.tests)))


def _test_of(given: Any) -> Test:
    if isinstance(given, Test):
        return given
    known = [item.name for item in fields(Test)]
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise TypeError(f"a test is a Test, or a mapping with some of {', '.join(known)}, not {str(given)[:80]!r}")
    found = {name: value for name, value in given.items() if value is not None}
    for name in ("input", "output"):
        if not isinstance(found.get(name, ""), str):
            raise TypeError(f"`{name}` of a test is a text, not {found[name]!r:.80}")
    if "args" in found:
        found["args"], found["expected"] = _call_of(found["args"], found.get("expected"))
    return Test(**found)


def _call_of(args: Any, expected: Any) -> tuple[tuple[Any, ...], Any]:
    """Arguments and result of a call. Where columns have one type, as in Parquet, both are JSON texts."""
    values = args
    if isinstance(args, str):
        try:
            values = parse_json(args, finite=False)
            expected = None if expected is None else parse_json(expected, finite=False)
        except (TypeError, ValueError) as error:
            told = "`args` of a test, where it is a text, and `expected` beside it are JSON"
            raise TypeError(f"{told}, not {args!r:.80} and {expected!r:.80}") from error
    if not isinstance(values, list | tuple):
        raise TypeError(f"`args` of a test is a list of arguments, or its JSON text, not {args!r:.80}")
    return tuple(values), expected


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed, failed, or could not check; the third is never a reward of zero."""

    passed: bool | None
    reward: float | None
    """In [0, 1]; None exactly when `passed` is None."""
    status: str
    """A short machine name, such as correct, wrong, no_answer, timed_out, accepted, not_checked."""
    reason: str = ""
    """One sentence for a person."""
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.passed is None) != (self.reward is None):
            raise ValueError("a verdict has a reward exactly when it could be reached")
        if self.reward is not None and not 0.0 <= self.reward <= 1.0:
            raise ValueError(f"reward {self.reward} is outside [0, 1]")


@runtime_checkable
class Verifier(Protocol):
    """Judges completions. Pure and deterministic; safe on any text; callable from any thread.

    Three more attributes are read where a verifier has them: `fingerprint`, a text that changes whenever its
    verdicts may (kept verdicts are found by it); `judges`, which is "form" when a pass says nothing about
    the answer (its length, its layout, its language) and "answer" otherwise; and `overlaps`, true when
    `verify_many` judges many at a time by itself. Others are called from several threads to that end.
    """

    name: str

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion: as a batch of one, unless a verifier says otherwise."""
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order; a hang or a crash on one item costs that item's verdict alone."""
        ...

    def close(self) -> None:
        """Ends the worker processes, if there are any."""
        ...
