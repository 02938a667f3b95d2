"""Bounds on the real value of a formula, however large: 9^9^9^9 and ((100!)!)! have some, and so has their quotient.

A number is (level, value): level 0 is the value itself; at a level k above 0 it is exp(exp(...value)) with k times exp,
and at -k it is minus that. Values of other levels lie beyond 690, so that numbers compare as tuples do (C. Clenshaw,
F. Olver, Beyond floating point, JACM 31, 1984). Every operation rounds outwards; bounded in time, as floats are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce

from verifiers.mathematics.reading.tree import Node, is_whole

Big = tuple[int, float]
Span = tuple[Big, Big]
"""The least and the greatest value that a formula may have."""

_LARGEST = 690.0
"""Whose exponential is about the largest that is kept as a float."""
_ROUNDING = 1e-12
_LN2 = math.log(2)
_ZERO: Big = (0, 0.0)


class Unbounded(ArithmeticError):
    """No bounds are known of this."""


def span(node: Node, point: Mapping[str, float]) -> Span:
    """Returns bounds of a formula's value at a point. Raises ArithmeticError or ValueError where none are known."""
    kind = node[0]
    if kind == "num":
        return _numeral(node[1])
    if kind in {"sym", "const"}:
        return _around({"pi": math.pi, "e": math.e}.get(node[1], math.nan) if kind == "const" else point[node[1]])
    if kind == "call" and len(node) == 3 and node[1] in _CALLS:
        return _CALLS[node[1]](span(node[2], point))
    if kind == "pow" and (power := _whole(node[2])) is not None:
        return _raised(span(node[1], point), power)
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
    return _outwards(_levelled(value), _levelled(value))


def _numeral(text: str) -> Span:
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > 300:
        raise Unbounded
    value = abs(Fraction(digits))
    if not value:
        return _ZERO, _ZERO
    log = math.log(value.numerator) - math.log(value.denominator) + float(exponent or 0) * math.log(10)
    return _exponential(_around(log)) if abs(log) > 30 else _around(float(value) * 10.0 ** int(exponent or 0))


def _levelled(value: float) -> Big:
    if math.isnan(value):
        raise Unbounded
    if abs(value) > math.exp(_LARGEST):
        return (1, math.log(value)) if value > 0 else (-1, -math.log(-value))
    return 0, value


def _outwards(low: Big, high: Big) -> Span:
    return _moved(low, -_ROUNDING), _moved(high, _ROUNDING)


def _moved(number: Big, by: float) -> Big:
    return number[0], number[1] + abs(number[1]) * by + math.copysign(1e-300, by) * (number[0] == 0)


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
    return _plus(a[0], b[0], up=False), _plus(a[1], b[1], up=True)


def _times(a: Big, b: Big, *, up: bool) -> Big:
    if _ZERO in (a, b):
        return _ZERO
    positive = (a > _ZERO) == (b > _ZERO)
    if a[0] == b[0] == 0 and 1e-300 < abs(a[1] * b[1]) < math.exp(_LARGEST):
        return _moved((0, a[1] * b[1]), _ROUNDING if up else -_ROUNDING)
    grows = up == positive
    size = _exp(_plus(_log(_size(a)), _log(_size(b)), up=grows))
    size = _moved(size, 1e-9 if grows else -1e-9)
    return size if positive else _minus(size)


def _product(a: Span, b: Span) -> Span:
    pairs = [(one, other) for one in a for other in b]
    return min(_times(*pair, up=False) for pair in pairs), max(_times(*pair, up=True) for pair in pairs)


def _inverse(value: Span) -> Span:
    if value[0] <= _ZERO <= value[1]:
        raise Unbounded
    if value[1] < _ZERO:
        return _negative(_inverse(_negative(value)))
    return _exponential(_negative(_logarithm(value)))


def _quotient(a: Span, b: Span) -> Span:
    """By logarithms, since the inverse of what is large is nothing."""
    if b[1] < _ZERO:
        return _negative(_quotient(a, _negative(b)))
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
        return _power(base, _around(float(power)))
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
    return _exponential(_product(_logarithm(value), _inverse(degree)))


def _factorial(value: Span) -> Span:
    """Grows with the value from 2 on; its logarithm lies between n (ln n - 1) and n ln n."""
    if value[0] < (0, 2.0):
        raise Unbounded
    return _factorial_of(value[0])[0], _factorial_of(value[1])[1]


def _factorial_of(number: Big) -> Span:
    if number[0] == 0 and number[1] < 1e15:
        return _exponential(_around(math.lgamma(number[1] + 1)))
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


def _between(low: float, high: float) -> Callable[[Span], Span]:
    return lambda value: _outwards((0, low), (0, high))


_STEP = _outwards((0, -1.0), (0, 1.0))
_CALLS: Mapping[str, Callable[[Span], Span]] = {
    "ln": _logarithm,
    "exp": _exponential,
    "sin": _between(-1.0, 1.0),
    "cos": _between(-1.0, 1.0),
    "arctan": _between(-math.pi / 2, math.pi / 2),
    "floor": lambda value: _sum(value, _STEP),
    "ceil": lambda value: _sum(value, _STEP),
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
    "log": lambda base, value: _product(_logarithm(value), _inverse(_logarithm(base))),
    "binom": _binomial,
}
