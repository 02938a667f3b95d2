"""Compares two forms: exact rules for numbers, words and structure, and a judge for what needs algebra.

Every answer is symmetric in its two arguments. True and False are final; None means that only the judge of
formulas (which lives in a worker process) can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from verifiers.mathematics.comparing.bounds import surely_different
from verifiers.mathematics.comparing.domains import as_mixed_number, without_domains
from verifiers.mathematics.comparing.matrices import as_written_out
from verifiers.mathematics.comparing.measures import (
    as_measured,
    as_products,
    in_common_units,
    need_conversion,
    same_time,
)
from verifiers.mathematics.comparing.names import (
    antiderived,
    are_named_otherwise,
    in_one_argument,
    in_order_of_names,
    spread,
    values_by_name,
    with_constants_of,
    without_names,
)
from verifiers.mathematics.comparing.numbers import (
    decimal_digits,
    decimal_places,
    is_coarse,
    is_its_decimal,
    is_rounding,
    numbers_agree,
)
from verifiers.mathematics.comparing.residues import same_whole
from verifiers.mathematics.comparing.words import bare, letters_chosen, other_symbols, said_alike, words
from verifiers.mathematics.reading.form import Form, Judge, is_constant
from verifiers.mathematics.reading.regions import rank_fractions, same_region
from verifiers.mathematics.reading.spelling import OR
from verifiers.mathematics.reading.tree import lost_in_zero, ordered, symbols
from verifiers.programs.approximate import can_be_paired

_FORMULAS = frozenset(("number", "formula", "unread"))
_BRACKETS = frozenset(("()", "[]", "(]", "[)"))
_WITH_A_VALUE = frozenset(("number", "formula", "matrix", "ratio", "()", "[]"))


def undecided(first: Form, second: Form) -> bool | None:
    """The judge of the quick path: it knows no algebra."""
    return None


def same(first: Form, second: Form, judge: Judge = undecided) -> bool | None:  # noqa: PLR0911, PLR0912 - one return per kind
    """Tells whether two forms are the same answer."""
    first, second = as_measured(first, second)
    if first.undefined or second.undefined:
        return False
    if need_conversion(first, second):
        converted = in_common_units(first, second)
        return same(*converted, judge) if converted else False
    if first.text and first.text == second.text:
        return not are_named_otherwise(first, second)
    if "list" in {first.kind, second.kind}:
        first, second = without_domains(first, second)
        first, second = as_mixed_number(first, second), as_mixed_number(second, first)
    first, second = (
        _as_chain(form) or form if other.kind != "list" else form for form, other in ((first, second), (second, first))
    )
    kinds = {first.kind, second.kind}
    if "chain" in kinds and kinds & {"()", "list"}:
        first, second = spread(first), spread(second)
        kinds = {first.kind, second.kind}
    if "chain" in kinds:
        return _chains(first, second, judge)
    if first.region is not None and second.region is not None and kinds != {"()"}:
        return _regions(first, second, judge)
    if "relation" in kinds:
        return _relations(first, second, judge)
    if are_named_otherwise(first, second):
        return False
    if "time" in kinds:
        return same_time(first, second)
    if "ratio" in kinds:
        products = as_products(first, second)
        return _all_of(same(left, right, judge) for left, right in products) if products else False
    if kinds == {"number"}:
        return numbers_agree(first, second)
    if kinds == {"matrix", "formula"}:
        first, second = as_written_out(first, second), as_written_out(second, first)
        kinds = {first.kind, second.kind}
    if "list" in kinds and kinds & {"text", "formula", "unread"}:
        return letters_chosen(first) == letters_chosen(second) != ""
    if "set" in kinds and kinds & _FORMULAS:
        members, value = (first, second) if first.kind == "set" else (second, first)
        alone = len(members.items) == 1 and members.items[0].kind in _FORMULAS
        return alone and same(members.items[0], value, judge)
    if "text" in kinds:
        return said_alike(words(first.text), words(second.text)) and not other_symbols(first.text, second.text)
    if kinds <= _FORMULAS or (kinds == {"matrix", "formula"} and not (first.items and second.items)):
        return _formulas(first, second, judge)
    if first.items and second.items and "formula" in kinds and kinds & {"()", "[]", "matrix"}:
        vector, other = (first, second) if first.kind == "formula" else (second, first)
        return same(_as_tuple(vector, other), replace(other, region=None), judge)
    if "matrix" in kinds and kinds & _BRACKETS:
        return _matrix_and_tuple(first, second, judge)
    if kinds == {"order"} and first.operator != second.operator:
        return False
    return _sequences(first, second, judge)


def _formulas(first: Form, second: Form, judge: Judge) -> bool | None:
    """Compares two formulas, whose constants of integration may have other names."""
    renamed = (
        with_constants_of(first, second) if any(mark in first.text + second.text for mark in ("_", " with ")) else []
    )
    if renamed:
        return _any_of(_as_named(one, second, judge) for one in renamed)
    return _as_named(first, second, judge)


def _as_named(first: Form, second: Form, judge: Judge) -> bool | None:
    """Equal trees are equal, formulas whose values or residues lie apart are not; all else is for the judge."""
    if first.kind == second.kind == "unread" and bare(first.text) == bare(second.text):
        return True
    if first.node is not None and second.node is not None:
        if first.node == second.node:
            return True
        # a long decimal may be a rounding, and a constant of integration is no symbol of its own
        off = max((2 * 10.0**-digits for digits in map(decimal_digits, (first, second)) if digits), default=0.0)
        names = symbols(first.node) ^ symbols(second.node)
        # "0 not" is no zero: what one side alone names would vanish without having been understood
        vanishing = names & (lost_in_zero(first.node) | lost_in_zero(second.node))
        constant = names == {"C", "c"} or antiderived(first, second) is not None
        if vanishing or (not constant and surely_different(first.node, second.node, off)):
            return False
        if ordered(first.node) == ordered(second.node):
            return True
        whole = same_whole(first.node, second.node)
        if whole is not None:
            return whole
    return judge(first, second)


def _chains(first: Form, second: Form, judge: Judge) -> bool | None:
    """A chain a = b = c stands for its last value, if it is true: 41 = 42 stands for nothing.

    Where some link says "about", it stands for its first value as well.
    """
    if are_named_otherwise(first, second):
        return False
    ends = [_ends(first, second), _ends(second, first)]
    verdicts = [_holds(form, judge) for form in (first, second) if form.kind == "chain"]
    return _all_of([*verdicts, _any_of(same(one, other, judge) for one in ends[0] for other in ends[1])])


def _ends(form: Form, other: Form) -> tuple[Form, ...]:
    if form.kind != "chain":
        return (form,)
    exact = "~" not in form.operator and (decimal_places(form.items[-1]) is None or "." in other.text)
    return form.items[-1:] if exact else tuple(dict.fromkeys((form.items[0], form.items[-1])))


def _holds(chain: Form, judge: Judge) -> bool | None:
    """Tells whether each link of a chain is true; a decimal may be rounded, also after an equals sign."""
    links = zip(chain.items, chain.items[1:], chain.operator.split(), strict=False)
    return _all_of(_is_link(left, right, operator, judge) for left, right, operator in links)


def _is_link(left: Form, right: Form, operator: str, judge: Judge) -> bool | None:
    if operator == "~" or (decimal_places(right) or 0) > 1:
        rounded = _any_of((is_rounding(left, right), None if is_coarse(left) else is_rounding(right, left)))
        if rounded or (rounded is False and operator == "~" and is_constant(left) and is_constant(right)):
            return rounded
    return same(left, right, judge)


def _as_chain(form: Form) -> Form | None:
    """Reads "1/3 or 0.333" as one value, written twice. "7.5 or 8" is two: each is the other's alternative."""
    if form.kind != "list" or OR not in form.text or len(form.items) != 2 or not all(map(is_constant, form.items)):
        return None
    return Form("chain", form.text, form.items, operator="~") if is_its_decimal(*form.items) else None


