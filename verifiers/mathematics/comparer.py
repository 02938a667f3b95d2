"""Puts texts to worker processes that can be killed, and says what came of it.

The caller's process never reads a text: it looks up what is known, tells two plain integers apart, and waits, each time
no longer than a question is allowed. What was compared is remembered, in caches of bounded size. Safe from any thread.

An answer that can't be decided within its bounds is wrong where the gold, alone, can be followed within half of them:
else a tower of exponents would be worth more than an honest mistake. Where the gold can't, or the machine had no time
for the worker, nobody is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from verifiers.cache import BoundedCache
from verifiers.pool.pool import Bounds, WorkerOutcome, WorkerPool

Pair = tuple[str, str]

_MOST_KEPT = 4000
"""Characters of a pair that is remembered."""
_LONGEST_INTEGER = 200
_READING, _COMPARING, _WEIGHING = 0.1, 0.3, 0.15
"""Shares of the deadline that are processor time: an answer spends its time before the deadline comes, also on a
machine with three times the work that it has cores for."""
_IN_READING = frozenset(("spent", "over_memory"))
_IN_COMPARING = _IN_READING | {"failed", "ok"}
"""Outcomes that an answer may be to blame for: no worker that slept or was killed from outside, no fault of ours."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two answers are the same. `equal` is None when that could not be found out; `status` says why."""

    equal: bool | None
    status: str
    reason: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why an answer can't be read or has no value, by answer; empty for a pair that is the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answers that a worker found in a gold text and in a completion, and what came of comparing them."""

    comparison: Comparison
    answer: str = ""
    gold: str = ""
    seconds: float = 0.0


_UNDECIDED = "undecided"
_SAME = Comparison(True, "correct")
_DIFFERENT = Comparison(False, "wrong")


