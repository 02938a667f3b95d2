"""Spans of numbers, however large: each operation gives a span in which its value lies for certain.

All round outwards, and take no longer than a few operations on floats. They raise `Unbounded` where nothing is known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from verifiers.mathematics.comparing.large_numbers import (
    LARGEST_FLOAT,
    ROUNDING,
    TINY,
    ZERO,
    Big,
    Unbounded,
    exp,
    levelled,
    log,
    minus,
    moved,
    plus,
    size,
    times,
)

Span = tuple[Big, Big]
"""The least and the greatest value that something may have."""

_CARELESS = 1e-12
"""More than a function of a library is off by, relatively."""
_LN2 = math.log(2)
_ONE: Span = ((0, 1.0), (0, 1.0))


def middle(value: Span) -> tuple[float, float]:
    """The middle of a span, and the most that its ends are off. Raises Unbounded where one of them is no float."""
    (level, low), (other, high) = value
    if level or other:
        raise Unbounded
    between = (low + high) / 2
    return between, max(high - between, between - low)


def apart(first: Span, second: Span, tolerance: float = 0.0) -> bool:
    """Tells whether two values differ for certain, by more than the tolerance."""
    low, high = (first, second) if first[0] > second[0] else (second, first)
    return low[0] > plus(high[1], (0, tolerance), up=True)


def around(value: float) -> Span:
    """The span of a float that was rounded."""
    return _floats(value, value) or _outwards(levelled(value), levelled(value))


def _floats(low: float, high: float) -> Span | None:
    """The numbers between two floats, and those that round to them; None where one of them is none."""
    if not (low > -LARGEST_FLOAT and high < LARGEST_FLOAT):
        return None
    return (0, low - abs(low) * ROUNDING - TINY), (0, high + abs(high) * ROUNDING + TINY)


def carelessly(value: float) -> Span:
    """The span of a float that a library found less carefully than the processor would."""
    return moved((0, value), -_CARELESS), moved((0, value), _CARELESS)


def _outwards(low: Big, high: Big) -> Span:
    return moved(low, -ROUNDING), moved(high, ROUNDING)


def negative(value: Span) -> Span:
    """The span with the other sign."""
    return minus(value[1]), minus(value[0])


def total(a: Span, b: Span) -> Span:
    """The span of a sum."""
    return _of_floats(operator.add, a, b) or (plus(a[0], b[0], up=False), plus(a[1], b[1], up=True))


def _of_floats(operation: Callable[[float, float], float], a: Span, b: Span) -> Span | None:
    """The outcome of an operation that is monotone in each of two floats; None where they, or it, are none."""
    (level_a, low_a), (level_b, high_a) = a
    (level_c, low_b), (level_d, high_b) = b
    if level_a or level_b or level_c or level_d:
        return None
    try:
        ends = operation(low_a, low_b), operation(low_a, high_b), operation(high_a, low_b), operation(high_a, high_b)
    except OverflowError:
        return None
    return _floats(min(ends), max(ends))


def product(a: Span, b: Span) -> Span:
    """The span of a product."""
    known = _of_floats(operator.mul, a, b)
    if known is None:
        pairs = [(one, other) for one in a for other in b]
        known = min(times(*pair, up=False) for pair in pairs), max(times(*pair, up=True) for pair in pairs)
    return known


def inverse(value: Span) -> Span:
    """The span of 1 / value."""
    return quotient(_ONE, value)


def quotient(a: Span, b: Span) -> Span:
    """Of large numbers by logarithms, since the inverse of what is large is nothing."""
    if b[1] < ZERO:
        return negative(quotient(a, negative(b)))
    if b[0] <= ZERO:
        raise Unbounded
    if (known := _of_floats(operator.truediv, a, b)) is not None:
        return known
    if a[1] < ZERO:
        return negative(quotient(negative(a), b))
    if a[0] <= ZERO:
        return product(a, inverse(b))
    return exponential(total(logarithm(a), negative(logarithm(b))))


def logarithm(value: Span) -> Span:
    """The span of the natural logarithm. Raises Unbounded where it may have none."""
    return _outwards(log(value[0]), log(value[1]))


def exponential(value: Span) -> Span:
    """Rounds by more than the argument, whose error grows with its size."""
    low, high = (moved(end, sign * ROUNDING) for end, sign in zip(value, (-1, 1), strict=True))
    return _outwards(exp(low), exp(high))


def power(base: Span, exponent: Span) -> Span:
    """The span of a power of what is positive."""
    return exponential(product(exponent, logarithm(base)))


def raised(base: Span, whole: int) -> Span:
    """A power by a whole number, which a negative base may have."""
    if whole == 0:
        return around(1.0)
    if base[0] > ZERO:
        exponent = (0, float(whole)), (0, float(whole))
        return _of_floats(operator.pow, base, exponent) or power(base, exponent)
    if base[1] < ZERO:
        positive = raised(negative(base), whole)
        return positive if whole % 2 == 0 else negative(positive)
    if whole < 0:
        raise Unbounded
    ends = [raised((end, end), whole) if end != ZERO else (ZERO, ZERO) for end in base]
    return min(ZERO, *(end[0] for end in ends)), max(ZERO, *(end[1] for end in ends))


def root(degree: Span, value: Span) -> Span:
    """The span of a root of what is positive."""
    return exponential(quotient(logarithm(value), degree))


def rooted(value: Span, degree: int) -> Span:
    """A root by a whole number, which a negative value may have: that of -8 by 3 is -2."""
    if value[1] < ZERO and degree % 2 == 1:
        return negative(rooted(negative(value), degree))
    return root(around(float(degree)), value)


def factorial(value: Span) -> Span:
    """Grows with the value from 2 on; its logarithm lies between n (ln n - 1) and n ln n."""
    if value[0] < (0, 2.0):
        raise Unbounded
    return _factorial_of(value[0])[0], _factorial_of(value[1])[1]


def _factorial_of(number: Big) -> Span:
    if number[0] == 0 and number[1] < 1e15:
        return exponential(carelessly(math.lgamma(number[1] + 1)))
    one = (number, number)
    logs = logarithm(one)
    return exponential((product(one, total(logs, around(-1.0)))[0], product(one, logs)[1]))


def binomial(top: Span, bottom: Span) -> Span:
    """Lies between 1 and 2^n for whole 0 <= k <= n, and is known better where n and k are floating point numbers."""
    if bottom[0] < (0, -1e-9) or bottom[1] > top[0]:
        raise Unbounded
    if any(end[0] for end in (*top, *bottom)):
        return (0, 1.0), exponential(product(top, around(_LN2)))[1]
    n, k = ((ends[0][1] + ends[1][1]) / 2 for ends in (top, bottom))
    parts = [math.lgamma(n + 1), -math.lgamma(k + 1), -math.lgamma(n - k + 1)]
    off = 1e-11 * sum(map(abs, parts)) + 1e-11
    return exponential(((0, max(0.0, sum(parts) - off)), levelled(sum(parts) + off)))


def absolute(value: Span) -> Span:
    """The span of the size."""
    sizes = sorted(map(size, value))
    return (sizes[0] if (value[0] > ZERO) == (value[1] > ZERO) else ZERO), sizes[1]


def _wave(function: Callable[[float], float]) -> Callable[[Span], Span]:
    """The sine or the cosine, which changes by no more than its argument, and stays between -1 and 1."""

    def of(value: Span) -> Span:
        if value[0][0] or value[1][0]:
            return minus(_ONE[1]), _ONE[1]
        argument, off = middle(value)
        at, off = function(argument), off + ROUNDING
        return (0, max(at - off, -1.0)), (0, min(at + off, 1.0))

    return of


def arctangent(value: Span) -> Span:
    """The span of the arctangent."""
    low, high = (math.copysign(math.pi / 2, level) if level else math.atan(end) for level, end in value)
    return _outwards((0, low), (0, high))


def _stepped(function: Callable[[float], int]) -> Callable[[Span], Span]:
    def of(value: Span) -> Span:
        if value[0][0] or value[1][0]:
            return total(value, _STEP)
        return (0, float(function(value[0][1]))), (0, float(function(value[1][1])))

    return of


_STEP = _outwards((0, -1.0), (0, 1.0))
sine, cosine = _wave(math.sin), _wave(math.cos)
floor, ceiling = _stepped(math.floor), _stepped(math.ceil)
