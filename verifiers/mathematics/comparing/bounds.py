"""Tells formulas of different values apart in microseconds, by bounds on their real values, however large these are:
9^9^9^9 and ((100!)!)! have some, and so has their quotient. Nothing here says that two formulas are the same.

A number is (level, value): level 0 is the value itself; at a level k above 0 it is exp(exp(...value)) with k times exp,
and at -k it is minus that. Values of other levels lie beyond 690, so that numbers compare as tuples do (C. Clenshaw,
F. Olver, Beyond floating point, JACM 31, 1984). Every operation rounds outwards; bounded in time, as floats are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce

from verifiers.mathematics.reading.tree import Node, is_whole, symbols

Big = tuple[int, float]
Span = tuple[Big, Big]
"""The least and the greatest value that a formula may have."""

_LARGEST = 690.0
"""Whose exponential is about the largest that is kept as a float."""
_LARGEST_FLOAT = math.exp(_LARGEST)
_ROUNDING = 2e-15
"""More than any operation on floats is off by; what libraries find less carefully has bounds of its own."""
_CARELESS = 1e-12
_TINY = 1e-300
_FEW_DIGITS = 16
_LN2 = math.log(2)
_ZERO: Big = (0, 0.0)
_ONE: Span = ((0, 1.0), (0, 1.0))
_POINTS = (
    (0.6180339, 1.3247179, 0.9159655, 1.7724538, 0.5671432, 1.2020569, 0.7390851, 1.4513692),
    (2.5029078, 0.4142135, 1.9021605, 0.3275822, 2.2360679, 0.8346268, 1.5849625, 3.3598856),
)
"""Where formulas with symbols are evaluated: positive, since roots and logarithms are real there."""


class Unbounded(ArithmeticError):
    """No bounds are known of this."""


def surely_different(first: Node, second: Node, tolerance: float = 0.0) -> bool:
    """Tells whether two formulas differ for certain, by more than the tolerance, at a point where both are real."""
    names = sorted(symbols(first) | symbols(second))
    for at in range(len(_POINTS) if names else 1):
        point = {name: _coordinate(at, place) for place, name in enumerate(names)}
        try:
            if apart(span(first, point), span(second, point), tolerance):
                return True
        except (ArithmeticError, ValueError):
            continue  # one of them is not known there
    return False


def _coordinate(at: int, place: int) -> float:
    """Beyond the first few, multiples of the golden section: any two are far from one another."""
    known = _POINTS[at]
    return known[place] if place < len(known) else 0.3 + (place * (0.6180339887498949 + at)) % 2.0


def nearby(node: Node) -> tuple[float, float]:
    """Returns the value of a formula without symbols, and the most that it is off.

    Raises ArithmeticError or ValueError where it isn't known, or no float.
    """
    return _middle(span(node, {}))


def _middle(value: Span) -> tuple[float, float]:
    (level, low), (other, high) = value
    if level or other:
        raise Unbounded
    middle = (low + high) / 2
    return middle, max(high - middle, middle - low)


def span(node: Node, point: Mapping[str, float]) -> Span:  # noqa: PLR0911 - one return per kind of node
    """Returns bounds of a formula's value at a point. Raises ArithmeticError or ValueError where none are known."""
    kind = node[0]
    if kind == "num":
        return _numeral(node[1])
    if kind in {"sym", "const"}:
        return _around(_CONSTANTS.get(node[1], math.nan) if kind == "const" else point[node[1]])
    if kind == "call" and len(node) == 3 and node[1] in _CALLS:
        return _CALLS[node[1]](span(node[2], point))
    if kind == "pow" and (power := _whole(node[2])) is not None:
        return _raised(span(node[1], point), power)
    if kind == "root" and (degree := _whole(node[1])) is not None:
        return _rooted(span(node[2], point), degree)
    values = [span(child, point) for child in node[1:] if isinstance(child, tuple)]
    if kind in _OF_ONE and len(values) == 1:
        return _OF_ONE[kind](values[0])
    if kind not in _OPERATIONS or (kind == "binom" and not is_whole(node)):
        raise Unbounded
    return reduce(_OPERATIONS[kind], values)


def apart(first: Span, second: Span, tolerance: float = 0.0) -> bool:
    """Tells whether two values differ for certain, by more than the tolerance."""
    low, high = (first, second) if first[0] > second[0] else (second, first)
    return low[0] > _plus(high[1], (0, tolerance), up=True)


def _around(value: float) -> Span:
    return _floats(value, value) or _outwards(_levelled(value), _levelled(value))


def _floats(low: float, high: float) -> Span | None:
    """The numbers between two floats, and those that round to them; None where one of them is none."""
    if not (low > -_LARGEST_FLOAT and high < _LARGEST_FLOAT):
        return None
    return (0, low - abs(low) * _ROUNDING - _TINY), (0, high + abs(high) * _ROUNDING + _TINY)


