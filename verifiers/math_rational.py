"""Exact arithmetic on the tree of a formula, bounded so that no tree can make it slow."""

from __future__ import annotations

from fractions import Fraction

from verifiers.math_expression import Node


def rational(node: Node) -> Fraction | None:
    """Returns the exact value of a tree of numbers and + - * / ^ % !, or None; bounded in size and time."""
    try:
        return _rational(node)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


def _rational(node: Node) -> Fraction | None:  # noqa: PLR0911
    kind = node[0]
    if kind == "num":
        digits, _, exponent = node[1].lower().partition("e")
        return Fraction(node[1]) if len(digits) < 1000 and len(exponent) < 4 else None
    if kind not in {"add", "mul", "div", "pow", "neg", "pct", "fact"}:
        return None
    values = [_rational(child) for child in node[1:]]
    if any(
        value is None or max(value.numerator.bit_length(), value.denominator.bit_length()) > 20000 for value in values
    ):
        return None
    left, right = values[0], values[-1]
    assert left is not None
    assert right is not None
    if kind == "pow":
        small = right.denominator == 1 and abs(right) <= 10000
        size = max(left.numerator.bit_length(), left.denominator.bit_length()) * abs(right)
        return Fraction(left**right.numerator) if small and size <= 40000 and not left == right == 0 else None
    if kind == "fact":
        if left.denominator != 1 or not 0 <= left <= 1000:
            return None
        product = 1
        for factor in range(2, left.numerator + 1):
            product *= factor
        return Fraction(product)
    if kind == "add":
        return left + right
    if kind == "mul":
        return left * right
    if kind == "div":
        return left / right
    return -left if kind == "neg" else left / 100
