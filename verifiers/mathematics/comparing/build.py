"""Builds the sympy value of a formula's tree; it may be slow or huge, so this runs in a worker process only."""

from __future__ import annotations

from functools import reduce
from typing import Any

from verifiers.mathematics.reading.tree import Node


def has_matrix(value: Any) -> bool:
    """Tells whether a value is a matrix."""
    return bool(getattr(value, "is_Matrix", False))


def build(node: Node | None) -> Any:  # noqa: PLR0911, PLR0912 - one branch per kind of node
    """Returns the sympy value of a tree. May be slow or huge: call it in a worker only."""
    import sympy

    if node is None:
        return sympy.nan
    kind = node[0]
    if kind == "num":
        return sympy.Rational(node[1])
    if kind == "sym":
        return sympy.Symbol(node[1])
    if kind == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node[1]]
    if kind == "matrix":
        return sympy.Matrix([[build(cell) for cell in row] for row in node[1]])
    if kind == "call":
        return _call(node[1], [build(child) for child in node[2:]])
    values = [build(child) for child in node[1:]]
    first, last = values[0], values[-1]
    if kind == "add":
        return first + last
    if kind == "mul":
        return first * last
    if kind == "div":
        return first / last
    if kind == "pow":
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
    if kind == "binom":
        return sympy.binomial(first, last)
    return sympy.factorial(first)


def _root(value: Any, degree: Any) -> Any:
    """The root of a negative number by an odd degree is negative, as in school, not complex."""
    import sympy

    if value.is_number and value.is_real and value.is_negative and degree.is_Integer and degree % 2 == 1:
        return -sympy.root(-value, degree)
    return sympy.root(value, degree)


_SYMPY_NAMES = {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "ln": "log",
    "ceil": "ceiling",
    "max": "Max",
    "min": "Min",
}


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
