"""The final answer of a completion, found and put to a comparison: what the two math verifiers share.

What needs a worker goes to one while the caller's thread goes on reading, each pair of answers once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from verifiers.extraction import boxed_answer, choice_letter, final_text, math_answer
from verifiers.mathematics.comparer import Comparison, LibraryComparer, Pair
from verifiers.model import Task, Verdict
from verifiers.patterns import linear

_GOLD_CHOICE = linear.compile(
    r"^\s*\$?(?:\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{)?\s*\(?\s*([A-J])\s*\)?[.\s]*\}?\$?\s*$"
)
_INTEGER = linear.compile(r"-?[1-9][0-9]{0,200}")
_SAYS_SOMETHING = linear.compile(r"[^\W_]|[^\x00-\x7f]")
_BARE_GOLD = linear.compile(r"boxed|fbox|\$|\\\(|\\\[|answer|\bis\b")
_MAX_GOLD = 100_000
_SHORT_GOLD = 60
_MAX_CHUNK = 4
_PASSED = {"correct": True, "wrong": False, "no_answer": False}


@dataclass(frozen=True, slots=True)
class _Pending:
    """A pair that was found in a task and a completion, and the seconds that this took."""

    answer: str
    gold: str
    seconds: float


class FinalAnswerVerifier:
    """Judges the final answer of a completion against `task.answer`.

    Safe from any thread; workers start when first needed.
    """

    overlaps = True

    def __init__(self, comparer: LibraryComparer, *, require_box: bool) -> None:
        """`require_box` takes an answer from a box only."""
        self._comparer = comparer
        self._pool = comparer.pool
        self._require_box = require_box

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        quick = self._quick(task, completion)
        if isinstance(quick, Verdict):
            return quick
        [(compared, seconds)] = self._comparer.ask([(quick.answer, quick.gold)])
        return _judged(quick, compared, seconds)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order: workers compare what the caller's thread leaves them, while it goes on reading."""
        with ThreadPoolExecutor(self._pool.workers) as threads:
            asked = _Asked(self._comparer, threads, min(max(len(items) // (32 * self._pool.workers), 1), _MAX_CHUNK))
            first = [self._quick(task, completion, asked) for task, completion in items]
            answers = asked.answers()
        return [
            quick if isinstance(quick, Verdict) else _judged(quick, *answers[quick.answer, quick.gold])
            for quick in first
        ]

    def _quick(self, task: Task, completion: str, asked: _Asked | None = None) -> Verdict | _Pending:
        """Judges without a worker, or says what a worker has to compare, and asks one if this is a batch."""
        begun = time.perf_counter()
        gold = _gold_answer(task.answer)
        if gold is None:
            return _verdict("gold_unparsable", "the task has no readable answer", begun)
        answer, reason = self._answer(completion, gold)
        if answer is None:
            return _verdict("no_answer", reason, begun)
        compared = self._comparer.known(answer, gold, leave_algebra=asked is not None)
        pending = _Pending(answer, gold, time.perf_counter() - begun)
        if compared is not None:
            return _judged(pending, compared, 0.0)
        if asked is not None:
            asked.add((answer, gold))
        return pending

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion as text, or None."""
        return self._answer(completion, "")[0]

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        self._comparer.forget()

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


class _Asked:
    """Pairs on their way to the workers, a few at a time, each pair once."""

    def __init__(self, comparer: LibraryComparer, threads: ThreadPoolExecutor, size: int) -> None:
        self._comparer, self._threads, self._size = comparer, threads, size
        self._chunk: list[Pair] = []
        self._seen: set[Pair] = set()
        self._sent: list[tuple[list[Pair], Future[list[tuple[Comparison, float]]]]] = []

    def add(self, pair: Pair) -> None:
        if pair not in self._seen:
            self._seen.add(pair)
            self._chunk.append(pair)
            if len(self._chunk) == self._size:
                self._send()

    def answers(self) -> dict[Pair, tuple[Comparison, float]]:
        if self._chunk:
            self._send()
        return {pair: found for chunk, future in self._sent for pair, found in zip(chunk, future.result(), strict=True)}

    def _send(self) -> None:
        self._sent.append((self._chunk, self._threads.submit(self._comparer.ask, self._chunk)))
        self._chunk = []


def _judged(pending: _Pending, compared: Comparison, seconds: float) -> Verdict:
    """Returns the verdict of a comparison; a gold that has no value or can't be read is no one's wrong answer."""
    begun = time.perf_counter() - pending.seconds - seconds
    status, reason = compared.status, compared.reason
    if compared.equal is False:
        why = compared.faults.get(pending.gold) or ("" if _SAYS_SOMETHING.search(pending.gold) else "it says nothing")
        if why:
            status, reason = "gold_unparsable", f"the task's answer can't be judged by: {why}"
        else:
            fault = compared.faults.get(pending.answer)
            reason = f"the answer is none: {fault}" if fault else reason or "it is not the task's answer"
    details = {"answer": pending.answer[:500], "gold": pending.gold[:500]}
    return _verdict(status, reason, begun, details)


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
