"""Formulas made at random: one tree written in two notations agrees, trees of other values don't."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import sympy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from verifiers.mathematics.comparing.bounds import span
from verifiers.mathematics.comparing.build import build
from verifiers.mathematics.comparing.compare import same
from verifiers.mathematics.comparing.symbolic import formulas_agree
from verifiers.mathematics.reading.forms import form_of

sys.path.insert(0, str(Path(__file__).parent))
from latex_printer import CONSTANTS, TREES, Printer, Tree, value

SEEDS = st.integers(0, 10**6)
POINTS = [{"x": 1.37, "y": 0.71, "n": 2.13}, {"x": 0.31, "y": 2.77, "n": 1.19}, {"x": -0.83, "y": 1.6, "n": -2.4}]
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(QUICK, max_examples=25)


def values(tree: Tree) -> list[float]:
    found = [value(tree, point) for point in POINTS]
    assume(not any(math.isnan(number) or abs(number) > 1e9 for number in found))
    return found


def agree(first: str, second: str) -> bool | None:
    forms = form_of(first), form_of(second)
    verdict = same(*forms, formulas_agree)
    assert verdict == same(*reversed(forms), formulas_agree)
    return verdict


@QUICK
@given(TREES, SEEDS)
def test_one_formula_in_two_notations_agrees(tree: Tree, seed: int) -> None:
    values(tree)
    latex, plain, other = (Printer(seed, True)(tree), Printer(seed + 1, False)(tree), Printer(seed + 2, True)(tree))
    assert agree(latex, plain) is True, (latex, plain)
    assert agree(latex, other) is True, (latex, other)


@QUICK
@given(TREES, TREES, SEEDS)
def test_formulas_of_other_values_do_not_agree(tree: Tree, other: Tree, seed: int) -> None:
    gaps = [abs(a - b) / (1 + abs(a)) for a, b in zip(values(tree), values(other), strict=True)]
    assume(max(gaps) > 1e-6)
    latex, plain = Printer(seed, True)(tree), Printer(seed + 1, False)(other)
    assert agree(latex, plain) is not True, (latex, plain)


@QUICK
@given(TREES, SEEDS)
def test_a_value_is_within_its_bounds_and_these_are_narrow(tree: Tree, seed: int) -> None:
    node = form_of(Printer(seed, True)(tree)).node
    assert node is not None
    point = {"x": 0.75, "y": 2.5, "n": 1.25}
    try:
        (level, low), (other, high) = span(node, point)
    except (ArithmeticError, ValueError):
        return
    exact = build(node).subs({name: sympy.Rational(number) for name, number in point.items()}).evalf(60)
    assert level == other == 0
    assert sympy.Float(low, 60) <= exact <= sympy.Float(high, 60)
    assert high - low <= 1e-6 * max(1.0, abs(low))


@QUICK
@given(st.lists(CONSTANTS, min_size=2, max_size=5, unique=True), SEEDS, st.randoms(use_true_random=False))
def test_lists_sets_and_tuples(trees: list[Tree], seed: int, order: object) -> None:
    latex = [Printer(seed + at, True).bare(tree) for at, tree in enumerate(trees)]
    plain = [Printer(seed - at, False).bare(tree) for at, tree in enumerate(trees)]
    shuffled = list(plain)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert agree(", ".join(latex), ",".join(shuffled)) is True
    assert agree(rf"\left\{{{', '.join(latex)}\right\}}", rf"\{{{'; '.join(shuffled)}\}}") is True
    assert agree(f"({', '.join(latex)})", f"({','.join(plain)})") is True
    assert agree(f"({', '.join(latex)})", f"({','.join(reversed(plain))})") is not True
    assert agree(", ".join(latex), ", ".join(plain[1:])) is not True
    assert agree(latex[0], ", ".join(plain)) is not True


@FEW
@given(st.integers(-30, 30), st.integers(1, 20), st.booleans(), st.booleans(), st.sampled_from(["x", "t", r"\theta"]))
def test_intervals_in_every_notation(low: int, width: int, left: bool, right: bool, name: str) -> None:
    high = low + width
    opening, closing = "[" if left else "(", "]" if right else ")"
    below, above = r"\le" if left else "<", r"\leq" if right else "<"
    writings = [
        f"{opening}{low},{high}{closing}",
        rf"\left{opening}{low}, \frac{{{2 * high}}}{{2}}\right{closing}",
        f"{name} \\in {opening if left else ']'}{low};{high}{closing if right else '['}",
        rf"{low} {below} {name} {above} {high}",
        rf"\{{{name} \mid {low} {below} {name} {above} {high}\}}",
        rf"{name} {'>=' if left else '>'} {low} \text{{ and }} {name} {'<=' if right else '<'} {high}",
        rf"{opening}{low},\infty) \cap (-\infty,{high}{closing}",
    ]
    other = f"{'(' if left else '['}{low},{high}{closing}"
    for first in writings:
        assert agree(first, other) is not True, (first, other)
        for second in writings:
            assert agree(first, second) is True, (first, second)


@QUICK
@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_decimals_with_and_without_thousands(units: int, places: int) -> None:
    text = f"{units}.{'5' * places}" if places else str(units)
    grouped = f"{units:,}" + (f".{'5' * places}" if places else "")
    assert agree(text, grouped) is True
    assert agree(text, grouped.replace(",", "{,}")) is True
    assert agree(text, grouped.replace(",", r"\,")) is True
    assert agree(text, rf"\${grouped}") is True
    assert agree(text, f"{units + 1}{text[len(str(units)) :]}") is not True


@FEW
@given(st.integers(1, 10**5), st.sampled_from([1, 2, 3]), st.integers(0, 2), st.sampled_from(["%s or %s", "%s, %s"]))
def test_a_value_and_what_it_rounds_to_are_two_answers(digits: int, places: int, kept: int, joint: str) -> None:
    """Whoever names both has not settled on either."""
    value = digits / 10**places
    rounded = round(value, min(kept, places - 1))
    assume(rounded != value)
    for pair in ((value, rounded), (rounded, value)):
        hedge = joint % tuple(f"{one:g}" if one % 1 else f"{one:.0f}" for one in pair)
        assert agree(hedge, f"{value:g}") is False
        assert agree(hedge, f"{rounded:g}" if rounded % 1 else f"{rounded:.0f}") is False


def test_the_decimal_of_what_has_no_finite_one_is_no_alternative() -> None:
    assert all(agree(f"{value} or {said}", value) for value, said in ((r"\frac13", "0.333"), (r"\sqrt2", "1.41")))
    assert agree(r"\frac14 or 0.25", "0.25") is True
    assert not any(agree(r"\pi or 3", gold) for gold in (r"\pi", "3"))