class LibraryComparer:
    """Compares as the library math-verify does, the second answer being the gold one.

    Statuses: correct, wrong, timed_out, over_memory, worker_died, not_checked (a worker failed in another way).
    """

    by_library = True
    programs = ("verifiers.mathematics.worker", "verifiers.mathematics.algebra")
    """Of the workers that read, and of those that compare what rules don't decide."""

    def __init__(
        self,
        *,
        workers: int,
        deadline_s: float,
        memory_mb: int,
        cache_size: int,
        require_box: bool = False,
        percent_is_number: bool = False,
    ) -> None:
        """`deadline_s` and `memory_mb` bound one verdict; `require_box` takes an answer from a box only;
        `percent_is_number` lets 50 stand for 50%."""
        # Most pairs need no algebra, and its libraries take four times as long to load as all else.
        self._readers, self._algebra = (
            WorkerPool(program, workers=workers, memory_mb=memory_mb) for program in self.programs
        )
        self._deadline_s = deadline_s
        self._rules = {"library": self.by_library, "box": require_box, "percent": percent_is_number}
        self._compared: BoundedCache[tuple[str, ...], Comparison] = BoundedCache(cache_size)
        self._golds: BoundedCache[tuple[str, bool], bool] = BoundedCache(cache_size)
        self._spellings: BoundedCache[str, str] = BoundedCache(8192)

    def judge(self, pairs: Sequence[Pair]) -> list[Found]:
        """Judges completions by gold texts, given as (gold text, completion)."""
        return self._decide("judge", pairs)

    def _decide(self, kind: str, pairs: Sequence[Pair]) -> list[Found]:
        """Has pairs read, and compared by rules, and then those compared that the rules don't decide."""
        unread = [pair for pair in pairs if self._golds.get((pair[0], True)) is not False]
        questions = [self._question(kind, gold=gold, completion=text) for gold, text in unread]
        outcomes = dict(zip(unread, self._read(questions), strict=True))
        found = {pair: self._found(outcome) for pair, outcome in outcomes.items()}
        self._blame(found, {pair: (pair[0], outcome) for pair, outcome in outcomes.items()}, text=True)
        asked = {(one.answer, one.gold): one.seconds for one in found.values() if one.comparison.status == _UNDECIDED}
        compared = self._compare(asked)
        none = Found(Comparison(None, "timed_out", "the task's answer can't be read within the bounds"))
        for pair, one in found.items():
            if one.comparison.status == _UNDECIDED:
                later, seconds = compared[one.answer, one.gold]
                found[pair] = replace(one, comparison=later, seconds=one.seconds + seconds)
        return [found.get(pair, none) for pair in pairs]

    def compare(self, first: str, second: str) -> Comparison:
        """Compares two answers."""
        if _is_integer(first) and _is_integer(second):
            return _SAME if first == second else _DIFFERENT
        known = self._compared.get(self._key(first, second)) or self._compared.get((first, second, _UNDECIDED))
        if known is None and self.by_library:
            known = self._compare({(first, second): 0.0})[first, second][0]
        elif known is None:
            known = self._decide("rules", [(second, first)])[0].comparison
            # One with a reason is of bounds that another try may meet.
            if known.equal is not None and not known.reason and len(first) + len(second) <= _MOST_KEPT:
                self._compared.put(self._key(first, second), known)
        return known

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion; None where it has none, or none within the bounds."""
        [outcome] = self._read([self._question("extract", completion=completion)])
        return outcome.value["answer"] if outcome.status == "ok" else None

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal."""
        known = self._spellings.get(answer)
        if known is None:
            [outcome] = self._read([self._question("canonical", answer=answer)])
            known = str(outcome.value["spelling"]) if outcome.status == "ok" else answer
            self._spellings.put(answer, known)
        return known

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        for cache in (self._compared, self._golds, self._spellings):
            cache.clear()

    def start(self) -> None:
        """Starts all worker processes at once, not each when it is first needed. Raises OSError."""
        self._readers.start()
        self._algebra.start()

    def close(self) -> None:
        """Ends the worker processes."""
        self._readers.close()
        self._algebra.close()

    def _read(self, questions: Sequence[object]) -> list[WorkerOutcome]:
        bounds = [Bounds(self._deadline_s, _READING * self._deadline_s)] * len(questions)
        return self._readers.spread(questions, bounds)

    def _compare(self, asked: Mapping[Pair, float]) -> dict[Pair, tuple[Comparison, float]]:
        """Compares pairs, each with the seconds that were spent on it before; adds those that this took."""
        keys = {pair: self._key(*pair) for pair in asked}
        known = {
            pair: kept
            for pair, key in keys.items()
            if (kept := self._compared.get(key) or self._compared.get((*pair, _UNDECIDED))) is not None
        }
        left = [pair for pair in asked if pair not in known]
        questions = [self._question("compare", first=first, second=second) for first, second in left]
        bounds = [Bounds(max(self._deadline_s - asked[pair], 0.1), _COMPARING * self._deadline_s) for pair in left]
        outcomes = dict(zip(left, self._algebra.spread(questions, bounds), strict=True))
        found = {pair: Found(_comparison(pair, outcome), seconds=outcome.seconds) for pair, outcome in outcomes.items()}
        self._blame(found, {pair: (pair[1], outcome) for pair, outcome in outcomes.items()}, text=False)
        for pair, one in found.items():
            decided = outcomes[pair].status == "ok" and outcomes[pair].value["equal"] is not None
            # a worker that ended for a reason of its own may well answer the next time
            if (decided or outcomes[pair].status in _IN_READING) and sum(map(len, pair)) <= _MOST_KEPT:
                self._compared.put(keys[pair] if decided else (*pair, _UNDECIDED), one.comparison)
        fresh = {pair: (one.comparison, one.seconds) for pair, one in found.items()}
        return fresh | {pair: (comparison, 0.0) for pair, comparison in known.items()}

    def _blame(self, found: dict[Any, Found], asked: Mapping[Any, tuple[str, WorkerOutcome]], *, text: bool) -> None:
        """Makes wrong what was not decided though the gold, alone, can be; `text`: as far as it was to be read."""
        outcomes = _IN_READING if text else _IN_COMPARING
        open_ones = {
            key: gold
            for key, (gold, outcome) in asked.items()
            if found[key].comparison.equal is None and outcome.status in outcomes
        }
        golds = [gold for gold in dict.fromkeys(open_ones.values()) if self._golds.get((gold, text)) is None]
        questions = [self._question("weigh", gold=gold, text=text) for gold in golds]
        bounds = [Bounds(0.5 * self._deadline_s, _WEIGHING * self._deadline_s)] * len(golds)
        pool = self._readers if text else self._algebra
        for gold, outcome in zip(golds, pool.spread(questions, bounds), strict=True):
            if outcome.status not in {"died", "timed_out"}:
                self._golds.put((gold, text), outcome.status == "ok" and outcome.value["plain"])
        for key, gold in open_ones.items():
            if self._golds.get((gold, text)):
                why = f"it could not be shown equal within the bounds: {found[key].comparison.reason}"
                found[key] = replace(found[key], comparison=Comparison(False, "wrong", why))

    def _question(self, kind: str, **texts: object) -> dict[str, object]:
        return {"do": kind, **texts, **self._rules}

    def _key(self, first: str, second: str) -> Pair:
        return first, second

    def _found(self, outcome: WorkerOutcome) -> Found:
        value = outcome.value if outcome.status == "ok" else {}
        if "status" in value:
            return Found(Comparison(None, value["status"], value["reason"]), seconds=outcome.seconds)
        pair = (str(value.get("answer", "")), str(value.get("gold", "")))
        if value and value["equal"] is None:
            return Found(Comparison(None, _UNDECIDED), *pair, outcome.seconds)
        return Found(_comparison(pair, outcome), *pair, outcome.seconds)


class AnswerComparer(LibraryComparer):
    """Compares by our own rules and algebra, symmetrically; the library has the last word on what these can't read."""

    by_library = False

    def _key(self, first: str, second: str) -> Pair:
        return (first, second) if first <= second else (second, first)


def _is_integer(text: str) -> bool:
    return len(text) <= _LONGEST_INTEGER and text.isascii() and text.isdigit() and text[0] != "0"


def _comparison(pair: Pair, outcome: WorkerOutcome) -> Comparison:
    if outcome.status != "ok":
        return Comparison(None, outcome.verdict_status, outcome.reason)
    equal = outcome.value["equal"]
    if equal is None:
        return Comparison(None, "not_checked", "the worker could not tell")
    if equal:
        return _SAME
    faults = {answer: why for answer, why in zip(pair, outcome.value.get("faults", ()), strict=False) if why}
    return Comparison(False, "wrong", faults=faults) if faults else _DIFFERENT
