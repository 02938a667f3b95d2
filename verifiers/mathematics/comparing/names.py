"""The names of values: y(x) = 2 gives y, and "x = 1, y = 2" gives x and y."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from verifiers.mathematics.reading.form import ANY_CONSTANT, ANY_INTEGER, Form, with_symbol
from verifiers.mathematics.reading.tree import symbols
from verifiers.patterns import linear

_OF_ONE_LETTER = linear.compile(r"\([A-Za-z]\)$")
_FUNCTION = linear.compile(r"[fgh]\(x\)")
_ARGUMENT = linear.compile(r"^[A-Za-z]\(([a-z])\)$")
_COMPOSED = linear.compile(r"^\(([a-z])\\circ ?([a-z])\)\(([a-z])\)$")
_BRACED_INDEX = linear.compile(r"_\{([^{}]*)\}")
_ONE_LETTER = linear.compile(r"[A-Za-z]")
_CONSTANT = linear.compile(r"[Cc]_\d")
_WHOLE, _FREE = frozenset("klmnpqNKMZtz"), frozenset("abcdkmtACDK")
_LETTER_OR_CONSTANT = linear.compile(r"[A-DKck](?:_\d)?")
_POLAR = ("r", "rho", "theta", "phi", "varphi")
_NUMBERED_UNKNOWN = linear.compile(r"^(?P<unknown>[t-z]|\\lambda)_\d{1,3}$")
"""x_1 and x_2 are the roots of x in no order, while a_1 and a_2 are terms of a sequence."""


def are_named_otherwise(first: Form, second: Form) -> bool:
    """Tells whether both have names, and not the same."""
    if not (first.name and second.name) or plain_name(first) == plain_name(second):
        return False
    # y = x^2 is f(x) = x^2
    return not any(
        plain_name(one) == "y" and _FUNCTION.fullmatch(other.name) for one, other in ((first, second), (second, first))
    )


def plain_name(form: Form) -> str:
    """The name of y in y(x), too; a_2 and a_{2} are one name."""
    name = _COMPOSED.sub(r"\1(\2(\3))", form.name)
    return _BRACED_INDEX.sub(r"_\1", _OF_ONE_LETTER.sub("", name))


def in_one_argument(first: Form, second: Form) -> Form | None:
    """The first form in the argument of the second: f(t) = 2t as f(x) = 2x. None where they can't be the same."""
    mine, theirs = (_ARGUMENT.search(form.name) for form in (first, second))
    if mine is None or theirs is None or mine.group(1) == theirs.group(1):
        return first
    node = first.items[-1].node if first.items else None
    if node is None or theirs.group(1) in symbols(node):
        return None
    return with_symbol(first, mine.group(1), theirs.group(1))


def with_constants_of(first: Form, second: Form) -> list[Form]:
    """The first form with its constants of integration, A and B or c_1 and c_2, or with its whole number n, named as
    those of the second, in each way; none where there are none to rename."""
    if first.node is None or second.node is None:
        return []
    mine, theirs = symbols(first.node), symbols(second.node)
    own, others = sorted(mine - theirs), sorted(theirs - mine)
    if len(own) != len(others) or not 1 <= len(own) <= 3:
        return []
    numbered = [all(_CONSTANT.fullmatch(name) for name in names) for names in (own, others)]
    both = {own[0], others[0]} if len(own) == 1 else {""}
    free = both - _WHOLE == {ANY_INTEGER} or both - _FREE == {ANY_CONSTANT}
    # C alone is the label of an option or a thing's name, and so is no C_1.
    alone = len(own) == 1 and mine.isdisjoint(theirs)
    constants = not alone and any(numbered) and all(_LETTER_OR_CONSTANT.fullmatch(name) for name in own + others)
    if not free and not constants:
        return []
    found = []
    for names in permutations(others):
        form = first
        for name, other in zip(own, names, strict=True):
            form = with_symbol(form, name, other)
        found.append(form)
    return found


def antiderived(first: Form, second: Form) -> str | None:
    """The variable of two functions of it that both end in + C; None for all else."""
    rest = [_without_constant(form) for form in (first, second)]
    return rest[0] if rest[0] is not None and rest[0] == rest[1] else None


def _without_constant(form: Form) -> str | None:
    if form.node is None or form.node[0] != "add" or ("sym", "C") not in form.node[1:]:
        return None
    variables = symbols(("add", *(term for term in form.node[1:] if term != ("sym", "C"))))
    name = next(iter(variables), "")
    return name if len(variables) == 1 and name.islower() else None


def spread(form: Form) -> Form:
    """Reads a = b = c = 1 as what each of the names is, to be compared with (1, 1, 1)."""
    if form.kind != "chain" or set(form.operator.split()) != {"="} or not form.items:
        return form
    names = [form.name, *(item.text for item in form.items[:-1])]
    if not all(map(_ONE_LETTER.fullmatch, names)) or len(set(names)) != len(names):
        return form
    value = form.items[-1]
    first = value if value.kind == "number" else form.items[0]
    given = [Form("relation", f"{name}={value.text}", (first, value), name=name, operator="=") for name in names]
    return Form("list", form.text, tuple(given))


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
    """Puts "y = 2, x = 1" in the order of its names, to be compared with (1, 2): radii before angles, else by the
    alphabet."""
    names = [item.name.lstrip("\\").strip() for item in form.items if _is_named(item)]
    if form.kind != "list" or len(set(names)) != len(form.items):
        return form
    order = _POLAR if set(names) <= set(_POLAR) else sorted(names)
    named = dict(zip(names, form.items, strict=True))
    return replace(form, items=tuple(named[name] for name in order if name in named))


def _is_named(item: Form) -> bool:
    return item.kind == "relation" and bool(item.name) and item.operator == "="
