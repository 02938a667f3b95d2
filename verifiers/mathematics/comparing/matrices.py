"""Multiples of the unit matrix: -I is a matrix with -1 in its diagonal."""

from verifiers.mathematics.reading.form import Form, of_node
from verifiers.mathematics.reading.tree import Node, symbols
from verifiers.patterns import linear

_UNIT_MATRIX = linear.compile(r"I(?:_[\dn]{1,4})?")


def as_written_out(form: Form, other: Form) -> Form:
    """Returns a multiple of the unit matrix I as a matrix of the size of the other answer, where that is square."""
    factor = _factor(form.node) if form.node is not None and form.kind == "formula" else None
    size = len(other.items)
    if factor is None or other.kind != "matrix" or any(len(row.items) != size for row in other.items):
        return form
    cells = [[factor if at == column else ("num", "0") for column in range(size)] for at in range(size)]
    rows = tuple(Form("()", "", tuple(map(of_node, row))) for row in cells)
    return Form("matrix", form.text, rows, node=("matrix", *(("row", *row) for row in cells)))


def _factor(node: Node) -> Node | None:
    """The factor of one I; None for all else."""
    if node[0] == "sym":
        return ("num", "1") if _UNIT_MATRIX.fullmatch(node[1]) else None
    if node[0] in {"neg", "div"}:
        inner = _factor(node[1])
        return None if inner is None or any(map(symbols, node[2:])) else (node[0], inner, *node[2:])
    if node[0] != "mul":
        return None
    factors = [_factor(part) if symbols(part) else part for part in node[1:]]
    known = [factor for factor in factors if factor is not None]
    return ("mul", *known) if len(known) == len(factors) and sum(map(bool, map(symbols, node[1:]))) == 1 else None
