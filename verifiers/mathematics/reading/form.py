"""The form of an answer once it is read: its kind, its parts, its exact value and its unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from verifiers.mathematics.reading.regions import Region
from verifiers.mathematics.reading.tree import Node, Undefined, rational, renamed, symbols
from verifiers.wording.unit_names import Unit

ANY_INTEGER, ANY_CONSTANT = "k_any", "c_any"
"""The symbols of a parameter that takes all whole numbers, and of one that takes any value."""


@dataclass(frozen=True, slots=True)
class Form:
    """One answer or part of it.

    `kind`: number, formula, unread (calculus, or notation that this grammar lacks: for the worker), matrix, text,
    list, set, union, region, ratio, time, cases, case, relation, chain, order, or the brackets of a tuple or interval,
    such as "()" and "[)".
    """

    kind: str
    text: str
    items: tuple[Form, ...] = ()
    number: Fraction | None = None
    node: Node | None = None
    name: str = ""
    operator: str = ""
    origin: Form | None = None
    """For an interval that was written as an inequality: that inequality."""
    region: Region[Form] | None = None
    """For what may describe a set of real numbers: that set."""
    unit: Unit | None = None
    measured: Form | None = None
    """For what may be a number with a unit or a product, such as 30 N: the number with its unit."""
    undefined: bool = False
    """Whether its arithmetic divides by zero."""
    unreadable: str = ""
    """Why a text that may be mathematics was not read: too long or too deep."""


Judge = Callable[[Form, Form], "bool | None"]
"""Says whether two formulas, relations or regions are the same; None when it cannot."""


def fault_of(form: Form) -> str:
    """Returns why a form can be no one's right answer unless it is the same text; empty when it can."""
    if form.undefined:
        return "it has no value"
    return form.unreadable or next((why for item in form.items if (why := fault_of(item))), "")


def is_constant(form: Form) -> bool:
    """Tells whether a form is a number or a formula without symbols."""
    return form.kind == "number" or (form.kind == "formula" and form.node is not None and not symbols(form.node))


def with_symbol(form: Form, old: str, new: str) -> Form:
    """Returns the form with one symbol renamed in every formula."""
    items = tuple(with_symbol(item, old, new) for item in form.items)
    node = None if form.node is None else renamed(form.node, old, new)
    return replace(form, items=items, node=node, text=f"{form.text} with {old}" if node != form.node else form.text)


def of_node(node: Node, text: str = "") -> Form:
    """Returns the form of a number or a formula, given its tree."""
    try:
        number = rational(node)
    except Undefined:
        return Form("formula", text, node=node, undefined=True)
    return Form("formula" if number is None else "number", text, number=number, node=node)
