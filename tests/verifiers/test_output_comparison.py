"""Comparison of outputs and values: blanks, floats, types, NaN, order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.output_comparison import (
    exact_lines,
    same_json,
    same_lines_any_order,
    same_tokens,
    same_tokens_by_line,
    same_value,
)


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
    assert same_tokens("1000001", "1000000", 1e-5)
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


def test_lines_in_any_order() -> None:
    assert same_lines_any_order("b 2\na 1\n", "a  1\nb 2")
    assert not same_lines_any_order("a\na\n", "a\nb\n")


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


@given(PLAIN, PLAIN)
def test_value_comparison_is_reflexive_and_symmetric(first: Any, second: Any) -> None:
    assert same_value(first, first)
    assert same_value(first, second) == same_value(second, first)
