"""Votes: classes of equal answers, ties, agreement, independence of the order, and what a vote costs."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.mathematics import MathVerifier
from verifiers.pool.pool import WorkerOutcome
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


@pytest.mark.parametrize("weight", [0.1, 0.7, 1 / 3, 1])
def test_what_just_reaches_the_least_agreement_does_at_any_weight(weight: float) -> None:
    """The share of nine votes of a tenth is a float below 0.75."""
    for number in range(1, 16):
        for right in range(1, number + 1):
            answers = ["1"] * right + [None] * (number - right)
            weights = [weight] * number
            found = vote(answers, same_text, min_agreement=right / number, weights=weights)
            assert found.answer == "1"
            assert vote(answers, same_text, min_agreement=right / number + 1e-6, weights=weights).answer is None


def test_ties() -> None:
    answers = ["2", "1", "1", "2"]
    assert vote(answers, same_text, min_agreement=0.0, ties="drop").answer is None
    assert vote(answers, same_text, min_agreement=0.0, ties="first").answer == "2"
    with pytest.raises(ValueError, match="drop or first"):
        vote(answers, same_text, min_agreement=0.0, ties="last")  # type: ignore[arg-type]


def test_a_class_is_what_equals_its_leader() -> None:
    assert classes(["3", "1", "2", "2", "9"], near) == [["1", "2", "3"], ["9"]]
    assert classes(["3", "1", "2", "3", "9"], near) == [["1"], ["2", "3"], ["9"]]


def hours_or_minutes(first: str, second: str) -> bool:
    """A number alone equals itself with any unit."""
    number, _, unit = first.partition(" ")
    other, _, another = second.partition(" ")
    return number == other and (unit == another or not unit or not another)


def test_what_equals_two_that_differ_joins_neither_to_the_other() -> None:
    answers = ["3 hours"] * 3 + ["3 minutes"] * 3 + ["3"] * 2
    tied = vote(answers, hours_or_minutes)
    assert (tied.answer, tied.agreement) == (None, 5 / 8)
    assert dict(tied.counts) == {"3 hours": 5, "3 minutes": 5}
    assert "tied" in tied.reason
    assert vote(answers, hours_or_minutes, ties="first").answer == "3 hours"
    won = vote(["3 hours", *answers], hours_or_minutes)
    assert (won.answer, won.agreement) == ("3 hours", 6 / 9)
    # What is not heard often leads nothing, though all equal it.
    assert vote([*answers, "3 minutes", None], hours_or_minutes).agreement == 6 / 10


@given(st.lists(st.integers(0, 6).map(str) | st.none(), max_size=14))
def test_agreement_is_the_share_that_equals_the_winner(answers: list[str | None]) -> None:
    result = vote(answers, near)
    if result.answer is not None:
        alike = sum(answer is not None and near(answer, result.answer) for answer in answers)
        assert result.agreement == alike / len(answers)
        assert result.agreement == max(result.counts.values()) / len(answers)


SAMPLES = st.lists(st.integers(0, 12).map(str) | st.sampled_from([None, "", "  "]), max_size=14)
ORDERS = st.randoms(use_true_random=False)


@given(SAMPLES, ORDERS)
def test_the_order_does_not_matter(answers: list[str | None], order: random.Random) -> None:
    shuffled = list(answers)
    order.shuffle(shuffled)
    assert vote(answers, near, min_agreement=0.2) == vote(shuffled, near, min_agreement=0.2)
    given_ones = [answer for answer in answers if answer and answer.strip()]
    assert classes(given_ones, near) == classes([answer for answer in shuffled if answer and answer.strip()], near)


@given(SAMPLES)
def test_classes_part_the_answers(answers: list[str | None]) -> None:
    given_ones = [answer for answer in answers if answer and answer.strip()]
    found = classes(given_ones, near)
    assert sorted(answer for group in found for answer in group) == sorted(set(given_ones))
    for group in found:
        assert any(all(near(leader, answer) for answer in group) for leader in group)


@given(SAMPLES, st.floats(0, 1), st.sampled_from(["drop", "first"]))
def test_a_winner_leads_and_nothing_without_an_answer_wins(answers: list[str | None], least: float, ties: Any) -> None:
    result = vote(answers, same_text, min_agreement=least, ties=ties)
    tally = Counter(answer for answer in answers if answer and answer.strip())
    best = max(tally.values(), default=0)
    assert result.agreement == (best / len(answers) if answers else 0.0)
    leaders = [answer for answer, count in tally.items() if count == best]
    if not tally or result.agreement < least or (ties == "drop" and len(leaders) > 1):
        assert result.answer is None
        assert result.reason
    else:
        assert result.answer in leaders
        assert result.answer == leaders[0]  # counted in the order of the samples
        assert result.reason == ""


@given(SAMPLES)
def test_more_votes_for_the_winner_keep_it(answers: list[str | None]) -> None:
    result = vote(answers, same_text)
    if result.answer is not None:
        again = vote([*answers, result.answer], same_text)
        assert again.answer == result.answer
        assert again.agreement >= result.agreement


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
    assert result.agreement == 0.6
    assert math.equal(result.answer or "", "0.5")
    math.close()


SPELLINGS = [
    [r"\sqrt{12}", r"2\sqrt{3}", r"\frac{6}{\sqrt{3}}", "2sqrt(3)"],
    [r"\frac{\pi}{4}", r"\arctan 1", "pi/4", r"\pi/4"],
    ["x^2+3x+2", "(x+1)(x+2)", "2+3x+x^2"],
    [r"\{1,2\}", "2, 1", "x=1 or x=2"],
    ["(3,5)", "3<x<5"],
    ["7", "7.0", "14/2"],
    [r"\text{even}", "Even"],
]


def counting(math: MathVerifier) -> list[Any]:
    """The questions that reach a worker from now on."""
    asked: list[Any] = []

    def counted(spread: Any, questions: Sequence[Any], bounds: Any) -> list[WorkerOutcome]:
        asked.extend(question for question in questions if question["do"] in {"rules", "compare"})
        return list(spread(questions, bounds))

    for pool in (math._comparer._readers, math._comparer._algebra):
        pool.spread = functools.partial(counted, pool.spread)  # type: ignore[method-assign]
    return asked


def test_many_answers_cost_few_comparisons() -> None:
    math = MathVerifier(workers=1)
    asked = counting(math)
    rng = random.Random(0)
    answers = [spelling for group in SPELLINGS for spelling in group]
    answers += (
        [rf"\sqrt{{{n}}}" for n in (2, 5, 6, 7, 10, 11, 13)] + [f"x^2+{n}x" for n in range(2, 12)] + ["1", "2", "3"]
    )
    answers *= 4
    found = None
    for _ in range(3):
        rng.shuffle(answers)
        groups = classes(answers, math.equal, math.canonical)
        assert found in (None, groups)
        found = groups
    math.close()
    assert found is not None
    assert [group for group in found if len(group) > 1] == sorted(sorted(group) for group in SPELLINGS)
    # one for a pair of classes at most, however often and in what order the answers come
    compared = [frozenset((one["completion"], one["gold"])) for one in asked if one["do"] == "rules"]
    assert len(compared) == len(set(compared))
    assert len(compared) < len(set(answers)) * (len(set(answers)) - 1) / 2
