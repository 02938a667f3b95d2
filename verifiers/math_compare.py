"""Compares two forms: exact rules for numbers, words and structure, and a judge for what needs algebra.

Every answer is symmetric in its two arguments. True and False are final; None means that only the judge of
formulas (which lives in a worker process) can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from verifiers.math_form import Form, Judge, is_constant
from verifiers.math_regions import rank_fractions, same_region
from verifiers.math_units import DEGREE, RADIAN, Unit

_FORMULAS = frozenset(("number", "formula", "unread"))
_BRACKETS = frozenset(("()", "[]", "(]", "[)"))
_CHOICE = re.compile(r"^\"?(?:(?:option|choice|answer)\s*\"?)?\(?\"?\(?([A-J])\)?\"?\)?(?:[.:)].*)?$", re.IGNORECASE)
_ARTICLE = re.compile(r"^\"?(?:an?|the) ?(?=[a-z]{4})", re.IGNORECASE)
_SAME_WORDS = {"doesnotexist": "dne", "nonexistent": "dne"}
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d")


def undecided(first: Form, second: Form) -> bool | None:
    """The judge of the quick path: it knows no algebra."""
    return None


def same(first: Form, second: Form, judge: Judge = undecided) -> bool | None:  # noqa: PLR0911, PLR0912 - one return per kind
    """Tells whether two forms are the same answer."""
    if first.undefined or second.undefined:
        return False
    if first.unit is not None and second.unit is not None and first.unit != second.unit:
        return _in_units(first, second, judge)
    if first.text and first.text == second.text:
        return True
    if {first.unit, second.unit} == {DEGREE, None} and _has_pi(first if first.unit is None else second):
        return _in_units(first, second, judge)
    kinds = {first.kind, second.kind}
    if "chain" in kinds:
        return _chains(first, second, judge)
    if first.region is not None and second.region is not None and kinds != {"()"}:
        return _regions(first, second, judge)
    if "relation" in kinds:
        return _relations(first, second, judge)
    if first.name and second.name and first.name != second.name:
        return False
    if "time" in kinds or "ratio" in kinds:
        return _ratios(first, second, judge)
    if kinds == {"number"}:
        return numbers_agree(first, second)
    if "text" in kinds:
        return words(first.text) == words(second.text) != ""
    if kinds <= _FORMULAS or kinds == {"matrix", "formula"}:
        return first.node == second.node if first.node == second.node is not None else judge(first, second)
    if "matrix" in kinds and kinds & _BRACKETS:
        return _matrix_and_tuple(first, second, judge)
    if kinds == {"order"} and first.operator != second.operator:
        return False
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
    """Returns the digits after the point of a decimal with at least six that count; None for anything else."""
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
    """Returns a text answer without case, blanks, quotes, articles, or the brackets and dots of an option letter."""
    choice = _CHOICE.match(text)
    if choice:
        return choice.group(1).upper()
    if len(text) < 2:
        return text
    bare = re.sub(r"[\s\"{}\\.\x04]", "", _ARTICLE.sub("", text)).casefold()
    return _SAME_WORDS.get(bare, bare)


def _has_pi(form: Form) -> bool:
    return form.node is not None and "pi" in form.text and is_constant(form)


def _in_units(first: Form, second: Form, judge: Judge) -> bool | None:
    """Compares measures of one dimension after conversion; others differ. Degrees and radians differ by pi / 180."""
    units = (first.unit or RADIAN, second.unit or RADIAN)
    if {unit.dimensions for unit in units} == {DEGREE.dimensions, RADIAN.dimensions}:
        turned = [_times(form, ("div", ("const", "pi"), ("num", "180"))) if unit == DEGREE else _times(form, None)
                  for form, unit in zip((first, second), units, strict=True)]  # fmt: skip
        return judge(*turned) if is_constant(first) and is_constant(second) else False
    if _same_but_for_powers(*units):
        return same(replace(first, unit=None), replace(second, unit=None), judge)
    if units[0].dimensions != units[1].dimensions or not (is_constant(first) and is_constant(second)):
        return False
    scaled = [
        _times(form, ("div", ("num", str(unit.factor.numerator)), ("num", str(unit.factor.denominator))), unit.factor)
        for form, unit in zip((first, second), units, strict=True)
    ]
    return same(scaled[0], scaled[1], judge)


def _same_but_for_powers(first: Unit, second: Unit) -> bool:
    """Lets 15 cm stand for an area of 15 cm^2: the slip changes no number, as 15 m would."""
    if first == second or len(first.dimensions) != 1 or len(second.dimensions) != 1:
        return False
    (name, power), (other, raised) = first.dimensions[0], second.dimensions[0]
    return name == other and first.factor**raised == second.factor**power


def _times(form: Form, factor: tuple[object, ...] | None, exact: Fraction | None = None) -> Form:
    """Returns the form without its unit, times a factor, which is also given exactly where it is a fraction."""
    if factor is None:
        return replace(form, unit=None)
    node = ("mul", form.node, factor)
    number = form.number * exact if form.number is not None and exact is not None else None
    return Form("formula" if number is None else "number", "", number=number, node=node)


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


def _regions(first: Form, second: Form, judge: Judge) -> bool | None:
    """Compares as sets of reals; what can't be ordered, or is a tuple or a list in truth, by its parts."""
    assert first.region is not None
    assert second.region is not None
    if first.name and second.name and first.name != second.name:
        return False
    verdict = same_region(first.region, second.region, lambda ends: rank_fractions([end.number for end in ends]))
    if verdict is not None:
        return verdict
    by_parts = _sequences(first, second, judge) if first.items and second.items else False
    if by_parts is not False or {first.kind, second.kind} <= _BRACKETS:
        return by_parts
    return judge(first, second)