def _regions(first: Form, second: Form, judge: Judge) -> bool | None:
    """Compares as sets of reals; what can't be ordered, or is a tuple or a list in truth, by its parts."""
    assert first.region is not None
    assert second.region is not None
    if are_named_otherwise(first, second):
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
        named = first.operator == second.operator == "=" and first.name and second.name
        if named and not are_named_otherwise(first, second):
            renamed = in_one_argument(first, second)
            return renamed is not None and same(renamed.items[1], second.items[1], judge)
        if {"text", "unread"} & {item.kind for form in (first, second) for item in form.items}:
            return words(first.text) == words(second.text)
        if _same_sides(first, second):
            return True
        if any(item.node is None for form in (first, second) for item in form.items):
            return first.operator == second.operator and _sequences(first, second, judge)
        return judge(first, second)
    related, other = (first, second) if first.kind == "relation" else (second, first)
    if other.origin is not None and related.operator not in {"=", "~"}:
        return judge(related, other.origin)
    if related.operator not in {"=", "~"}:
        return False
    if not related.name:
        # an identity stands for its last side
        known = {item.kind for item in related.items} <= _WITH_A_VALUE and related.operator == "="
        left, right = related.items
        return known and _all_of([same(left, right, judge), same(right, other, judge)])
    if other.name and other.name != related.name:
        return False
    return same(related.items[1], other, judge)


