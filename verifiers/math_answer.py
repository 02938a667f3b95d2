"""The math verifier: is the completion's final answer the gold answer, written some other way?

Strings and exact fractions decide most pairs in microseconds in the caller's process. What needs algebra goes
to worker processes with a hard deadline and a memory cap, since an answer such as 9^9^9^9 has no other end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from verifiers.bounded_cache import BoundedCache
from verifiers.extraction import boxed_answer, choice_letter, final_text, math_answer
from verifiers.math_compare import same
from verifiers.math_form import Form, why_unreadable
from verifiers.math_forms import form_of
from verifiers.math_text import squeezed
from verifiers.model import Task, Verdict
from verifiers.pool import WorkerPool

_GOLD_CHOICE = re.compile(
    r"^\s*\$?(?:\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{)?\s*\(?\s*([A-J])\s*\)?[.\s]*\}?\$?\s*$"
)
_NOTHING = re.compile(r"[\W_]*")
_INTEGER = re.compile(r"-?[1-9][0-9]{0,200}")
_BARE_GOLD = re.compile(r"boxed|fbox|\$|\\\(|\\\[|answer|\bis\b")
_MAX_FORMS = 8192
_MAX_ANSWER = 20_000
_MAX_GOLD = 100_000
_SHORT_GOLD = 60
_PASSED = {"correct": True, "wrong": False, "no_answer": False}
_OF_OUTCOME = {"timed_out": "timed_out", "over_memory": "over_memory", "died": "worker_died"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two answers are the same. `equal` is None when that could not be found out; `status` says why."""

    equal: bool | None
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Pending:
    answer: str
    gold: str
    seconds: float


_Timed = tuple[Comparison, float]


