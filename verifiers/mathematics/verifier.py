"""The math verifiers: is the completion's final answer the gold answer, written some other way?

All that reads a text runs in worker processes with a hard deadline and a memory cap: finding the answer, reading it,
exact rules, and algebra, since an answer such as 9^9^9^9 has no other end. `math` decides by rules of its own;
`math_verify` leaves the comparison to the library of that name.
"""

from __future__ import annotations

import importlib.metadata

from verifiers.mathematics.comparer import AnswerComparer, Comparison, LibraryComparer
from verifiers.mathematics.final_answers import FinalAnswerVerifier

__all__ = ["Comparison", "MathVerifier", "MathVerifyVerifier"]
_DECIDING = ("math-verify", "latex2sympy2_extended", "sympy")
"""Libraries by whose versions a verdict may differ."""


class MathVerifier(FinalAnswerVerifier):
    """Judges the final answer of a completion against `task.answer`: strings, exact rules, algebra, and what only
    math-verify reads by math-verify.

    Statuses: correct, wrong, no_answer, and, without a reward: gold_unparsable, timed_out, over_memory,
    worker_died, not_checked (a worker failed in another way).
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
        `deadline_s` and `memory_mb` bound one verdict in a worker."""
        comparer = AnswerComparer(
            workers=workers,
            deadline_s=deadline_s,
            memory_mb=memory_mb,
            cache_size=cache_size,
            require_box=require_box,
            percent_is_number=percent_is_number,
        )
        super().__init__(comparer)
        rules = f"{percent_is_number:d}{require_box:d}"
        self.fingerprint = f"math/19/{rules}/{deadline_s:g}/{memory_mb}/{_libraries()}"

    def compare(self, first: str, second: str) -> Comparison:
        """Compares two answers, symmetrically, without looking for them in a text."""
        return self._comparer.compare(first, second)

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two answers are the same; False when that could not be found out."""
        return self.compare(first, second).equal is True

    def canonical(self, answer: str) -> str:
        """Returns a spelling that two answers share only if they are equal; for `voting`."""
        return self._comparer.canonical(answer)


class MathVerifyVerifier(FinalAnswerVerifier):
    """Judges by the library math-verify alone, as other frameworks do, but in workers with a deadline and a memory cap.

    The answer is found as `math` finds it: text in thinking that never ends is none. Statuses: those of `math`.
    """

    name = "math_verify"

    def __init__(
        self,
        *,
        workers: int = 2,
        deadline_s: float = 5.0,
        memory_mb: int = 1024,
        require_box: bool = False,
        cache_size: int = 100_000,
    ) -> None:
        """`require_box` takes an answer from a box only; `deadline_s` and `memory_mb` bound one verdict."""
        comparer = LibraryComparer(
            workers=workers,
            deadline_s=deadline_s,
            memory_mb=memory_mb,
            cache_size=cache_size,
            require_box=require_box,
        )
        super().__init__(comparer)
        self.fingerprint = f"math_verify/6/{require_box:d}/{deadline_s:g}/{memory_mb}/{_libraries()}"

    def equal(self, first: str, second: str) -> bool:
        """Tells whether the library takes either of two answers for the other; False when that was not found out."""
        return all(self._comparer.compare(*pair).equal is True for pair in ((first, second), (second, first)))

    def canonical(self, answer: str) -> str:
        """Returns the answer itself: the library has no spelling that two answers share only if they are equal."""
        return answer


def _libraries() -> str:
    return "+".join(importlib.metadata.version(package) for package in _DECIDING)
