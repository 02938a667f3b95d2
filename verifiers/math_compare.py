"""Compares two forms: exact rules for numbers, words and structure, and a judge for pairs of formulas.

Every answer is symmetric in its two arguments. True and False are final; None means that only the judge of
formulas (which lives in a worker process) can tell.
"""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.math_forms import Form, Judge

_FORMULAS = frozenset(("number", "formula", "unread"))
_BRACKETS = frozenset(("()", "[]", "(]", "[)", "]["))
_CHOICE = re.compile(r"^\(?\"?\(?([A-J])\)?\"?\)?(?:[.:)].*)?$")


def undecided(first: Form, second: Form) -> bool | None:
    """The judge of the quick path: it knows no algebra."""
    return None


def same(first: Form, second: Form, judge: Judge = undecided) -> bool | None:  # noqa: PLR0911 - one return per kind
    """Tells whether two forms are the same answer."""
    if first.text and first.text == second.text:
        return True
    if "chain" in {first.kind, second.kind}:
        return _chains(first, second, judge)
    if first.kind == "relation" or second.kind == "relation":
        return _relations(first, second, judge)
    if first.name and second.name and first.name != second.name:
        return False
    if first.kind == "number" and second.kind == "number":
        return numbers_agree(first, second)
    if "text" in {first.kind, second.kind}:
        return words(first.text) == words(second.text) != ""
    if {first.kind, second.kind} <= _FORMULAS:
        return judge(first, second)
    if {first.kind, second.kind} == {"matrix", "formula"}:
        return judge(first, second)
    return _sequences(first, second, judge)


def numbers_agree(first: Form, second: Form) -> bool:
    """Exact equality, or a decimal of six digits or more that is the other value correctly rounded."""
    assert first.number is not None
    assert second.number is not None
    if first.number == second.number:
        return True
    return _rounds_to(first, second.number) or _rounds_to(second, first.number)


def _rounds_to(decimal: Form, value: Fraction) -> bool:
    """Tells whether a long decimal is a value that has no finite decimal, correctly rounded or cut."""
    digits = decimal_digits(decimal)
    if digits is None or _finite_decimal(value):
        return False
    assert decimal.number is not None
    return abs(decimal.number - value) < Fraction(1, 10**digits)


def decimal_digits(form: Form) -> int | None:
    """Returns the digits after the point of a decimal with at least six that count; None for anything
    else."""
    match = re.fullmatch(r"-?(\d*)\.(\d+)", form.text)
    if match is None or len((match.group(1) + match.group(2)).strip("0")) < 6:
        return None
    return len(match.group(2))


def _finite_decimal(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def words(text: str) -> str:
    """Returns a text answer without case, blanks, quotes, or the brackets and dots of an option letter."""
    choice = _CHOICE.match(text)
    if choice:
        return choice.group(1)
    return re.sub(r"[\s\"{}\\.\x04]", "", text).casefold() if len(text) > 1 else text


def _chains(first: Form, second: Form, judge: Judge) -> bool | None:
    """A chain a = b = c stands for its last value, if it is true: 41 = 42 stands for nothing."""
    verdicts: list[bool | None] = []
    ends = []
    for form in (first, second):
        pairs = zip(form.items, form.items[1:], strict=False) if form.kind == "chain" else ()
        verdicts += [same(left, right, judge) for left, right in pairs]
        ends.append(form.items[-1] if form.kind == "chain" else form)
    if first.name and second.name and first.name != second.name:
        return False
    return _all([*verdicts, same(ends[0], ends[1], judge)])


def _relations(first: Form, second: Form, judge: Judge) -> bool | None:  # noqa: PLR0911 - one return per kind
    if first.kind == second.kind == "relation":
        if first.operator == second.operator == "=" and first.name and first.name == second.name:
            return same(first.items[1], second.items[1], judge)
        if "text" in {item.kind for form in (first, second) for item in form.items}:
            return words(first.text) == words(second.text)
        return judge(first, second)
    relation, other = (first, second) if first.kind == "relation" else (second, first)
    if other.origin is not None and relation.operator not in {"=", "~"}:
        return judge(relation, other.origin)
    if not relation.name or relation.operator not in {"=", "~"}:
        return False
    if other.name and other.name != relation.name:
        return False
    return same(relation.items[1], other, judge)


def _sequences(first: Form, second: Form, judge: Judge) -> bool | None:
    kinds = {first.kind, second.kind}
    if len(first.items) != len(second.items) or not first.items:
        return False
    if kinds == {"list"}:
        return _as_multisets(_without_names(first), _without_names(second), judge)
    if kinds in ({"set"}, {"union"}):
        return _as_multisets(first.items, second.items, judge)
    if kinds == {"list", "set"}:
        return _as_multisets(_without_names(first), _without_names(second), judge)
    ordered = (
        len(kinds) == 1
        or kinds == {"list", "()"}
        or (kinds <= _BRACKETS and kinds <= {"()", "[]"} and len(first.items) > 2)
    )
    if not ordered:
        return False
    return _all(same(left, right, judge) for left, right in zip(first.items, second.items, strict=True))


def _without_names(form: Form) -> tuple[Form, ...]:
    """Reads "x = 1, y = 2" as its values, but leaves equations such as x + y = 2 whole."""
    return tuple(
        item.items[1] if item.kind == "relation" and item.name and item.operator == "=" else item for item in form.items
    )


def _as_multisets(first: tuple[Form, ...], second: tuple[Form, ...], judge: Judge) -> bool | None:
    left = list(second)
    unsure = False
    for item in first:
        found = None
        for at, other in enumerate(left):
            verdict = same(item, other, judge)
            unsure |= verdict is None
            if verdict:
                found = at
                break
        if found is None:
            if not unsure:
                return False
            return None
        left.pop(found)
    return True


def _all(verdicts: object) -> bool | None:
    unsure = False
    for verdict in verdicts:  # type: ignore[attr-defined]
        if verdict is False:
            return False
        unsure |= verdict is None
    return None if unsure else True