def _same_sides(first: Form, second: Form) -> bool:
    """Tells whether f(1) < f(2) and f(2) > f(1) are plainly the same."""
    turned = [form.items[::-1] if form.operator.startswith(">") else form.items for form in (first, second)]
    operators = {form.operator.replace(">", "<") for form in (first, second)}
    return len(operators) == 1 and all(same(left, right) is True for left, right in zip(*turned, strict=True))


def _matrix_and_tuple(first: Form, second: Form, judge: Judge) -> bool | None:
    """A matrix of one row or column is a vector, and [[1,2],[3,4]] is a matrix."""
    matrix, other = (first, second) if first.kind == "matrix" else (second, first)
    rows = [row.items for row in matrix.items]
    if other.items and all(item.kind in _BRACKETS for item in other.items):
        listed = [item.items for item in other.items]
        if [len(row) for row in rows] != [len(row) for row in listed]:
            return False
        return _all_of(
            same(a, b, judge) for one, two in zip(rows, listed, strict=True) for a, b in zip(one, two, strict=True)
        )
    cells = [cell for row in rows for cell in row]
    if min(len(rows), len(rows[0])) != 1 or len(cells) != len(other.items) or other.kind not in {"()", "[]"}:
        return False
    return _all_of(same(a, b, judge) for a, b in zip(cells, other.items, strict=True))


def _as_tuple(vector: Form, other: Form) -> Form:
    """Reads 2i - j, which has components, as a tuple; in the plane where the other is there."""
    flat = vector.items[-1].number == 0 and len(vector.items) > max(len(other.items), 2)
    return Form("()", "", vector.items[:-1] if flat else vector.items)


def _sequences(first: Form, second: Form, judge: Judge) -> bool | None:
    kinds = {first.kind, second.kind}
    points = kinds == {"list"} and {item.kind for form in (first, second) for item in form.items} <= _BRACKETS
    if kinds == {"set"} or points:
        return _as_sets(first.items, second.items, judge)
    if len(first.items) != len(second.items) or not first.items:
        return False
    if kinds in ({"list"}, {"list", "set"}):
        return _lists(first, second, judge)
    if kinds in ({"union"}, {"cap"}, {"cases"}):
        return _as_multisets(first.items, second.items, judge)
    listed = kinds == {"list", "()"} and OR not in first.text + second.text
    if listed:
        first, second = in_order_of_names(first), in_order_of_names(second)
    ordered = len(kinds) == 1 or listed or (kinds <= _BRACKETS and kinds <= {"()", "[]"} and len(first.items) > 2)
    if not ordered:
        return False
    return _all_of(same(left, right, judge) for left, right in zip(first.items, second.items, strict=True))


def _lists(first: Form, second: Form, judge: Judge) -> bool | None:
    """In any order; where both sides name every value, each name has the same values."""
    mine, theirs = values_by_name(first), values_by_name(second)
    if mine is None or theirs is None:
        return _as_multisets(without_names(first), without_names(second), judge)
    return mine.keys() == theirs.keys() and _all_of(
        _as_multisets(values, theirs[name], judge) for name, values in mine.items()
    )


def _as_sets(first: tuple[Form, ...], second: tuple[Form, ...], judge: Judge) -> bool | None:
    """Each member of either is a member of the other, however often it is listed."""
    both = ((first, second), (second, first))
    return _all_of(_any_of(same(item, other, judge) for other in theirs) for mine, theirs in both for item in mine)


def _as_multisets(first: tuple[Form, ...], second: tuple[Form, ...], judge: Judge) -> bool | None:
    """Each item has a partner of its own in the other list; one that has none for certain decides."""
    known: dict[tuple[int, int], bool | None] = {}

    def verdict(at: int, other: int) -> bool | None:
        if (at, other) not in known:
            known[at, other] = same(first[at], second[other], judge)
        return known[at, other]

    rows, columns = range(len(first)), range(len(second))
    if can_be_paired(rows, columns, lambda at, other: verdict(at, other) is True):
        return True
    lonely = any(all(verdict(at, other) is False for other in columns) for at in rows) or any(
        all(verdict(at, other) is False for at in rows) for other in columns
    )
    return None if not lonely and None in known.values() else False


def _all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """One that is False decides; else one that is not known leaves all open."""
    unsure = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unsure |= verdict is None
    return None if unsure else True


def _any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """One that is True decides; else one that is not known leaves all open."""
    unsure = False
    for verdict in verdicts:
        if verdict:
            return True
        unsure |= verdict is None
    return None if unsure else False
