"""The math verifier: is the completion's final answer the gold answer, written some other way?

Strings and exact fractions decide most pairs in microseconds in the caller's process. What needs algebra goes
to worker processes with a hard deadline and a memory cap, since an answer such as 9^9^9^9 has no other end.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from verifiers.extraction import boxed_answer, choice_letter, final_text, math_answer
from verifiers.math_compare import same
from verifiers.math_form import Form
from verifiers.math_forms import form_of
from verifiers.math_text import squeezed
from verifiers.model import Task, Verdict
from verifiers.pool import WorkerPool

_GOLD_CHOICE = re.compile(
    r"^\s*\$?(?:\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{)?\s*\(?\s*([A-J])\s*\)?[.\s]*\}?\$?\s*$"
)
_INTEGER = re.compile(r"-?[1-9][0-9]{0,200}")
_MAX_FORMS = 8192
_MAX_ANSWER = 20_000
_MAX_GOLD = 100_000
_SHORT_GOLD = 60


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two answers are the same. `equal` is None when that could not be found out; `status` says
    why."""

    equal: bool | None
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Pending:
    answer: str
    gold: str
    seconds: float


class MathVerifier:
    """Judges the final answer of a completion against `task.answer`.

    Statuses: correct, wrong, no_answer, and, without a reward: gold_unparsable, timed_out, over_memory,
    not_checked (a worker ended or failed). Safe from any thread; workers start when first needed.
    """

    name = "math"

    def __init__(
        self,
        *,
        workers: int = 2,
        deadline_s: float = 5.0,
        memory_mb: int = 1024,
        percent_is_number: bool = False,
        require_box: bool = False,
        cache_size: int = 100_000,
    ) -> None:
        """`percent_is_number` lets 50 stand for 50%; `require_box` takes an answer from a box only;
        `deadline_s` and `memory_mb` bound one comparison in a worker."""
        self._pool = WorkerPool("verifiers.math_worker", workers=workers, deadline_s=deadline_s, memory_mb=memory_mb)
        self._percent_is_number = percent_is_number
        self._require_box = require_box
        self._verdicts: _Bounded[tuple[str, str], Comparison] = _Bounded(cache_size)
        self._forms: _Bounded[str, Form] = _Bounded(_MAX_FORMS)
        self.fingerprint = f"math/1/{percent_is_number:d}{require_box:d}/{deadline_s:g}/{memory_mb}"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        quick = self._quick(task, completion)
        return quick if isinstance(quick, Verdict) else self._slow(quick)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order: the easy ones at once, then the rest, as many at a time as there are workers."""
        first = [self._quick(task, completion) for task, completion in items]
        if sum(isinstance(quick, _Pending) for quick in first) < 2:
            return [quick if isinstance(quick, Verdict) else self._slow(quick) for quick in first]
        with ThreadPoolExecutor(self._pool.workers) as threads:
            return list(threads.map(lambda quick: quick if isinstance(quick, Verdict) else self._slow(quick), first))

    def _quick(self, task: Task, completion: str) -> Verdict | _Pending:
        """Judges without a worker, or says what a worker has to compare."""
        begun = time.perf_counter()
        gold = _gold_answer(task.answer)
        if gold is None:
            return _verdict("gold_unparsable", "the task has no readable answer", begun)
        answer, reason = self._answer(completion, gold)
        if answer is None:
            return _verdict("no_answer", reason, begun)
        if not _INTEGER.fullmatch(gold) and _is_undefined(gold):
            return _verdict("gold_unparsable", "the task's answer has no value", begun)
        compared = self._known(answer, gold)
        if compared is None:
            return _Pending(answer, gold, time.perf_counter() - begun)
        return _verdict(compared.status, compared.reason, begun, _details(answer, gold))

    def _slow(self, pending: _Pending) -> Verdict:
        begun = time.perf_counter() - pending.seconds
        compared = self.compare(pending.answer, pending.gold)
        return _verdict(compared.status, compared.reason, begun, _details(pending.answer, pending.gold))

    def compare(self, first: str, second: str) -> Comparison:
        """Compares two answers, symmetrically, without looking for them in a text."""
        known = self._known(first, second)
        if known is not None:
            return known
        key = _key(first, second)
        asked = self._ask(*key)
        # a worker that ended for a reason of its own may well answer the next time
        if asked.status != "not_checked":
            self._verdicts.put(key, asked)
        return asked

    def _known(self, first: str, second: str) -> Comparison | None:
        """Returns what strings, exact numbers or the cache tell, or None."""
        if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second):
            return _compared(first == second)
        key = _key(first, second)
        known = self._verdicts.get(key)
        if known is not None:
            return known
        if max(len(first), len(second)) > _MAX_ANSWER:
            return Comparison(False, "wrong", "the answer is too long to be one")
        decided = same(self._form(first), self._form(second))
        if decided is None and squeezed(first) == squeezed(second):
            decided = True
        if decided is None:
            return None
        self._verdicts.put(key, _compared(decided))
        return _compared(decided)

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers are the same; False when that could not be found out."""
        return self.compare(first, second).equal is True

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal; for `voting`."""
        form = self._form(answer)
        if form.number is not None:
            return f"{form.number.numerator:x}/{form.number.denominator:x}"
        return form.text or squeezed(answer)

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion as text, or None."""
        return self._answer(completion, "")[0]

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        self._verdicts.clear()
        self._forms.clear()

    def close(self) -> None:
        """Ends the worker processes."""
        self._pool.close()

    def _answer(self, completion: str, gold: str) -> tuple[str | None, str]:
        text = final_text(completion)
        if text is None:
            return None, "the thinking never ends"
        if self._require_box and boxed_answer(text) is None:
            return None, "there is no box after the thinking"
        if _GOLD_CHOICE.match(gold):
            letter = choice_letter(text)
            if letter is not None:
                return letter, ""
        found = math_answer(text)
        return found.text, found.reason

    def _form(self, answer: str) -> Form:
        form = self._forms.get(answer)
        if form is None:
            form = form_of(self._shown(answer))
            self._forms.put(answer, form)
        return form

    def _shown(self, answer: str) -> str:
        return answer.replace("\\%", "").replace("%", "") if self._percent_is_number else answer

    def _ask(self, first: str, second: str) -> Comparison:
        outcome = self._pool.ask({"first": self._shown(first), "second": self._shown(second)})
        if outcome.status != "ok":
            status = outcome.status if outcome.status in {"timed_out", "over_memory"} else "not_checked"
            return Comparison(None, status, outcome.reason)
        if outcome.value is None:
            return Comparison(None, "not_checked", "the worker could not tell")
        return _compared(outcome.value is True)


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Bounded(Generic[_Key, _Value]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _Key) -> _Value | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def put(self, key: _Key, value: _Value) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)


def _key(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _details(answer: str, gold: str) -> dict[str, str]:
    return {"answer": answer[:500], "gold": gold[:500]}


def _compared(equal: bool) -> Comparison:
    return Comparison(equal, "correct" if equal else "wrong")


def _gold_answer(gold: str | None) -> str | None:
    """Returns the answer that a gold text holds: a bare answer, or a solution that ends in one."""
    if gold is not None and _INTEGER.fullmatch(gold):
        return gold
    if gold is None or not gold.strip() or len(gold) > _MAX_GOLD:
        return None
    if len(gold) <= _SHORT_GOLD and not re.search(r"boxed|fbox|\$|\\\(|\\\[|answer|\bis\b", gold):
        return gold
    return math_answer(gold).text


def _is_undefined(gold: str) -> bool:
    return bool(re.fullmatch(r"-?\d+/0+|\\frac\{-?\d+\}\{0+\}|\W*", squeezed(gold)))


def _verdict(status: str, reason: str, begun: float, details: dict[str, str] | None = None) -> Verdict:
    passed = {"correct": True, "wrong": False, "no_answer": False}.get(status)
    reward = None if passed is None else float(passed)
    return Verdict(passed, reward, status, reason, details or {}, time.perf_counter() - begun)
