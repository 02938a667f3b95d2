"""The final answer of a completion against that of a task: what the two math verifiers share.

The caller's thread reads no text: it cuts the thinking off, sends what differs to workers, each pair of texts once, and
waits. So whatever extraction, reading or algebra do with one item, its verdict is there within `deadline_s` of a
worker's time, the other items of a batch have theirs, and the caller's thread is free at that time.
"""

from __future__ import annotations

from collections.abc import Sequence

from verifiers.mathematics.comparer import Found, LibraryComparer, Pair
from verifiers.model import Task, Verdict, Verifier

_MAX_GOLD = 100_000
_ENDS_OF_THINKING = ("</think>", "</thinking>")
_PASSED = {"correct": True, "wrong": False, "no_answer": False}


class FinalAnswerVerifier(Verifier):
    """Judges the final answer of a completion against `task.answer`.

    Safe from any thread; workers start when first needed.
    """

    overlaps = True

    def __init__(self, comparer: LibraryComparer) -> None:
        """Takes what puts texts to workers."""
        self._comparer = comparer

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many, in order, spread over the workers."""
        pairs = [_texts(task, completion) for task, completion in items]
        distinct = list(dict.fromkeys(pair for pair in pairs if pair is not None))
        found = dict(zip(distinct, map(_judged, self._comparer.judge(distinct)), strict=True))
        return [_NO_GOLD if pair is None else found[pair] for pair in pairs]

    def extract(self, completion: str) -> str | None:
        """Returns the final answer of a completion as text, or None."""
        return self._comparer.extract(_after_thinking(completion))

    def forget(self) -> None:
        """Empties the caches; for measurements."""
        self._comparer.forget()

    def start(self) -> None:
        """Starts all worker processes at once, for a service that nobody should wait for. Raises OSError."""
        self._comparer.start()

    def close(self) -> None:
        """Ends the worker processes."""
        self._comparer.close()


def _texts(task: Task, completion: str) -> Pair | None:
    """Returns what is sent for an item; None where there is no gold to send."""
    gold = task.answer
    if gold is None or len(gold) > _MAX_GOLD or not gold.strip():
        return None
    return gold, _after_thinking(completion)


def _after_thinking(completion: str) -> str:
    """Returns the text from the last end of thinking on; what stands before it is none of an answer's."""
    return completion[max(0, *map(completion.rfind, _ENDS_OF_THINKING)) :]


def _judged(found: Found) -> Verdict:
    """Returns the verdict of a comparison; a gold that has no value or can't be read is no one's wrong answer."""
    status, reason = found.comparison.status, found.comparison.reason
    if found.comparison.equal is False:
        faults = found.comparison.faults
        if why := faults.get(found.gold):
            status, reason = "gold_unparsable", f"the task's answer can't be judged by: {why}"
        else:
            fault = faults.get(found.answer)
            reason = f"the answer is none: {fault}" if fault else reason or "it is not the task's answer"
    details = {"answer": found.answer[:500], "gold": found.gold[:500]} if found.gold else {}
    return _verdict(status, reason, details, found.seconds)


def _verdict(status: str, reason: str, details: dict[str, str], seconds: float) -> Verdict:
    passed = _PASSED.get(status)
    return Verdict(passed, None if passed is None else float(passed), status, reason, details, seconds)


_NO_GOLD = _verdict("gold_unparsable", "the task has no readable answer", {}, 0.0)
