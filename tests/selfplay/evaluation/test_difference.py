"""Two models compared, against code written from the definitions."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfplay.evaluation.difference import Difference, difference
from selfplay.evaluation.metrics import maj_at_k, stratified_estimate

shares = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
pairs = st.lists(st.tuples(shares, shares), min_size=2, max_size=9)


def values(numbers: list[float | None], suite: str = "s") -> dict[str, dict[str, float | None]]:
    return {suite: {str(place): value for place, value in enumerate(numbers)}}


@settings(max_examples=25)
@given(found=pairs)
def test_the_p_value_counts_sign_changes(found: list[tuple[float, float]]) -> None:
    changes = [b - a for a, b in found]
    observed = math.fsum(changes)
    sums = [
        math.fsum(sign * change for sign, change in zip(signs, changes, strict=True))
        for signs in itertools.product((1, -1), repeat=len(changes))
    ]
    above = sum(total >= observed - 1e-9 for total in sums) / len(sums)
    below = sum(total <= observed + 1e-9 for total in sums) / len(sums)
    got = difference(values([a for a, _ in found]), values([b for _, b in found]), 1000, 0)
    assert got.p == pytest.approx(min(1.0, 2 * min(above, below)))
    assert got.value == pytest.approx(observed / len(changes))


def test_the_interval_is_that_of_resampled_problems() -> None:
    rng = np.random.default_rng(1)
    strata = [rng.random(30), rng.random(200) ** 3]
    got = stratified_estimate([list(one) for one in strata], 4000, 0)
    means = [statistics.fmean(float(rng.choice(one, len(one)).mean()) for one in strata) for _ in range(4000)]
    low, high = np.percentile(means, [2.5, 97.5])
    assert got.value == pytest.approx(statistics.fmean(one.mean() for one in strata))
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.006)
    assert got.n == 230


def test_suites_count_alike_and_are_resampled_within() -> None:
    # One suite always solved, one never: between suites there is nothing to draw, so the mean is sure.
    found = stratified_estimate([[1.0] * 5, [0.0] * 50], 500, 0)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_sentences() -> None:
    rng = random.Random(0)
    first: list[float | None] = [rng.choice([0.0, 0.5]) for _ in range(120)]
    better: list[float | None] = [min(1.0, (one or 0) + rng.choice([0, 0, 0.5])) for one in first]
    told = difference(values(first), values(better), 2000, 0)
    assert told.told_apart
    assert told.sentence.startswith(f"better by {told.value * 100:.1f} points [")
    assert told.sentence.endswith("on 120 problems (p < 0.001)")
    back = difference(values(better), values(first), 2000, 0)
    assert back.sentence.startswith(f"worse by {told.value * 100:.1f} points [{told.low * 100:.1f}")
    assert difference(values(first), values(first), 500, 0).sentence == "the same on each of 120 problems"
    other: list[float | None] = [rng.choice([0.0, 0.5]) for _ in range(120)]
    vague = difference(values(first), values(other), 2000, 0)
    assert vague.sentence.startswith("cannot be told apart on 120 problems (")
    assert vague.sentence.endswith(f"{vague.times:,.0f} times as many problems would be needed to see 1 point")
    assert difference(values([None]), values([1.0]), 500, 0).sentence == "no problem was measured for both"


def test_few_problems_tell_nothing_apart() -> None:
    # Three of three better: the interval is far from 0, but 2 of the 8 sign changes are as extreme.
    found = difference(values([0.0] * 3), values([1.0] * 3), 500, 0)
    assert found.p == 0.25
    assert not found.told_apart
    assert found.sentence.endswith("; with fewer than 6 problems no difference can be")
    # Nor does one problem on which all changed say that a point would have been seen.
    assert difference(values([0.0]), values([1.0]), 500, 0).sentence.endswith("problems no difference can be")
    assert difference(values([0.0] * 6), values([1.0] * 6), 500, 0).told_apart


def test_what_changed_on_every_problem_is_not_the_same() -> None:
    # Constant within each suite, and of opposite signs: mean and interval are 0.
    first = values([0.0] * 4, "s") | values([0.5] * 4, "t")
    second = values([0.5] * 4, "s") | values([0.0] * 4, "t")
    found = difference(first, second, 500, 0)
    assert (found.value, found.low, found.high, found.changed) == (0.0, 0.0, 0.0, 8)
    assert found.sentence.startswith("cannot be told apart on 8 problems")
    assert found.sentence.endswith("cannot be said from these")


def test_a_suite_of_one_problem_says_nothing_of_how_problems_differ() -> None:
    rng = random.Random(1)
    many: list[float | None] = [rng.choice([0.0, 1.0]) for _ in range(40)]
    found = difference(values([0.5] * 40, "s") | values([0.0], "t"), values(many, "s") | values([0.25], "t"), 500, 0)
    assert math.isnan(found.times)
    assert "times as many" not in found.sentence


def test_as_many_problems_as_it_says_show_a_point() -> None:
    """The power by simulation: with so many times as many problems, 80% of comparisons see 1 point."""
    rng = np.random.default_rng(0)
    sample = rng.normal(0.0, 0.1, 200)
    found = difference(values([0.0] * 200), values([float(one) for one in sample]), 500, 0)
    count = round(200 * found.times)
    seen = 0
    for _ in range(400):
        drawn = rng.normal(0.01, 0.1, count)
        seen += abs(drawn.mean()) > 1.96 * drawn.std() / math.sqrt(count)
    assert 0.7 < seen / 400 < 0.9


def test_problems_that_only_one_was_measured_on_are_left_out() -> None:
    first = {"s": {"a": 0.0, "b": None, "c": 1.0}, "only": {"x": 1.0}}
    second = {"s": {"a": 1.0, "b": 1.0, "d": 1.0}}
    found = difference(first, second, 500, 0)
    assert (found.n, found.value) == (1, 1.0)
    assert isinstance(found, Difference)


outcomes = st.lists(
    st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([True, False, None])), min_size=1, max_size=8
)


@given(found=outcomes)
def test_the_majority_by_counting(found: list[tuple[int | None, bool | None]]) -> None:
    # As tables have it: class 0 passed, others did not; what could not be checked stays unchecked.
    given = [(one, None if passed is None else one == 0) for one, passed in found]
    got = maj_at_k([one for one, _ in given], [passed for _, passed in given])
    checked = [one for one, passed in given if passed is not None]
    if not checked:
        assert got is None
        return
    counts = {one: checked.count(one) for one in checked if one is not None}
    top = [one for one in counts if counts[one] == max(counts.values())]
    assert got == (1 / len(top) if 0 in top else 0.0)
