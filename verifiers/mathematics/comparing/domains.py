"""Lists that are one thing in truth: a formula and where it holds, or a mixed number in words."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from verifiers.mathematics.reading.form import Form
from verifiers.mathematics.reading.progressions import number_node
from verifiers.mathematics.reading.spelling import AND
from verifiers.mathematics.reading.tree import Node, symbols
from verifiers.patterns import linear

_SHRINKS = linear.compile(r"\|[A-Za-z]\|<.+|-(.+)<[a-z]<(.+)")
_COUNTS = frozenset("nkm")
_FIRST = frozenset((0, 1))
_ROOTS = frozenset(("root", "log"))


def without_domains(first: Form, second: Form) -> tuple[Form, Form]:
    """Returns a formula without the domain that stands behind it, where the other answer names none.

    Only what a formula needs to mean something is such a domain: points left out, |x| < r, x > 0 of a root or a
    logarithm, n from 0 or 1 on. "3 for k > 0" is no 3, and "x^2 for x > 5" is no x^2.
    """
    found = [_value_in_domain(form) for form in (first, second)]
    if found[0] is not None and found[1] is None:
        return found[0], second
    return (first, found[1]) if found[1] is not None and found[0] is None else (first, second)


def _value_in_domain(form: Form) -> Form | None:
    if form.kind != "list" or len(form.items) != 2:
        return None
    value, condition = form.items
    held = value.items[1] if value.kind == "relation" and value.name and value.operator == "=" else value
    if held.kind != "formula" or held.node is None or not condition.name or condition.region is None:
        return None
    return value if condition.name in symbols(held.node) and _is_natural(condition, held.node) else None


def _is_natural(condition: Form, value: Node) -> bool:
    if condition.kind == "relation":
        return condition.operator == "!="
    shrinks = _SHRINKS.fullmatch(condition.text)
    if shrinks:
        return shrinks.group(1) == shrinks.group(2)
    region = condition.region
    if region is None or region.kind != "interval" or region.ends[1] is not None or region.ends[0] is None:
        return False
    low = region.ends[0].number
    if condition.name in _COUNTS:
        return low in _FIRST
    return low == 0 and _needs_positive(value, condition.name)


def _needs_positive(node: Node, name: str) -> bool:
    """Tells whether a root or a logarithm of a symbol alone stands in a formula."""
    kind = "log" if node[:2] in {("call", "ln"), ("call", "log")} else node[0]
    if kind in _ROOTS and node[-1] == ("sym", name):
        return True
    return any(_needs_positive(child, name) for child in node[1:] if isinstance(child, tuple))


def as_mixed_number(form: Form, other: Form) -> Form:
    """Reads "2 and 3/4" as one number where the other answer is one."""
    if form.kind != "list" or AND not in form.text or len(form.items) != 2 or other.kind != "number":
        return form
    whole, part = (item.number for item in form.items)
    if whole is None or part is None or whole.denominator != 1 or whole < 1 or not 0 < part < 1 or "." in form.text:
        return form
    value: Fraction = whole + part
    return replace(form, kind="number", items=(), number=value, node=number_node(value))
