"""Tells formulas of different values apart in microseconds, by floating point with a bound on its error.

Every operation carries the value and how far off it may be, so that two formulas whose values lie further apart than
both errors differ for certain. Nothing here says that two formulas are the same. Bounded in time: where floats
overflow, `magnitude` goes on. The error bounds are those of first-order propagation with a margin of a factor of four
(N. Higham, Accuracy and Stability of Numerical Algorithms, ch. 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import TypeVar

from verifiers.mathematics.comparing.magnitude import apart, span
from verifiers.mathematics.reading.tree import Node, symbols

Enclosure = tuple[float, float]
"""A value, and the most that it may be off."""

_Bounds = TypeVar("_Bounds")
_ROUNDING = 1e-15
_TINY = 1e-290
_POINTS = (
    (0.6180339, 1.3247179, 0.9159655, 1.7724538, 0.5671432, 1.2020569, 0.7390851, 1.4513692),
    (2.5029078, 0.4142135, 1.9021605, 0.3275822, 2.2360679, 0.8346268, 1.5849625, 3.3598856),
)
"""Where formulas with symbols are evaluated: positive, since roots and logarithms are real there."""


class _Unknown(ArithmeticError):
    """There is no real value here, or no useful bound of its error."""


def surely_different(first: Node, second: Node, tolerance: float = 0.0) -> bool:
    """Tells whether two formulas differ for certain, by more than the tolerance, at a point where both are real."""
    names = sorted(symbols(first) | symbols(second))
    for at in range(len(_POINTS) if names else 1):
        point = {name: _coordinate(at, place) for place, name in enumerate(names)}
        known, other = _known(enclosure, first, point), _known(enclosure, second, point)
        if known is not None and other is not None:
            differ = abs(known[0] - other[0]) > known[1] + other[1] + tolerance
        else:
            spans = _known(span, first, point), _known(span, second, point)
            differ = spans[0] is not None and spans[1] is not None and apart(spans[0], spans[1], tolerance)
        if differ:
            return True
    return False


def _coordinate(at: int, place: int) -> float:
    """Beyond the first few, multiples of the golden section: any two are far from one another."""
    known = _POINTS[at]
    return known[place] if place < len(known) else 0.3 + (place * (0.6180339887498949 + at)) % 2.0


def _known(
    bounds: Callable[[Node, Mapping[str, float]], _Bounds], node: Node, point: Mapping[str, float]
) -> _Bounds | None:
    try:
        return bounds(node, point)
    except (ArithmeticError, ValueError):
        return None


def enclosure(node: Node, point: Mapping[str, float]) -> Enclosure:  # noqa: PLR0911 - one return per kind of node
    """Returns the value of a formula at a point with its error. Raises ArithmeticError or ValueError when unknown."""
    kind = node[0]
    if kind == "num":
        return _rounded(float(node[1]))
    if kind == "sym":
        return point[node[1]], 0.0
    if kind == "const":
        return _rounded({"pi": math.pi, "e": math.e}.get(node[1], math.nan))
    if kind in {"fact", "binom"}:
        return _counted(kind, [_whole(child) for child in node[1:]])
    if kind == "pow" and (power := _small_power(node[2])) is not None:
        return _raised(enclosure(node[1], point), power)
    if kind == "call":
        if len(node) != 3 or node[1] not in _CALLS:
            raise _Unknown
        return _CALLS[node[1]](*enclosure(node[2], point))
    if kind not in _OPERATIONS:
        raise _Unknown
    return _folded(_OPERATIONS[kind], [enclosure(child, point) for child in node[1:]])


def _folded(operation: Callable[..., Enclosure], values: Sequence[Enclosure]) -> Enclosure:
    return reduce(operation, values) if len(values) > 2 else operation(*values)


def _rounded(value: float, off: float = 0.0) -> Enclosure:
    if not (math.isfinite(value) and math.isfinite(off)):
        raise _Unknown
    return value, off + abs(value) * _ROUNDING + _TINY


def _add(a: Enclosure, b: Enclosure) -> Enclosure:
    return _rounded(a[0] + b[0], a[1] + b[1])


def _multiply(a: Enclosure, b: Enclosure) -> Enclosure:
    return _rounded(a[0] * b[0], abs(a[0]) * b[1] + abs(b[0]) * a[1] + a[1] * b[1])


def _divide(a: Enclosure, b: Enclosure) -> Enclosure:
    _away_from_zero(b)
    quotient = a[0] / b[0]
    return _rounded(quotient, 4 * (a[1] + abs(quotient) * b[1]) / abs(b[0]))


def _away_from_zero(value: Enclosure) -> None:
    # First-order bounds hold only where the error is small beside the value.
    if abs(value[0]) <= 4 * value[1]:
        raise _Unknown


def _positive(value: Enclosure) -> None:
    _away_from_zero(value)
    if value[0] <= 0:
        raise _Unknown


def _raised(base: Enclosure, power: int) -> Enclosure:
    if power == 0:
        return 1.0, 0.0
    if base[0] == 0 or abs(base[0]) <= 4 * base[1] * abs(power):
        raise _Unknown
    value = math.pow(base[0], power)
    return _rounded(value, 4 * abs(value) * abs(power) * (base[1] / abs(base[0]) + _ROUNDING))


def _power(base: Enclosure, power: Enclosure) -> Enclosure:
    _positive(base)
    exponent = _multiply(power, _logarithm(*base))
    return _exponential(*exponent)


def _root(degree: Enclosure, value: Enclosure) -> Enclosure:
    number = round(degree[0])
    if degree[0] != number or not 2 <= number <= 100:
        raise _Unknown
    _away_from_zero(value)
    if value[0] < 0 and number % 2 == 0:
        raise _Unknown
    root = math.copysign(math.pow(abs(value[0]), 1 / number), value[0])
    return _rounded(root, 4 * abs(root) * (value[1] / abs(value[0]) + _ROUNDING))


def _logarithm(value: float, off: float) -> Enclosure:
    # The error is a quarter of the value at most, so no slope in the enclosure is over 4/3 of that in the middle.
    _positive((value, off))
    return _rounded(math.log(value), 4 * off / value + _ROUNDING)


def _exponential(value: float, off: float) -> Enclosure:
    if off > 0.1:
        raise _Unknown
    result = math.exp(value)
    return _rounded(result, 4 * result * (off + _ROUNDING))


def _wave(function: Callable[[float], float]) -> Callable[[float, float], Enclosure]:
    def of(value: float, off: float) -> Enclosure:
        # Beyond, the reduction by multiples of pi costs more digits than the bound allows for.
        if abs(value) > 1e6:
            raise _Unknown
        return _rounded(function(value), off + _ROUNDING)

    return of


def _stepped(function: Callable[[float], int]) -> Callable[[float, float], Enclosure]:
    def of(value: float, off: float) -> Enclosure:
        if abs(value) > 1e12 or function(value - 2 * off - _TINY) != function(value + 2 * off + _TINY):
            raise _Unknown
        return float(function(value)), 0.0

    return of


_sine, _cosine = _wave(math.sin), _wave(math.cos)
_CALLS: Mapping[str, Callable[[float, float], Enclosure]] = {
    "sin": _sine,
    "cos": _cosine,
    "tan": lambda value, off: _divide(_sine(value, off), _cosine(value, off)),
    "cot": lambda value, off: _divide(_cosine(value, off), _sine(value, off)),
    "sec": lambda value, off: _divide((1.0, 0.0), _cosine(value, off)),
    "csc": lambda value, off: _divide((1.0, 0.0), _sine(value, off)),
    "arctan": _wave(math.atan),
    "ln": _logarithm,
    "exp": _exponential,
    "floor": _stepped(math.floor),
    "ceil": _stepped(math.ceil),
}
_OPERATIONS: Mapping[str, Callable[..., Enclosure]] = {
    "add": _add,
    "mul": _multiply,
    "div": _divide,
    "neg": lambda a: (-a[0], a[1]),
    "abs": lambda a: (abs(a[0]), a[1]),
    "pct": lambda a: _divide(a, (100.0, 0.0)),
    "pow": _power,
    "root": _root,
    "log": lambda base, value: _divide(_logarithm(*value), _logarithm(*base)),
}


def _small_power(node: Node) -> int | None:
    """Returns a power that is written as a whole number of at most four digits."""
    sign = 1
    while node[0] == "neg":
        sign, node = -sign, node[1]
    return sign * int(node[1]) if node[0] == "num" and node[1].isdigit() and len(node[1]) <= 4 else None


def _whole(node: Node) -> int:
    if node[0] != "num" or not node[1].isdigit() or len(node[1]) > 4:
        raise _Unknown
    return int(node[1])


def _counted(kind: str, numbers: list[int]) -> Enclosure:
    if max(numbers) > 170 or (kind == "binom" and numbers[1] > numbers[0]):
        raise _Unknown
    value = math.factorial(numbers[0]) if kind == "fact" else math.comb(*numbers)
    return _rounded(float(Fraction(value)))
