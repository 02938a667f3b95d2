"""Builds the sympy value of a formula's tree; it may be slow or huge, so this runs in a worker process only."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

from verifiers.mathematics.reading.tokens import TooLarge
from verifiers.mathematics.reading.tree import Node

_MOST_BITS = 400_000
_MOST_FACTORS = 20_000


def has_matrix(value: Any) -> bool:
    """Tells whether a value is a matrix."""
    return bool(getattr(value, "is_Matrix", False))


def build(node: Node | None) -> Any:  # noqa: PLR0911, PLR0912 - one branch per kind of node
    """Returns the sympy value of a tree. May be slow: call it in a worker only.

    Raises TooLarge for a power, factorial or binomial of numbers that has more digits than an answer can mean.
    """
    import sympy

    if node is None:
        return sympy.nan
    kind = node[0]
    if kind == "num":
        if len(node[1].lower().partition("e")[2]) > 5:
            raise TooLarge("a number of too many digits")
        return sympy.Rational(node[1])
    if kind == "sym":
        return sympy.Symbol(node[1])
    if kind == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node[1]]
    if kind == "matrix":
        return sympy.Matrix([[build(cell) for cell in row[1:]] for row in node[1:]])
    if kind == "call":
        return _call(node[1], [build(child) for child in node[2:]])
    values = [build(child) for child in node[1:]]
    first, last = values[0], values[-1]
    if kind in {"add", "mul"}:
        return _folded(kind, values)
    if kind == "div":
        return first / last
    if kind == "pow":
        _bounded(kind, first, last)
        return first**last
    if kind == "neg":
        return -first
    if kind == "pct":
        return first / 100
    if kind == "abs":
        return first.det() if has_matrix(first) else sympy.Abs(first)
    if kind == "root":
        return _root(last, first)
    if kind == "log":
        return sympy.log(last, first)
    _bounded(kind, first, last)
    return sympy.binomial(first, last) if kind == "binom" else sympy.factorial(first)


def _folded(kind: str, values: list[Any]) -> Any:
    import sympy

    if any(map(has_matrix, values)):
        return reduce(operator.add if kind == "add" else operator.mul, values)
    return sympy.Add(*values) if kind == "add" else sympy.Mul(*values)


def _bounded(kind: str, first: Any, last: Any) -> None:
    """Raises TooLarge where sympy would work out a number that has no end."""
    if kind == "pow" and last.is_Rational and has_matrix(first):
        large = abs(last) > _MOST_FACTORS
    elif kind == "pow":
        bits = max(first.p.bit_length(), first.q.bit_length()) if first.is_Rational else 0
        large = bool(last.is_Rational and bits > 1 and abs(last) * bits > _MOST_BITS)
    elif kind == "binom":
        large = bool(first.is_Integer and last.is_Integer and min(last, first - last) > _MOST_FACTORS)
    else:
        large = bool(first.is_Rational and first > _MOST_FACTORS)
    if large:
        raise TooLarge("a number of too many digits")


def _root(value: Any, degree: Any) -> Any:
    """The root of a negative number by an odd degree is negative, as in school, not complex."""
    import sympy

    if value.is_number and value.is_real and value.is_negative and degree.is_Integer and degree % 2 == 1:
        return -sympy.root(-value, degree)
    return sympy.root(value, degree)


_SYMPY_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "ceil": "ceiling", "max": "Max",
                "min": "Min"}  # fmt: skip


def _call(name: str, values: list[Any]) -> Any:
    import sympy

    value = values[0]
    if name == "det":
        return value.det() if has_matrix(value) else sympy.nan
    if name == "lg":
        return sympy.log(value, 10)
    if name in {"gcd", "lcm"}:
        return reduce(sympy.gcd if name == "gcd" else sympy.lcm, values)
    if len(name) == 1 or name == "overline":
        return sympy.Function(name)(value)
    return getattr(sympy, _SYMPY_NAMES.get(name, name))(*values)
