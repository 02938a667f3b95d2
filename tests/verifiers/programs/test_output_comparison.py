"""Comparison of outputs and values: blanks, floats, types, NaN, order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.programs.approximate import Tolerance
from verifiers.programs.comparison import (
    COMPARISONS,
    exact_lines,
    same_json,
    same_lines_any_order,
    same_output,
    same_tokens,
    same_tokens_any_order,
    same_tokens_by_line,
)
from verifiers.programs.values import same_value


@pytest.mark.parametrize(
    ("actual", "expected", "tokens", "by_line", "lines"),
    [
        ("1 2\n", "1 2", True, True, True),
        ("1  2 \r\n\n", "1 2\n", True, True, False),
        ("1\n2\n", "1 2\n", True, False, False),
        ("1 2 3", "1 2", False, False, False),
        ("1", "1 2", False, False, False),
        ("", "", True, True, True),
        ("Yes", "YES", False, False, False),
        ("1.0", "1", True, True, False),
        ("1.50 007", "1.5 7", False, False, False),
        ("1.50 7.", "1.5 7", True, True, False),
    ],
)
def test_text_outputs(actual: str, expected: str, tokens: bool, by_line: bool, lines: bool) -> None:
    assert same_tokens(actual, expected) is tokens
    assert same_tokens_by_line(actual, expected) is by_line
    assert exact_lines(actual, expected) is lines


def test_float_tolerance_is_absolute_or_relative() -> None:
    assert same_tokens("0.3333", "0.33333", 1e-3)
    assert same_tokens("1000001.0", "1000000.0", 1e-5)
    assert not same_tokens("0.34", "0.33", 1e-3)
    assert not same_tokens("nan", "1.0", 1e9)
    assert not same_tokens("inf", "1.0", 1e9)
    assert same_tokens("inf", "inf", 1e-6)


def test_outputs_in_json_compare_by_value() -> None:
    assert same_json('{"a": 1, "b": [2.0]}', '{"b": [2], "a": 1}')
    assert not same_json("[1, 2]", "[2, 1]")
    assert not same_json("[1", "[1")
    assert not same_json("[" * 100_000, "[" * 100_000)
    assert not same_json("1", "1")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("[true]", "[1]"),
        ("[1]", "[true]"),
        ('{"a": false}', '{"a": 0}'),
        ("[1, true]", "[1, 1]"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('{"a": 1, "a": 2}', '{"a": 1}'),
        ('["1"]', "[1]"),
        ("[1_0]", "[10]"),
        ("[\u0661]", "[1]"),
        ("[null]", "[0]"),
    ],
)
@pytest.mark.parametrize("any_order", [False, True])
def test_json_keeps_its_types_and_one_answer(actual: str, expected: str, any_order: bool) -> None:
    for tolerance in (None, 1e-3):
        assert not same_json(actual, expected, tolerance, any_order)


OTHER_DIGITS = st.sampled_from(["\u0660", "\u06f0", "\u0966", "\uff10", "\U0001d7ce", "\u0e50"])


def _in_other_digits(word: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(sign)) if sign in "0123456789" else sign for sign in word)


@given(st.integers(0, 10**9), st.integers(0, 999), OTHER_DIGITS, st.sampled_from(COMPARISONS), st.booleans())
def test_digits_of_other_scripts_and_underscores_are_no_numbers(
    whole: int, part: int, zero: str, comparison: str, loose: bool
) -> None:
    for word in (str(whole), f"{whole}.{part}"):
        underscored = word[0] + "_" + word[1:] if word[1:2].isdigit() else f"0_{word}"
        for other in (_in_other_digits(word, zero), underscored, f"{word}e1_0", f"0x{whole:x}"):
            assert not same_output(other, word, comparison, 1e-2 if loose else None)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.sampled_from(COMPARISONS))
def test_a_tolerance_never_makes_one_integer_another(number: int, step: int, comparison: str) -> None:
    for loose in (1e-6, 0.5, 1e9):
        assert not same_output(f"{number + step}", f"{number}", comparison, loose)
        assert not same_output(f"{number + step}.0", f"{number}", comparison, loose)
        assert not same_output(f"[{number + step}]", f"[{number}]", comparison, loose)
        assert not same_value(number + step, number, loose)
        assert not same_value(float(number + step), number, loose)


def test_rounding_of_a_float_may_stand_for_an_integer() -> None:
    assert same_tokens("0.99999999", "1", 1e-6)
    assert same_value([0.99999999], [1], 1e-6)
    assert not same_value(True, 1.0000001, 1e-3)


def test_lines_and_words_in_any_order() -> None:
    assert same_lines_any_order("b 2\na 1\n", "a  1\nb 2")
    assert not same_lines_any_order("a\na\n", "a\nb\n")
    assert same_lines_any_order("b 2.0\na 1.50\n", "a 1.5\nb 2")
    assert same_lines_any_order("b 2.001\na 1\n", "a 1\nb 2", 1e-2)
    assert not same_lines_any_order("2 b\na 1\n", "a 1\nb 2")
    assert same_tokens_any_order("3 1\n2", "1 2 3")
    assert not same_tokens_any_order("1 1 2", "1 2 2")
    assert not same_tokens_any_order("1 2", "1 2 3")


def test_with_a_tolerance_the_first_partner_may_be_another_ones_only_one() -> None:
    assert same_tokens_any_order("1.0 1.2 a", "a 1.1 1.3", Tolerance(0.1001, "absolute"))
    # 1.1 fits both, 1.0 fits 1.05 only: taking the first that fits would leave 1.0 without a partner
    assert same_value([1.1, 1.0], [1.05, 1.16], Tolerance(0.0601, "absolute"), any_order=True)
    assert same_value([[1.1, "x"], [1.0, "x"]], [["x", 1.05], ["x", 1.16]], Tolerance(0.0601, "absolute"), True)
    assert not same_value([1.0, 1.0], [1.05, 1.16], Tolerance(0.0601, "absolute"), any_order=True)


@pytest.mark.parametrize(
    ("actual", "expected", "verdicts"),
    [
        # tokens, tokens_by_line, lines, any_order, tokens_any_order, decimal_lines
        ("1 2\n3\n", "1 2\n3\n", (True, True, True, True, True, True)),
        ("3\n1 2\n", "1 2\n3\n", (False, False, False, True, True, False)),
        ("3 2 1", "1 2\n3\n", (False, False, False, False, True, False)),
        ("1 2 3", "1 2\n3\n", (True, False, False, False, True, False)),
        ("1.0 2\n3\n", "1 2\n3\n", (True, True, False, True, True, True)),
        ("[3, 1]", "[1,3]", (False, False, False, True, False, False)),
        ("1 2\n", "1 2\n3\n", (False, False, False, False, False, False)),
        ("1 2\n3\n4\n", "1 2\n3\n", (False, False, False, False, False, False)),
        ("", "1 2\n3\n", (False, False, False, False, False, False)),
        ("nan 2\n3\n", "1 2\n3\n", (False, False, False, False, False, False)),
        ("True 2\n3\n", "1 2\n3\n", (False, False, False, False, False, False)),
    ],
)
def test_comparisons_by_name(actual: str, expected: str, verdicts: tuple[bool, ...]) -> None:
    assert tuple(same_output(actual, expected, name) for name in COMPARISONS) == verdicts
    loose = tuple(same_output(actual, expected, name, 1e-9) for name in COMPARISONS)
    assert loose == verdicts


@pytest.mark.parametrize(
    ("kind", "actual", "expected", "close"),
    [
        ("either", 0.0005, 0.0, True),
        ("either", 1000.5, 1000.0, True),
        ("either", 1002.0, 1000.0, False),
        ("absolute", 0.0005, 0.0, True),
        ("absolute", 1000.5, 1000.0, False),
        ("relative", 0.0005, 0.0, False),
        ("relative", 1000.5, 1000.0, True),
        ("relative", 0.0010005, 0.001, True),
        ("relative", -1000.0, 1000.0, False),
        ("either", float("inf"), float("inf"), True),
        ("either", float("-inf"), float("inf"), False),
        ("either", float("nan"), 0.0, False),
        ("absolute", float("inf"), 1e308, False),
    ],
)
def test_tolerances_of_each_kind(kind: str, actual: float, expected: float, close: bool) -> None:
    tolerance = Tolerance(1e-3, kind)
    assert tolerance.allows(actual, expected) is close
    assert same_value([actual], [expected], tolerance) is (close or actual == expected)
    assert same_tokens(repr(actual), repr(expected), tolerance) is close


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (1, 1.0, True),
        (True, 1, True),
        (0, False, True),
        (2, True, False),
        ("True", True, False),
        ("1", 1, False),
        (None, None, True),
        (None, False, False),
        ((1, [2]), [1, [2]], True),
        ({1: "a"}, {"1": "a"}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({1, 2}, [1, 2], False),
        (float("nan"), 1.0, False),
        (float("nan"), float("nan"), True),
        (0.1 + 0.2, 0.3, False),
        (10**400, 1.5, False),
        ([], {}, False),
    ],
)
def test_values_keep_their_types(actual: Any, expected: Any, same: bool) -> None:
    assert same_value(actual, expected) is same


def test_values_with_tolerance_and_any_order() -> None:
    assert same_value([0.1 + 0.2], [0.3], 1e-9)
    assert not same_value(10**400, 1.5, 1e-9)
    assert same_value([[2, 1], [3]], [[3], [1, 2]], any_order=True)
    assert not same_value([1, 1, 2], [1, 2, 2], any_order=True)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(PLAIN, max_size=4), st.randoms(use_true_random=False), st.sampled_from([None, 1e-6]))
def test_a_shuffled_list_is_the_same_in_any_order_only(items: list[Any], order: Any, tolerance: float | None) -> None:
    shuffled = list(items)
    order.shuffle(shuffled)
    assert same_value(shuffled, items, tolerance, any_order=True)
    assert not same_value([*shuffled, None], items, tolerance, any_order=True)
    assert not same_value(shuffled[1:], items, tolerance, any_order=True) or not items


WORDS = st.lists(st.lists(st.sampled_from(["1", "2", "1.0", "x", "-0.5", "nan", "True"]), max_size=3), max_size=4)


@given(WORDS, st.sampled_from(COMPARISONS), st.sampled_from([None, 1e-6]))
def test_every_comparison_takes_the_output_itself_and_no_part_of_it(
    lines: list[list[str]], comparison: str, tolerance: float | None
) -> None:
    text = "\n".join(" ".join(line) for line in lines)
    assert same_output(text, text, comparison, tolerance)
    assert same_output(f"{text}\n", text, comparison, tolerance)
    assert same_output(text.replace("\n", "\r\n"), text, comparison, tolerance)
    words = text.split()
    if words:
        assert not same_output(" ".join(words[:-1]), text, comparison, tolerance)
        assert not same_output(f"{text} y", text, comparison, tolerance)
        assert not same_output("", text, comparison, tolerance)


@given(WORDS, WORDS, st.sampled_from(COMPARISONS))
def test_comparisons_are_symmetric(one: list[list[str]], two: list[list[str]], comparison: str) -> None:
    first, second = ("\n".join(" ".join(line) for line in lines) for lines in (one, two))
    assert same_output(first, second, comparison) == same_output(second, first, comparison)
    if same_output(first, second, "lines"):
        assert same_output(first, second, comparison)


@given(PLAIN, PLAIN)
def test_value_comparison_is_reflexive_and_symmetric(first: Any, second: Any) -> None:
    assert same_value(first, first)
    assert same_value(first, second) == same_value(second, first)


_ODD = (
    *("1", "1.0", "-", "+.", "1e5", "nan", "inf", "1e99999999999999999999", "-1e-99999999999999999999", "1e400"),
    *("9" * 399, "9" * 401, "9" * 5000, "0x1", "1_0", "\u0661", "true", "null", '"a', '{"a":', "[[", "]}", ":", ","),
    *("\\", "\0", "\x1c", "\ud800", "\ufeff", "\n", " "),
)


def test_no_output_makes_a_comparison_raise() -> None:
    rng = random.Random(12)
    for _ in range(600):
        actual, expected = ("".join(rng.choices(_ODD, k=rng.randrange(1, 9))) for _ in range(2))
        for name in COMPARISONS:
            for other in (expected, actual):
                assert same_output(actual, other, name, rng.choice((None, 1e-6))) in {True, False}


@pytest.mark.parametrize("exponent", [10**5, 10**17, 10**19, 10**30])
def test_exponents_beyond_all_decimals_are_no_numbers(exponent: int) -> None:
    assert not same_output(f"1e{exponent}", "1", "decimal_lines")
    assert not same_output(f"1e-{exponent}", "0", "decimal_lines")
    assert same_output(f"1e{exponent}", f"10e{exponent - 1}", "decimal_lines") is (exponent < 10**18)
