"""Votes: classes of equal answers, ties, agreement, and independence of the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.math_answer import MathVerifier
from verifiers.voting import classes, vote


def same_text(first: str, second: str) -> bool:
    return first == second


def near(first: str, second: str) -> bool:
    """Not transitive by itself: 1 is near 2, 2 is near 3."""
    return abs(int(first) - int(second)) <= 1


def test_the_majority_wins_and_agreement_is_of_all_samples() -> None:
    result = vote(["1", "2", "1", None, "1", ""], same_text, min_agreement=0.5)
    assert (result.answer, result.agreement, result.reason) == ("1", 0.5, "")
    assert dict(result.counts) == {"1": 3, "2": 1}


def test_low_agreement_and_no_answers_win_nothing() -> None:
    low = vote(["1", "2", None, None], same_text, min_agreement=0.5)
    assert low.answer is None
    assert "below" in low.reason
    empty = vote([None, None], same_text, min_agreement=0.0)
    assert (empty.answer, empty.agreement) == (None, 0.0)
    assert vote([], same_text, min_agreement=0.0).answer is None


def test_ties() -> None:
    answers = ["2", "1", "1", "2"]
    assert vote(answers, same_text, min_agreement=0.0, ties="drop").answer is None
    assert vote(answers, same_text, min_agreement=0.0, ties="first").answer == "2"
    with pytest.raises(ValueError, match="drop or first"):
        vote(answers, same_text, min_agreement=0.0, ties="last")  # type: ignore[arg-type]


def test_classes_are_transitive() -> None:
    assert classes(["3", "1", "2", "9"], near) == [["1", "2", "3"], ["9"]]


@given(st.lists(st.integers(0, 12).map(str) | st.none(), max_size=12), st.randoms(use_true_random=False))
def test_the_order_does_not_matter(answers: list[str | None], order: random.Random) -> None:
    shuffled = list(answers)
    order.shuffle(shuffled)
    assert vote(answers, near, min_agreement=0.2) == vote(shuffled, near, min_agreement=0.2)


def test_a_canonical_form_saves_comparisons() -> None:
    calls = []

    def equal(first: str, second: str) -> bool:
        calls.append((first, second))
        return False

    vote([f"{n}/2" for n in range(2)] * 50, equal, min_agreement=0.0, canonical=lambda answer: answer)
    assert len(calls) == 1


def test_math_answers_vote_by_value() -> None:
    math = MathVerifier(workers=1)
    answers = ["1/2", r"\frac{1}{2}", "0.5", "2", None]
    result = vote(answers, math.equal, min_agreement=0.5, canonical=math.canonical)
    math.close()
    assert result.agreement == 0.6
    assert math.equal(result.answer or "", "0.5")
    assert math._pool.started == 0
