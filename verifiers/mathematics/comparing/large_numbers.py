"""Numbers however large: 9^9^9^9 is one, and ((100!)!)!.

A number is (level, value): level 0 is the value itself; at a level k above 0 it is exp(exp(...value)) with k times exp,
and at -k it is minus that. Values of other levels lie beyond 690, so that numbers compare as tuples do (C. Clenshaw,
F. Olver, Beyond floating point, JACM 31, 1984). What takes
`up` rounds up or down, as it is told.
"""

from __future__ import annotations

import math

Big = tuple[int, float]
"""A level and a value."""

LARGEST = 690.0
"""Whose exponential is about the largest that is kept as a float."""
LARGEST_FLOAT = math.exp(LARGEST)
ROUNDING = 2e-15
"""More than any operation on floats is off by."""
TINY = 1e-300
ZERO: Big = (0, 0.0)


class Unbounded(ArithmeticError):
    """No bounds are known of this."""


def levelled(value: float) -> Big:
    """The number of a float. Raises Unbounded where it is none."""
    if math.isnan(value):
        raise Unbounded
    if abs(value) > LARGEST_FLOAT:
        return (1, math.log(value)) if value > 0 else (-1, -math.log(-value))
    return 0, value


def moved(number: Big, by: float) -> Big:
    """A number that is larger by a share of its size; smaller by it where `by` is negative."""
    return number[0], number[1] + abs(number[1]) * by + math.copysign(TINY, by) * (number[0] == 0)


def minus(number: Big) -> Big:
    """The number with the other sign."""
    return -number[0], -number[1]


def plus(a: Big, b: Big, *, up: bool) -> Big:
    """The sum of two numbers, rounded up or down."""
    if a[0] == b[0] == 0:
        return moved(levelled(a[1] + b[1]), ROUNDING if up else -ROUNDING)
    large, small = (a, b) if size(a) >= size(b) else (b, a)
    if large < ZERO:
        return minus(plus(minus(a), minus(b), up=not up))
    rise = _ratio_log(large, small)
    level, value = large
    if level == 1:
        return 1, value + rise + value * (ROUNDING if up else -ROUNDING)
    # beyond, a factor of two is less than the rounding
    return level, value * (1 + ROUNDING if up else 1 - ROUNDING)


def _ratio_log(large: Big, small: Big) -> float:
    """The logarithm of (large + small) / large, where large is positive and the larger in size."""
    if small == ZERO:
        return 0.0
    if large[0] > 1:
        # two that are nearly the same may leave anything
        if small < ZERO and abs(small[0]) == large[0] and large[1] + small[1] <= 1e-9 * large[1]:
            raise Unbounded
        return 0.0
    share = math.exp(max(log(size(small))[1] - large[1], -700.0))
    if small < ZERO and share > 1 - 1e-9:
        raise Unbounded
    return math.log1p(share if small > ZERO else -share)


def size(number: Big) -> Big:
    """The number without its sign."""
    return max(number, minus(number))


def log(number: Big) -> Big:
    """The logarithm of a positive number, not rounded."""
    level, value = number
    if number <= ZERO:
        raise Unbounded
    return (0, math.log(value)) if level == 0 else (level - 1, value)


def exp(number: Big) -> Big:
    """The exponential of a number, not rounded."""
    level, value = number
    if level == 0:
        return (0, math.exp(value)) if value <= LARGEST else (1, value)
    return (level + 1, value) if level > 0 else ZERO


def times(a: Big, b: Big, *, up: bool) -> Big:
    """The product of two numbers, rounded up or down."""
    if ZERO in (a, b):
        return ZERO
    positive = (a > ZERO) == (b > ZERO)
    grows = up == positive
    unsigned = exp(plus(log(size(a)), log(size(b)), up=grows))
    unsigned = moved(unsigned, 1e-9 if grows else -1e-9)
    return unsigned if positive else minus(unsigned)
