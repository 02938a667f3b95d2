"""Numbers beyond floats, against mpmath, whose exponents have no end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

from verifiers.mathematics.comparing.intervals import apart, around, negative, product, quotient, raised, rooted, total
from verifiers.mathematics.comparing.large_numbers import Big, Unbounded, levelled, log, minus, plus, times

LOGS = st.floats(-600, 5000)
"""Logarithms of numbers on both sides of the largest float."""


def big(logarithm: float, negated: bool) -> Big:
    number = (1, logarithm) if logarithm > 690 else levelled(float(mp.exp(logarithm)))
    return minus(number) if negated else number


def exact(number: Big) -> Any:
    level, value = number
    return level * mp.exp(level * mpf(value)) if level else mpf(value)


@given(LOGS, st.booleans(), LOGS, st.booleans())
def test_sums_and_products_lie_between_what_is_rounded_down_and_up(a: float, x: bool, b: float, y: bool) -> None:
    one, other = big(a, x), big(b, y)
    with mp.workprec(200):
        for operation, right in ((plus, exact(one) + exact(other)), (times, exact(one) * exact(other))):
            try:
                low, high = operation(one, other, up=False), operation(one, other, up=True)
            except Unbounded:
                continue  # two that are nearly opposite
            assert exact(low) <= right <= exact(high)


def test_numbers_compare_by_size_on_all_levels() -> None:
    sizes = [levelled(1.0), levelled(1e299), (1, 691.0), (1, 1e300), (2, 691.0)]
    ordered = [*map(minus, reversed(sizes)), (0, 0.0), *sizes]
    assert sorted(ordered) == ordered
    assert [log(number) for number in sizes[2:]] == [(0, 691.0), (0, 1e300), (1, 691.0)]


def test_nothing_is_said_of_what_has_no_real_value() -> None:
    zero = around(0.0)
    for span in (lambda: quotient(around(1.0), zero), lambda: raised(zero, -1), lambda: rooted(around(-8.0), 2)):
        with pytest.raises(Unbounded):
            span()


def test_odd_powers_and_roots_keep_the_sign() -> None:
    minus_eight = negative(around(8.0))
    assert not apart(raised(around(-2.0), 3), minus_eight)
    assert not apart(rooted(minus_eight, 3), around(-2.0))
    assert apart(raised(around(-2.0), 2), negative(around(4.0)))


def test_a_span_beyond_floats_is_told_from_its_double() -> None:
    huge = ((1, 5000.0), (1, 5000.0))
    assert apart(total(huge, huge), huge)
    assert not apart(total(huge, huge), product(around(2.0), huge))
    assert not apart(total(huge, around(1.0)), huge)
