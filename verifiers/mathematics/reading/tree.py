"""The tree of a formula: plain tuples, as the reader builds them and the rules and the worker's algebra walk them;
and its exact arithmetic, bounded so that no tree can make it slow.

Nodes: ("num", digits), ("sym", name), ("const", name), ("add", a, b, ...), ("mul", a, b, ...), ("div", a, b),
("pow", a, b), ("neg", a), ("call", function, a, ...), ("log", base, a), ("root", n, a), ("binom", n, k), ("fact", a),
("abs", a), ("pct", a), ("matrix", row, ...), ("row", a, ...). Sums and products are flat, however long, and
`expression.read` bounds the depth of all else, so that what walks a tree may recurse.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]

_ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "add": operator.add, "mul": operator.mul, "div": operator.truediv
}  # fmt: skip


def joined(kind: str, parts: Sequence[Node]) -> Node:
    """Returns the sum ("add") or product ("mul") of nodes, flat."""
    if len(parts) == 1:
        return parts[0]
    return (kind, *(inner for part in parts for inner in (part[1:] if part[0] == kind else (part,))))


def depth(node: Node) -> int:
    """Returns how deep a tree is; safe for trees of any depth."""
    deepest, left = 0, [(node, 1)]
    while left:
        found, level = left.pop()
        deepest = max(deepest, level)
        left += [(child, level + 1) for child in found if isinstance(child, tuple)]
    return deepest


def ordered(node: Node) -> Node:
    """Returns the tree with the terms of sums and the factors of products in one order, unless there are matrices."""
    inner = tuple(ordered(child) if isinstance(child, tuple) else child for child in node)
    if inner[0] not in {"add", "mul"} or "'matrix'" in repr(inner):
        return inner
    return (inner[0], *sorted(inner[1:], key=repr))


def is_whole(node: Node) -> bool:
    """Tells whether a tree is a whole number for certain, by its operations alone."""
    if node[0] == "num":
        return bool(node[1].isdigit())
    if node[0] == "pow" and node[2][0] == "neg":
        return False
    return node[0] in {"add", "mul", "neg", "pow", "fact", "binom"} and all(map(is_whole, node[1:]))


def symbols(node: Node) -> frozenset[str]:
    """Returns the names of the symbols of a tree."""
    if node[0] == "sym":
        return frozenset((node[1],))
    found = frozenset().union(*(symbols(child) for child in node[1:] if isinstance(child, tuple)), frozenset())
    return found | {node[1]} if node[0] == "call" and len(node[1]) == 1 else found


def lost_in_zero(node: Node) -> frozenset[str]:
    """Returns the names of symbols that stand in a product with a written zero, and so have no bearing on its value."""
    inner = [child for child in node[1:] if isinstance(child, tuple)]
    if node[0] == "mul" and any(child[0] == "num" and not child[1].strip("0.") for child in inner):
        return symbols(node)
    return frozenset().union(*map(lost_in_zero, inner), frozenset())


def renamed(node: Node, old: str, new: str) -> Node:
    """Returns the tree with one symbol renamed."""
    if node[0] == "sym":
        return ("sym", new) if node[1] == old else node
    return tuple(renamed(child, old, new) if isinstance(child, tuple) else child for child in node)


def with_decimal_logs(node: Node) -> Node:
    """Returns the tree with the logarithms that name no base taken to base ten."""
    inner = tuple(with_decimal_logs(child) if isinstance(child, tuple) else child for child in node)
    return ("log", ("num", "10"), inner[2]) if inner[:2] == ("call", "log") else inner


class Undefined(ValueError):
    """The arithmetic of the tree divides by zero, or raises zero to no positive power."""


def rational(node: Node) -> Fraction | None:
    """Returns the exact value of a tree of numbers and + - * / ^ % !, or None; bounded in size and time.

    Raises Undefined where the tree has no value at all.
    """
    try:
        return _rational(node)
    except ZeroDivisionError as error:
        raise Undefined("division by zero") from error
    except (OverflowError, ValueError):
        return None


def _rational(node: Node) -> Fraction | None:  # noqa: PLR0911 - one branch per kind of node
    kind = node[0]
    if kind == "num":
        digits, _, exponent = node[1].lower().partition("e")
        return Fraction(node[1]) if len(digits) < 1000 and len(exponent) < 4 else None
    if kind == "matrix":
        return None
    if kind not in {"add", "mul", "div", "pow", "neg", "pct", "fact", "binom"}:
        for child in node[1:]:
            if isinstance(child, tuple):
                _rational(child)
        return None
    values = [_rational(child) for child in node[1:]]
    if len(values) > 2:
        return _folded(kind, values)
    left, right = values[0], values[-1]
    if kind == "div" and right == 0:
        raise ZeroDivisionError
    if left is None or right is None or any(_bits(value) > 20000 for value in (left, right)):
        return None
    if kind == "pow":
        small = right.denominator == 1 and abs(right) <= 10000
        size = _bits(left) * abs(right)
        if left == 0 and right <= 0:
            raise ZeroDivisionError
        return Fraction(left**right.numerator) if small and size <= 40000 else None
    if kind in {"fact", "binom"}:
        return _counted(left, right if kind == "binom" else None)
    if kind in _ARITHMETIC:
        return _ARITHMETIC[kind](left, right)
    return -left if kind == "neg" else left / 100


def _folded(kind: str, values: Sequence[Fraction | None]) -> Fraction | None:
    """The sum or product of many."""
    total = values[0]
    for value in values[1:]:
        if total is None or value is None or _bits(total) > 20000 or _bits(value) > 20000:
            return None
        total = _ARITHMETIC[kind](total, value)
    return total


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _counted(top: Fraction, bottom: Fraction | None) -> Fraction | None:
    """A factorial, or a binomial coefficient."""
    if top.denominator != 1 or not 0 <= top <= 1000:
        return None
    if bottom is None:
        return Fraction(math.factorial(top.numerator))
    known = bottom.denominator == 1 and 0 <= bottom <= top
    return Fraction(math.comb(top.numerator, bottom.numerator)) if known else None


_UNIT_VECTORS: tuple[Node, ...] = (("const", "i"), ("sym", "j"), ("sym", "k"))
_ZERO: Node = ("num", "0")


def components(node: Node) -> tuple[Node, ...] | None:
    """Returns the three components of a sum such as 2i - j + 3k, which has two terms or more, and j; else None."""
    if node[0] != "add" or len(node) > 4:
        return None
    found: dict[Node, Node] = {}
    for term in node[1:]:
        split = _component(term)
        if split is None or split[0] in found:
            return None
        found[split[0]] = split[1]
    return tuple(found.get(unit, _ZERO) for unit in _UNIT_VECTORS) if _UNIT_VECTORS[1] in found else None


def _component(term: Node) -> tuple[Node, Node] | None:
    """A unit vector and its factor."""
    if term in _UNIT_VECTORS:
        return term, ("num", "1")
    if term[0] == "neg":
        inner = _component(term[1])
        return None if inner is None else (inner[0], ("neg", inner[1]))
    if term[0] != "mul":
        return None
    units = [factor for factor in term[1:] if factor in _UNIT_VECTORS]
    rest = [factor for factor in term[1:] if factor not in _UNIT_VECTORS]
    if len(units) != 1 or not rest or any(_names_a_vector(factor) for factor in rest):
        return None
    return units[0], rest[0] if len(rest) == 1 else ("mul", *rest)


def _names_a_vector(node: Node) -> bool:
    return bool(symbols(node) & {"j", "k"}) or "('const', 'i')" in repr(node)
