"""Tells formulas of different values apart in microseconds, by bounds on their real values, however large these are:
9^9^9^9 and ((100!)!)! have some, and so has their quotient. Nothing here says that two formulas are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce

from verifiers.mathematics.comparing.intervals import (
    Span,
    absolute,
    apart,
    arctangent,
    around,
    binomial,
    carelessly,
    ceiling,
    cosine,
    exponential,
    factorial,
    floor,
    inverse,
    logarithm,
    middle,
    negative,
    power,
    product,
    quotient,
    raised,
    root,
    rooted,
    sine,
    total,
)
from verifiers.mathematics.comparing.large_numbers import LARGEST, ZERO, Unbounded
from verifiers.mathematics.reading.tree import Node, is_whole, symbols

_FEW_DIGITS = 16
_POINTS = (
    (0.6180339, 1.3247179, 0.9159655, 1.7724538, 0.5671432, 1.2020569, 0.7390851, 1.4513692),
    (2.5029078, 0.4142135, 1.9021605, 0.3275822, 2.2360679, 0.8346268, 1.5849625, 3.3598856),
)
"""Where formulas with symbols are evaluated: positive, since roots and logarithms are real there."""


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
    return middle(span(node, {}))


def span(node: Node, point: Mapping[str, float]) -> Span:  # noqa: PLR0911 - one return per kind of node
    """Returns bounds of a formula's value at a point. Raises ArithmeticError or ValueError where none are known."""
    kind = node[0]
    if kind == "num":
        return _numeral(node[1])
    if kind in {"sym", "const"}:
        return around(_CONSTANTS.get(node[1], math.nan) if kind == "const" else point[node[1]])
    if kind == "call" and len(node) == 3 and node[1] in _CALLS:
        return _CALLS[node[1]](span(node[2], point))
    if kind == "pow" and (exponent := _whole(node[2])) is not None:
        return raised(span(node[1], point), exponent)
    if kind == "root" and (degree := _whole(node[1])) is not None:
        return rooted(span(node[2], point), degree)
    values = [span(child, point) for child in node[1:] if isinstance(child, tuple)]
    if kind in _OF_ONE and len(values) == 1:
        return _OF_ONE[kind](values[0])
    if kind not in _OPERATIONS or (kind == "binom" and not is_whole(node)):
        raise Unbounded
    return reduce(_OPERATIONS[kind], values)


def _numeral(text: str) -> Span:
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > 300:
        raise Unbounded
    if not digits.strip("0."):
        return ZERO, ZERO
    if len(digits) < _FEW_DIGITS and not exponent:
        return around(float(digits))
    value = Fraction(digits)
    log = math.log(value.numerator) - math.log(value.denominator) + float(exponent or 0) * math.log(10)
    if abs(log) < LARGEST:
        return around(float(value * Fraction(10) ** int(exponent or 0)))
    return exponential(carelessly(log))


def _whole(node: Node) -> int | None:
    sign = 1
    while node[0] == "neg":
        sign, node = -sign, node[1]
    return sign * int(node[1]) if node[0] == "num" and node[1].isdigit() and len(node[1]) <= 15 else None


_CONSTANTS = {"pi": math.pi, "e": math.e}
_CALLS: Mapping[str, Callable[[Span], Span]] = {
    "ln": logarithm,
    "exp": exponential,
    "sin": sine,
    "cos": cosine,
    "tan": lambda value: quotient(sine(value), cosine(value)),
    "cot": lambda value: quotient(cosine(value), sine(value)),
    "sec": lambda value: inverse(cosine(value)),
    "csc": lambda value: inverse(sine(value)),
    "arctan": arctangent,
    "floor": floor,
    "ceil": ceiling,
}
_OF_ONE: Mapping[str, Callable[[Span], Span]] = {
    "neg": negative,
    "abs": absolute,
    "pct": lambda value: product(value, around(0.01)),
    "fact": factorial,
}
_OPERATIONS: Mapping[str, Callable[..., Span]] = {
    "add": total,
    "mul": product,
    "div": quotient,
    "pow": power,
    "root": root,
    "log": lambda base, value: quotient(logarithm(value), logarithm(base)),
    "binom": binomial,
}
