"""Equivalent and different answers by class of notation, in both directions, quick rules and algebra alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest

from tests.verifiers.mathematics.math_groups import GROUPS
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.numbers import decimal_digits
from verifiers.mathematics.comparing.symbolic import formulas_agree
from verifiers.mathematics.reading.form import Form
from verifiers.mathematics.reading.forms import form_of

read = cache(form_of)


def pairs(name: str, of_group: int | None) -> Iterator[tuple[str, str, bool]]:
    """Every pair within a group, and between groups every pair of their first `of_group` answers (all: None)."""
    groups = [list(dict.fromkeys(group)) for group in GROUPS[name]]
    for group in groups:
        yield from ((first, second, True) for first, second in combinations(group, 2))
    for one, two in combinations(groups, 2):
        yield from ((first, second, False) for first in one[:of_group] for second in two[:of_group])


def agree(first: str, second: str) -> bool:
    forms = read(first), read(second)
    verdicts = [same(*forms, formulas_agree), same(*reversed(forms), formulas_agree)]
    assert verdicts[0] == verdicts[1], f"{first!r} and {second!r} depend on the order"
    return first == second or verdicts[0] is True


@pytest.mark.parametrize("name", GROUPS)
def test_answers_agree_within_groups_only(name: str) -> None:
    wrong = [(first, second, alike) for first, second, alike in pairs(name, 2) if agree(first, second) is not alike]
    assert wrong == []


@pytest.mark.long
@pytest.mark.parametrize("name", GROUPS)
def test_no_answer_of_a_group_agrees_with_any_of_another(name: str) -> None:
    wrong = [(first, second, alike) for first, second, alike in pairs(name, None) if agree(first, second) is not alike]
    assert wrong == []


def by_algebra(form: Form, mark: str) -> Form:
    """The form without what the quick rules look at: exact numbers, equal texts, equal trees."""
    items = tuple(by_algebra(item, mark) for item in form.items)
    if form.kind not in {"number", "formula", "relation", "chain", "list", "set", "matrix"}:
        return replace(form, items=items)
    node = form.node if form.node is None or mark == "a" else ("neg", ("neg", form.node))
    kind = "formula" if form.kind == "number" else form.kind
    return replace(form, kind=kind, number=None, node=node, items=items, text=f"{form.text} {mark}")


def holds_a_long_decimal(form: Form) -> bool:
    return decimal_digits(form) is not None or any(map(holds_a_long_decimal, form.items))


@pytest.mark.long
@pytest.mark.parametrize("name", GROUPS)
def test_the_quick_rules_decide_as_the_algebra_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = []
    for first, second, _ in pairs(name, None):
        forms = read(first), read(second)
        quick = same(*forms)
        # that a long decimal may be a rounding is a rule of its own, which algebra doesn't know
        if quick is None or any(map(holds_a_long_decimal, forms)) or any(form.undefined for form in forms):
            continue
        if "text" not in {form.kind for form in forms}:  # words are compared as words
            decided.append((first, second, quick))
    monkeypatch.setattr("verifiers.mathematics.comparing.compare.surely_different", lambda *formulas: False)
    slow = [
        same(by_algebra(read(first), "a"), by_algebra(read(second), "b"), formulas_agree)
        for first, second, _ in decided
    ]
    assert [pair for pair, verdict in zip(decided, slow, strict=True) if verdict is not pair[2]] == []
