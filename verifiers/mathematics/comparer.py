"""Compares two answers: by strings and exact rules in the caller's process, by algebra in workers that can be killed.

What was compared is remembered, in a cache of bounded size. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from verifiers.cache import BoundedCache
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.reading.form import Form, fault_of
from verifiers.mathematics.reading.forms import form_of
from verifiers.mathematics.reading.spelling import squeezed
from verifiers.patterns import linear
from verifiers.pool.pool import WorkerOutcome, WorkerPool

Pair = tuple[str, str]

_INTEGER = linear.compile(r"-?[1-9][0-9]{0,200}")
_DIVIDES = linear.compile(r"[/^÷]|\\[dtc]?frac|\\over|\\div|[⁻⁄∕]")
_ALGEBRA = linear.compile(
    r"\\(?:sqrt|pi|ln|log|sin|cos|tan|theta|alpha)(?![a-z])|√|π|(?<![A-Za-z\\{])[a-z](?![A-Za-z\]])"
)
_MAX_FORMS = 8192
_MAX_ANSWER = 20_000
_OF_OUTCOME = {"timed_out": "timed_out", "over_memory": "over_memory", "died": "worker_died"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two answers are the same. `equal` is None when that could not be found out; `status` says why."""

    equal: bool | None
    status: str
    reason: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why an answer can't be read or has no value, by answer; empty for a pair that is the same."""


_SAME = Comparison(True, "correct")
_DIFFERENT = Comparison(False, "wrong")


class LibraryComparer:
    """Compares as the library math-verify does: always in a worker, the second answer being the gold one.

    Statuses: correct, wrong, timed_out, over_memory, worker_died, not_checked (a worker failed in another way).
    """

    program = "verifiers.mathematics.comparing.second_reading"

    def __init__(self, *, workers: int, deadline_s: float, memory_mb: int, cache_size: int) -> None:
        """`deadline_s` and `memory_mb` bound one comparison in a worker."""
        self.pool = WorkerPool(self.program, workers=workers, deadline_s=deadline_s, memory_mb=memory_mb)
        self._compared: BoundedCache[Pair, Comparison] = BoundedCache(cache_size)

    def compare(self, first: str, second: str) -> Comparison:
        """Compares two answers."""
        known = self.known(first, second)
        return known if known is not None else self.ask([(first, second)])[0][0]

    def known(self, first: str, second: str, leave_algebra: bool = False) -> Comparison | None:
        """Returns what rules or the cache tell, or None.

        `leave_algebra` leaves pairs that look like algebra unread, for the workers.
        """
        key = self._key(first, second)
        compared = self._compared.get(key)
        if compared is None:
            compared = self._by_rules(first, second, leave_algebra)
            if compared is not None:
                self._compared.put(key, compared)
        return compared

    def ask(self, pairs: Sequence[Pair]) -> list[tuple[Comparison, float]]:
        """Has one worker compare pairs; returns what it found and in how many seconds."""
        keys = [self._key(*pair) for pair in pairs]
        questions = [{"first": self._shown(first), "second": self._shown(second)} for first, second in keys]
        compared = []
        for key, outcome in zip(keys, self.pool.ask_many(questions), strict=True):
            comparison = _read_outcome(key, outcome)
            # a worker that ended for a reason of its own may well answer the next time
            if comparison.status not in {"not_checked", "worker_died"}:
                self._compared.put(key, comparison)
            compared.append((comparison, outcome.seconds))
        return compared

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        self._compared.clear()

    def _key(self, first: str, second: str) -> Pair:
        return first, second

    def _by_rules(self, first: str, second: str, leave_algebra: bool) -> Comparison | None:
        if max(len(first), len(second)) > _MAX_ANSWER:
            return _SAME if first == second else Comparison(False, "wrong", "the answer is too long to be one")
        return None

    def _shown(self, answer: str) -> str:
        return answer


class AnswerComparer(LibraryComparer):
    """Compares by our own rules and algebra, symmetrically; the library has the last word on what these can't read."""

    program = "verifiers.mathematics.comparing.symbolic"

    def __init__(
        self, *, workers: int, deadline_s: float, memory_mb: int, percent_is_number: bool, cache_size: int
    ) -> None:
        """`percent_is_number` lets 50 stand for 50%; the others are as above."""
        super().__init__(workers=workers, deadline_s=deadline_s, memory_mb=memory_mb, cache_size=cache_size)
        self._percent_is_number = percent_is_number
        self.form = lru_cache(_MAX_FORMS)(self._form)
        """Returns an answer as it is read."""

    def known(self, first: str, second: str, leave_algebra: bool = False) -> Comparison | None:
        """Returns what strings, exact rules or the cache tell, or None; see above."""
        if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second):
            return _SAME if first == second else _DIFFERENT
        return super().known(first, second, leave_algebra)

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        super().forget()
        self.form.cache_clear()

    def _by_rules(self, first: str, second: str, leave_algebra: bool) -> Comparison | None:
        decided = super()._by_rules(first, second, leave_algebra)
        if decided is not None:
            return decided
        alike = squeezed(first) == squeezed(second)
        if alike and not _DIVIDES.search(first):
            return _SAME
        if not alike and leave_algebra and _ALGEBRA.search(first) and _ALGEBRA.search(second):
            return None
        forms = self.form(first), self.form(second)
        equal = not forms[0].undefined if alike else same(*forms)
        if equal is None:
            return None
        return _SAME if equal else _different({first: fault_of(forms[0]), second: fault_of(forms[1])})

    def _key(self, first: str, second: str) -> Pair:
        return (first, second) if first <= second else (second, first)

    def _form(self, answer: str) -> Form:
        return form_of(self._shown(answer))

    def _shown(self, answer: str) -> str:
        return answer.replace("\\%", "").replace("%", "") if self._percent_is_number else answer


def _different(faults: Mapping[str, str]) -> Comparison:
    known = {answer: why for answer, why in faults.items() if why}
    return Comparison(False, "wrong", faults=known) if known else _DIFFERENT


def _read_outcome(key: Pair, outcome: WorkerOutcome) -> Comparison:
    if outcome.status != "ok" or not isinstance(outcome.value, dict):
        return Comparison(None, _OF_OUTCOME.get(outcome.status, "not_checked"), outcome.reason)
    equal, faults = outcome.value.get("equal"), outcome.value.get("faults")
    if equal is None:
        return Comparison(None, "not_checked", "the worker could not tell")
    if equal is True:
        return _SAME
    return _different(dict(zip(key, map(str, faults), strict=True)) if isinstance(faults, list) else {})
