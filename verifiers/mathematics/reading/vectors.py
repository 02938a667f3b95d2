"""Vectors as sums of the unit vectors i, j and k."""

from __future__ import annotations

from verifiers.mathematics.reading.tree import Node, symbols

_UNITS: tuple[Node, ...] = (("const", "i"), ("sym", "j"), ("sym", "k"))
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
    return tuple(found.get(unit, _ZERO) for unit in _UNITS) if _UNITS[1] in found else None


def _component(term: Node) -> tuple[Node, Node] | None:
    """A unit vector and its factor."""
    if term in _UNITS:
        return term, ("num", "1")
    if term[0] == "neg":
        inner = _component(term[1])
        return None if inner is None else (inner[0], ("neg", inner[1]))
    if term[0] != "mul":
        return None
    units = [factor for factor in term[1:] if factor in _UNITS]
    rest = [factor for factor in term[1:] if factor not in _UNITS]
    if len(units) != 1 or not rest or any(_names_a_unit(factor) for factor in rest):
        return None
    return units[0], rest[0] if len(rest) == 1 else ("mul", *rest)


def _names_a_unit(node: Node) -> bool:
    return bool(symbols(node) & {"j", "k"}) or "('const', 'i')" in repr(node)