def _numeral(text: str) -> Span:
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > 300:
        raise Unbounded
    if not digits.strip("0."):
        return _ZERO, _ZERO
    if len(digits) < _FEW_DIGITS and not exponent:
        return _around(float(digits))
    value = Fraction(digits)
    log = math.log(value.numerator) - math.log(value.denominator) + float(exponent or 0) * math.log(10)
    if abs(log) < _LARGEST:
        return _around(float(value * Fraction(10) ** int(exponent or 0)))
    return _exponential(_carelessly(log))


def _carelessly(value: float) -> Span:
    return _moved((0, value), -_CARELESS), _moved((0, value), _CARELESS)


def _levelled(value: float) -> Big:
    if math.isnan(value):
        raise Unbounded
    if abs(value) > _LARGEST_FLOAT:
        return (1, math.log(value)) if value > 0 else (-1, -math.log(-value))
    return 0, value


def _outwards(low: Big, high: Big) -> Span:
    return _moved(low, -_ROUNDING), _moved(high, _ROUNDING)


def _moved(number: Big, by: float) -> Big:
    return number[0], number[1] + abs(number[1]) * by + math.copysign(_TINY, by) * (number[0] == 0)


def _minus(number: Big) -> Big:
    return -number[0], -number[1]


def _negative(value: Span) -> Span:
    return _minus(value[1]), _minus(value[0])


def _plus(a: Big, b: Big, *, up: bool) -> Big:
    """The sum of two numbers, rounded up or down."""
    if a[0] == b[0] == 0:
        return _moved(_levelled(a[1] + b[1]), _ROUNDING if up else -_ROUNDING)
    large, small = (a, b) if _size(a) >= _size(b) else (b, a)
    if large < _ZERO:
        return _minus(_plus(_minus(a), _minus(b), up=not up))
    rise = _ratio_log(large, small)
    level, value = large
    if level == 1:
        return 1, value + rise + value * (_ROUNDING if up else -_ROUNDING)
    # beyond, a factor of two is less than the rounding
    return level, value * (1 + _ROUNDING if up else 1 - _ROUNDING)


def _ratio_log(large: Big, small: Big) -> float:
    """The logarithm of (large + small) / large, where large is positive and the larger in size."""
    if small == _ZERO:
        return 0.0
    if large[0] > 1:
        # two that are nearly the same may leave anything
        if small < _ZERO and abs(small[0]) == large[0] and large[1] + small[1] <= 1e-9 * large[1]:
            raise Unbounded
        return 0.0
    share = math.exp(max(_log(_size(small))[1] - large[1], -700.0))
    if small < _ZERO and share > 1 - 1e-9:
        raise Unbounded
    return math.log1p(share if small > _ZERO else -share)


def _size(number: Big) -> Big:
    return max(number, _minus(number))


def _log(number: Big) -> Big:
    """The logarithm of a positive number, not rounded."""
    level, value = number
    if number <= _ZERO:
        raise Unbounded
    return (0, math.log(value)) if level == 0 else (level - 1, value)


def _exp(number: Big) -> Big:
    level, value = number
    if level == 0:
        return (0, math.exp(value)) if value <= _LARGEST else (1, value)
    return (level + 1, value) if level > 0 else _ZERO


def _sum(a: Span, b: Span) -> Span:
    return _of_floats(operator.add, a, b) or (_plus(a[0], b[0], up=False), _plus(a[1], b[1], up=True))


def _times(a: Big, b: Big, *, up: bool) -> Big:
    if _ZERO in (a, b):
        return _ZERO
    positive = (a > _ZERO) == (b > _ZERO)
    grows = up == positive
    size = _exp(_plus(_log(_size(a)), _log(_size(b)), up=grows))
    size = _moved(size, 1e-9 if grows else -1e-9)
    return size if positive else _minus(size)


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


def _product(a: Span, b: Span) -> Span:
    known = _of_floats(operator.mul, a, b)
    if known is None:
        pairs = [(one, other) for one in a for other in b]
        known = min(_times(*pair, up=False) for pair in pairs), max(_times(*pair, up=True) for pair in pairs)
    return known


def _inverse(value: Span) -> Span:
    return _quotient(_ONE, value)


def _quotient(a: Span, b: Span) -> Span:
    """Of large numbers by logarithms, since the inverse of what is large is nothing."""
    if b[1] < _ZERO:
        return _negative(_quotient(a, _negative(b)))
    if b[0] <= _ZERO:
        raise Unbounded
    if (known := _of_floats(operator.truediv, a, b)) is not None:
        return known
    if a[1] < _ZERO:
        return _negative(_quotient(_negative(a), b))
    if a[0] <= _ZERO:
        return _product(a, _inverse(b))
    return _exponential(_sum(_logarithm(a), _negative(_logarithm(b))))


def _logarithm(value: Span) -> Span:
    return _outwards(_log(value[0]), _log(value[1]))


def _exponential(value: Span) -> Span:
    """Rounds by more than the argument, whose error grows with its size."""
    low, high = (_moved(end, sign * _ROUNDING) for end, sign in zip(value, (-1, 1), strict=True))
    return _outwards(_exp(low), _exp(high))


def _power(base: Span, power: Span) -> Span:
    return _exponential(_product(power, _logarithm(base)))


