"""The names of values: y(x) = 2 gives y, and "x = 1, y = 2" gives x and y."""

from __future__ import annotations

from dataclasses import replace

from verifiers.mathematics.reading.form import Form
from verifiers.patterns import linear

_OF_ONE_LETTER = linear.compile(r"\([A-Za-z]\)$")
_BRACED_INDEX = linear.compile(r"_\{([^{}]*)\}")
_NUMBERED_UNKNOWN = linear.compile(r"^(?P<unknown>[t-z]|\\lambda)_\d{1,3}$")
"""x_1 and x_2 are the roots of x in no order, while a_1 and a_2 are terms of a sequence."""


def are_named_otherwise(first: Form, second: Form) -> bool:
    """Tells whether both have names, and not the same."""
    return bool(first.name and second.name) and plain_name(first) != plain_name(second)


def plain_name(form: Form) -> str:
    """The name of y in y(x), too; a_2 and a_{2} are one name."""
    return _BRACED_INDEX.sub(r"_\1", _OF_ONE_LETTER.sub("", form.name))


def values_by_name(form: Form) -> dict[str, tuple[Form, ...]] | None:
    """The values of "x = 1, y = 2" by name, those of x_1 and x_2 under x.

    In "x = 1, 2" both are x's. None where a value has no name, or an item is an equation such as x + y = 2.
    """
    found: dict[str, tuple[Form, ...]] = {}
    name = ""
    for item in form.items:
        if _is_named(item):
            numbered = _NUMBERED_UNKNOWN.match(plain_name(item))
            name = numbered.group("unknown") if numbered else plain_name(item)
        elif not name or item.kind == "relation":
            return None
        found[name] = (*found.get(name, ()), item.items[1] if _is_named(item) else item)
    return found


def without_names(form: Form) -> tuple[Form, ...]:
    """Reads "x = 1, y = 2" as its values, but leaves equations such as x + y = 2 whole."""
    return tuple(item.items[1] if _is_named(item) else item for item in form.items)


def in_order_of_names(form: Form) -> Form:
    """Puts "y = 2, x = 1" in the order of its names, to be compared with (1, 2)."""
    if form.kind != "list" or len({item.name for item in form.items if _is_named(item)}) != len(form.items):
        return form
    return replace(form, items=tuple(sorted(form.items, key=lambda item: item.name)))


def _is_named(item: Form) -> bool:
    return item.kind == "relation" and bool(item.name) and item.operator == "="