class MathVerifier:
    """Judges the final answer of a completion against `task.answer`.

    Statuses: correct, wrong, no_answer, and, without a reward: gold_unparsable, timed_out, over_memory,
    worker_died, not_checked (a worker failed in another way). Safe from any thread; workers start when first needed.
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
        self._compared: BoundedCache[tuple[str, str], Comparison] = BoundedCache(cache_size)
        self._forms: BoundedCache[str, Form] = BoundedCache(_MAX_FORMS)
        self.fingerprint = f"math/2/{percent_is_number:d}{require_box:d}/{deadline_s:g}/{memory_mb}"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        quick = self._quick(task, completion)
        return quick if isinstance(quick, Verdict) else self._slow(quick, self._timed(quick.answer, quick.gold))

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order: workers compare what the caller's thread can't decide while it goes on reading."""
        first: list[Verdict | _Pending] = []
        asked: dict[tuple[str, str], Future[_Timed]] = {}
        with ThreadPoolExecutor(self._pool.workers) as threads:
            for task, completion in items:
                quick = self._quick(task, completion)
                first.append(quick)
                if isinstance(quick, _Pending) and (quick.answer, quick.gold) not in asked:
                    asked[quick.answer, quick.gold] = threads.submit(self._timed, quick.answer, quick.gold)
            return [
                quick if isinstance(quick, Verdict) else self._slow(quick, asked[quick.answer, quick.gold].result())
                for quick in first
            ]

    def _quick(self, task: Task, completion: str) -> Verdict | _Pending:
        """Judges without a worker, or says what a worker has to compare."""
        begun = time.perf_counter()
        gold = _gold_answer(task.answer)
        if gold is None:
            return _verdict("gold_unparsable", "the task has no readable answer", begun)
        answer, reason = self._answer(completion, gold)
        if answer is None:
            return _verdict("no_answer", reason, begun)
        compared = self._known(answer, gold)
        if compared is None:
            return _Pending(answer, gold, time.perf_counter() - begun)
        return _verdict(*self._blamed(compared, gold), begun, _details(answer, gold))

    def _timed(self, answer: str, gold: str) -> _Timed:
        begun = time.perf_counter()
        return self.compare(answer, gold), time.perf_counter() - begun

    def _slow(self, pending: _Pending, timed: _Timed) -> Verdict:
        compared, seconds = timed
        begun = time.perf_counter() - pending.seconds - seconds
        details = _details(pending.answer, pending.gold)
        return _verdict(*self._blamed(compared, pending.gold), begun, details)

    def _blamed(self, compared: Comparison, gold: str) -> tuple[str, str]:
        """Returns status and reason; a gold that has no value or can't be read is no one's wrong answer."""
        if compared.equal is True or _INTEGER.fullmatch(gold):
            return compared.status, compared.reason
        form = self._form(gold)
        if form.undefined or _NOTHING.fullmatch(squeezed(gold)):
            return "gold_unparsable", "the task's answer has no value"
        unread = f"the task's answer can't be read: {why}" if (why := why_unreadable(form)) else ""
        if compared.equal is False and (unread or compared.reason == _unread(gold)):
            return "gold_unparsable", unread or compared.reason
        return compared.status, compared.reason

    def compare(self, first: str, second: str) -> Comparison:
        """Compares two answers, symmetrically, without looking for them in a text."""
        known = self._known(first, second)
        if known is not None:
            return known
        key = _key(first, second)
        asked = self._ask(*key)
        # a worker that ended for a reason of its own may well answer the next time
        if asked.status not in {"not_checked", "worker_died"}:
            self._compared.put(key, asked)
        return asked

    def _known(self, first: str, second: str) -> Comparison | None:
        """Returns what strings, exact numbers or the cache tell, or None."""
        if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second):
            return _CORRECT if first == second else _WRONG
        key = _key(first, second)
        known = self._compared.get(key)
        if known is not None:
            return known
        if max(len(first), len(second)) > _MAX_ANSWER:
            return _CORRECT if first == second else Comparison(False, "wrong", "the answer is too long to be one")
        forms = self._form(first), self._form(second)
        if squeezed(first) == squeezed(second):
            decided: bool | None = not forms[0].undefined
        else:
            decided = same(*forms)
        if decided is None:
            return None
        compared = _CORRECT if decided else _WRONG
        self._compared.put(key, compared)
        return compared

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers are the same; False when that could not be found out."""
        return self.compare(first, second).equal is True

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal; for `voting`."""
        form = self._form(answer)
        if form.number is not None and form.unit is None:
            return f"{form.number.numerator:x}/{form.number.denominator:x}"
        return f"{form.text or squeezed(answer)} {form.unit or ''}"

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion as text, or None."""
        return self._answer(completion, "")[0]

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        self._compared.clear()
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
        if outcome.status != "ok" or not isinstance(outcome.value, dict):
            return Comparison(None, _OF_OUTCOME.get(outcome.status, "not_checked"), outcome.reason)
        equal = outcome.value.get("equal")
        if equal is None:
            return Comparison(None, "not_checked", "the worker could not tell")
        unread = next((text for at, text in enumerate((first, second)) if at in outcome.value.get("unread", ())), None)
        if unread is not None and equal is not True:
            return Comparison(False, "wrong", _unread(unread))
        return _CORRECT if equal is True else _WRONG


_CORRECT = Comparison(True, "correct")
_WRONG = Comparison(False, "wrong")


def _unread(answer: str) -> str:
    return f"no parser reads {answer[:100]!r}"


def _key(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _details(answer: str, gold: str) -> dict[str, str]:
    return {"answer": answer[:500], "gold": gold[:500]}


def _gold_answer(gold: str | None) -> str | None:
    """Returns the answer that a gold text holds: a bare answer, or a solution that ends in one."""
    if gold is not None and _INTEGER.fullmatch(gold):
        return gold
    if gold is None or not gold.strip() or len(gold) > _MAX_GOLD:
        return None
    if len(gold) <= _SHORT_GOLD and not _BARE_GOLD.search(gold):
        return gold
    return math_answer(gold).text


def _verdict(status: str, reason: str, begun: float, details: dict[str, str] | None = None) -> Verdict:
    passed = _PASSED.get(status)
    reward = None if passed is None else float(passed)
    return Verdict(passed, reward, status, reason, details or {}, time.perf_counter() - begun)