def _raised(base: Span, power: int) -> Span:
    """A power by a whole number, which a negative base may have."""
    if power == 0:
        return _around(1.0)
    if base[0] > _ZERO:
        exponent = (0, float(power)), (0, float(power))
        return _of_floats(operator.pow, base, exponent) or _power(base, exponent)
    if base[1] < _ZERO:
        positive = _raised(_negative(base), power)
        return positive if power % 2 == 0 else _negative(positive)
    if power < 0:
        raise Unbounded
    ends = [_raised((end, end), power) if end != _ZERO else (_ZERO, _ZERO) for end in base]
    return min(_ZERO, *(end[0] for end in ends)), max(_ZERO, *(end[1] for end in ends))


def _whole(node: Node) -> int | None:
    sign = 1
    while node[0] == "neg":
        sign, node = -sign, node[1]
    return sign * int(node[1]) if node[0] == "num" and node[1].isdigit() and len(node[1]) <= 15 else None


def _root(degree: Span, value: Span) -> Span:
    return _exponential(_quotient(_logarithm(value), degree))


def _rooted(value: Span, degree: int) -> Span:
    """A root by a whole number, which a negative value may have: that of -8 by 3 is -2."""
    if value[1] < _ZERO and degree % 2 == 1:
        return _negative(_rooted(_negative(value), degree))
    return _root(_around(float(degree)), value)


def _factorial(value: Span) -> Span:
    """Grows with the value from 2 on; its logarithm lies between n (ln n - 1) and n ln n."""
    if value[0] < (0, 2.0):
        raise Unbounded
    return _factorial_of(value[0])[0], _factorial_of(value[1])[1]


def _factorial_of(number: Big) -> Span:
    if number[0] == 0 and number[1] < 1e15:
        return _exponential(_carelessly(math.lgamma(number[1] + 1)))
    one = (number, number)
    log = _logarithm(one)
    return _exponential((_product(one, _sum(log, _around(-1.0)))[0], _product(one, log)[1]))


def _binomial(top: Span, bottom: Span) -> Span:
    """Lies between 1 and 2^n for whole 0 <= k <= n, and is known better where n and k are floating point numbers."""
    if bottom[0] < (0, -1e-9) or bottom[1] > top[0]:
        raise Unbounded
    if any(end[0] for end in (*top, *bottom)):
        return (0, 1.0), _exponential(_product(top, _around(_LN2)))[1]
    n, k = ((ends[0][1] + ends[1][1]) / 2 for ends in (top, bottom))
    parts = [math.lgamma(n + 1), -math.lgamma(k + 1), -math.lgamma(n - k + 1)]
    off = 1e-11 * sum(map(abs, parts)) + 1e-11
    return _exponential(((0, max(0.0, sum(parts) - off)), _levelled(sum(parts) + off)))


def _absolute(value: Span) -> Span:
    sizes = sorted(map(_size, value))
    return (sizes[0] if (value[0] > _ZERO) == (value[1] > _ZERO) else _ZERO), sizes[1]


def _wave(function: Callable[[float], float]) -> Callable[[Span], Span]:
    """The sine or the cosine, which changes by no more than its argument, and stays between -1 and 1."""

    def of(value: Span) -> Span:
        if value[0][0] or value[1][0]:
            return _minus(_ONE[1]), _ONE[1]
        middle, off = _middle(value)
        at, off = function(middle), off + _ROUNDING
        return (0, max(at - off, -1.0)), (0, min(at + off, 1.0))

    return of


def _arctangent(value: Span) -> Span:
    low, high = (math.copysign(math.pi / 2, level) if level else math.atan(end) for level, end in value)
    return _outwards((0, low), (0, high))


def _stepped(function: Callable[[float], int]) -> Callable[[Span], Span]:
    def of(value: Span) -> Span:
        if value[0][0] or value[1][0]:
            return _sum(value, _STEP)
        return (0, float(function(value[0][1]))), (0, float(function(value[1][1])))

    return of


_CONSTANTS = {"pi": math.pi, "e": math.e}
_STEP = _outwards((0, -1.0), (0, 1.0))
_sine, _cosine = _wave(math.sin), _wave(math.cos)
_CALLS: Mapping[str, Callable[[Span], Span]] = {
    "ln": _logarithm,
    "exp": _exponential,
    "sin": _sine,
    "cos": _cosine,
    "tan": lambda value: _quotient(_sine(value), _cosine(value)),
    "cot": lambda value: _quotient(_cosine(value), _sine(value)),
    "sec": lambda value: _inverse(_cosine(value)),
    "csc": lambda value: _inverse(_sine(value)),
    "arctan": _arctangent,
    "floor": _stepped(math.floor),
    "ceil": _stepped(math.ceil),
}
_OF_ONE: Mapping[str, Callable[[Span], Span]] = {
    "neg": _negative,
    "abs": _absolute,
    "pct": lambda value: _product(value, _around(0.01)),
    "fact": _factorial,
}
_OPERATIONS: Mapping[str, Callable[..., Span]] = {
    "add": _sum,
    "mul": _product,
    "div": _quotient,
    "pow": _power,
    "root": _root,
    "log": lambda base, value: _quotient(_logarithm(value), _logarithm(base)),
    "binom": _binomial,
}
