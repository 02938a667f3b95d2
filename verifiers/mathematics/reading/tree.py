"""The tree of a formula: plain tuples, as the reader builds them and the rules and the worker's algebra walk them.

Nodes: ("num", digits), ("sym", name), ("const", name), ("add", a, b), ("mul", a, b), ("div", a, b), ("pow", a, b),
("neg", a), ("call", function, a, ...), ("log", base, a), ("root", n, a), ("binom", n, k), ("fact", a), ("abs", a),
("pct", a), ("matrix", (row, ...)).
"""

from __future__ import annotations

from typing import Any

Node = tuple[Any, ...]


def symbols(node: Node) -> frozenset[str]:
    """Returns the names of the symbols of a tree."""
    if node[0] == "sym":
        return frozenset((node[1],))
    if node[0] == "matrix":
        return frozenset().union(*(symbols(cell) for row in node[1] for cell in row))
    found = frozenset().union(*(symbols(child) for child in node[1:] if isinstance(child, tuple)), frozenset())
    return found | {node[1]} if node[0] == "call" and len(node[1]) == 1 else found


def renamed(node: Node, old: str, new: str) -> Node:
    """Returns the tree with one symbol renamed."""
    if node[0] == "sym":
        return ("sym", new) if node[1] == old else node
    if node[0] == "matrix":
        return ("matrix", tuple(tuple(renamed(cell, old, new) for cell in row) for row in node[1]))
    return tuple(renamed(child, old, new) if isinstance(child, tuple) else child for child in node)


def with_decimal_logs(node: Node) -> Node:
    """Returns the tree with the logarithms that name no base taken to base ten."""
    if node[0] == "matrix":
        return ("matrix", tuple(tuple(with_decimal_logs(cell) for cell in row) for row in node[1]))
    inner = tuple(with_decimal_logs(child) if isinstance(child, tuple) else child for child in node)
    return ("log", ("num", "10"), inner[2]) if inner[:2] == ("call", "log") else inner