def _relations(first: Form, second: Form, judge: Judge) -> bool | None:  # noqa: PLR0911 - one return per kind
    if first.kind == second.kind == "relation":
        if first.operator == second.operator == "=" and first.name and first.name == second.name:
            return same(first.items[1], second.items[1], judge)
        if {"text", "unread"} & {item.kind for form in (first, second) for item in form.items}:
            return words(first.text) == words(second.text)
        if any(item.node is None for form in (first, second) for item in form.items):
            return first.operator == second.operator and _sequences(first, second, judge)
        return judge(first, second)
    related, other = (first, second) if first.kind == "relation" else (second, first)
    if other.origin is not None and related.operator not in {"=", "~"}:
        return judge(related, other.origin)
    if not related.name or related.operator not in {"=", "~"}:
        return False
    if other.name and other.name != related.name:
        return False
    return same(related.items[1], other, judge)


def _ratios(first: Form, second: Form, judge: Judge) -> bool | None:
    """Ratios are the same in proportion, and a ratio of two is their quotient; times of day are exact."""
    if "time" in {first.kind, second.kind}:
        time, other = (first, second) if first.kind == "time" else (second, first)
        hour, minute = time.text.split(":")
        return other.text in {time.text, f"0{time.text}", f"{(int(hour) - 1) % 12 + 1}:{minute}"}
    if first.kind != second.kind:
        ratio, other = (first, second) if first.kind == "ratio" else (second, first)
        if len(ratio.items) != 2 or not _all_formulas((*ratio.items, other)):
            return False
        return _same_products(ratio.items[0], Form("number", "1", number=Fraction(1), node=("num", "1")),
                              other, ratio.items[1], judge)  # fmt: skip
    if len(first.items) != len(second.items):
        return False
    if (_CLOCK.fullmatch(first.text) and _CLOCK.fullmatch(second.text)) or not _all_formulas(first.items + second.items):
        return _all(same(left, right, judge) for left, right in zip(first.items, second.items, strict=True))
    pairs = zip(first.items[1:], second.items[1:], strict=True)
    return _all(_same_products(left, second.items[0], first.items[0], right, judge) for left, right in pairs)


def _all_formulas(forms: Iterable[Form]) -> bool:
    return all(form.kind in {"number", "formula"} for form in forms)


def _same_products(a: Form, b: Form, c: Form, d: Form, judge: Judge) -> bool | None:
    """Tells whether a b = c d, and no factor of it is zero."""
    numbers = [form.number for form in (a, b, c, d)]
    if 0 in numbers:
        return False
    left, right = (_times(one, other.node, other.number) for one, other in ((a, b), (c, d)))
    return same(left, right, judge)


def _matrix_and_tuple(first: Form, second: Form, judge: Judge) -> bool | None:
    """A matrix of one row or column is a vector, and [[1,2],[3,4]] is a matrix."""
    matrix, other = (first, second) if first.kind == "matrix" else (second, first)
    rows = [row.items for row in matrix.items]
    if other.items and all(item.kind in _BRACKETS for item in other.items):
        listed = [item.items for item in other.items]
        if [len(row) for row in rows] != [len(row) for row in listed]:
            return False
        return _all(same(a, b, judge) for one, two in zip(rows, listed, strict=True) for a, b in zip(one, two, strict=True))
    cells = [cell for row in rows for cell in row]
    if min(len(rows), len(rows[0])) != 1 or len(cells) != len(other.items) or other.kind not in {"()", "[]"}:
        return False
    return _all(same(a, b, judge) for a, b in zip(cells, other.items, strict=True))


def _sequences(first: Form, second: Form, judge: Judge) -> bool | None:  # noqa: PLR0911 - one return per kind
    kinds = {first.kind, second.kind}
    if kinds == {"set"}:
        return _as_sets(first.items, second.items, judge)
    if len(first.items) != len(second.items) or not first.items:
        return False
    if kinds == {"list"}:
        return _as_multisets(_without_names(first), _without_names(second), judge)
    if kinds in ({"union"}, {"cap"}, {"cases"}):
        return _as_multisets(first.items, second.items, judge)
    if kinds == {"list", "set"}:
        return _as_multisets(_without_names(first), _without_names(second), judge)
    if kinds == {"list", "()"}:
        first, second = _by_name(first), _by_name(second)
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


def _by_name(form: Form) -> Form:
    """Puts "y = 2, x = 1" in the order of its names, to be compared with (1, 2)."""
    names = [item.name for item in form.items if item.kind == "relation" and item.operator == "="]
    if form.kind != "list" or len(set(names)) != len(form.items) or "" in names:
        return form
    return replace(form, items=tuple(sorted(form.items, key=lambda item: item.name)))


def _as_sets(first: tuple[Form, ...], second: tuple[Form, ...], judge: Judge) -> bool | None:
    """Each member of either is a member of the other, however often it is listed."""
    both = ((first, second), (second, first))
    return _all(_any(same(item, other, judge) for other in theirs) for mine, theirs in both for item in mine)


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


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unsure |= verdict is None
    return None if unsure else True


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict:
            return True
        unsure |= verdict is None
    return None if unsure else False
