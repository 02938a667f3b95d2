"""Compares what a program wrote or returned with what was expected; outside the sandbox, on plain data
only."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

_MAX_DEPTH = 200
_DECIMAL = re.compile(r"([+-]?\d+\.\d*)")
_BRACKETS = re.compile(r"[][{}]")


def exact_lines(actual: str, expected: str) -> bool:
    """Same lines, where blanks at line ends and blank lines at the end don't count."""
    return _lines(actual) == _lines(expected)


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def same_tokens(actual: str, expected: str, float_tolerance: float | None = None) -> bool:
    """Same words in the same order, however they are spread over blanks and lines; 240.0 is 240.

    With a tolerance, two words that both read as finite numbers may differ by it, absolutely or relatively.
    """
    left, right = actual.split(), expected.split()
    if len(left) != len(right):
        return False
    return all(
        a == b or _plain_decimal(a) == _plain_decimal(b) or _close_words(a, b, float_tolerance)
        for a, b in zip(left, right, strict=True)
    )


def same_json(actual: str, expected: str, float_tolerance: float | None = None) -> bool:
    """Same value, where both outputs are one JSON list or object, so that the order of keys doesn't count."""
    if not (expected.lstrip()[:1] in {"[", "{"} and actual.lstrip()[:1] in {"[", "{"}):
        return False
    # A caller that allows deep recursion would otherwise let an output overflow its stack.
    if max(_depth(actual), _depth(expected)) > _MAX_DEPTH:
        return False
    try:
        return same_value(json.loads(actual), json.loads(expected), float_tolerance)
    except (ValueError, RecursionError):
        return False


def _depth(text: str) -> int:
    """Most brackets that stand open at a time, those within strings included."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _plain_decimal(word: str) -> str:
    """Drops what a decimal's value doesn't need: 240.0 and 240. become 240, and 1.50 becomes 1.5."""
    match = _DECIMAL.fullmatch(word)
    return word if match is None else match.group(1).rstrip("0").rstrip(".")


def same_tokens_by_line(actual: str, expected: str, float_tolerance: float | None = None) -> bool:
    """Same words line by line, where blank lines at the end don't count."""
    left, right = _lines(actual), _lines(expected)
    return len(left) == len(right) and all(same_tokens(a, b, float_tolerance) for a, b in zip(left, right, strict=True))


def same_lines_any_order(actual: str, expected: str) -> bool:
    """Same lines in any order; words within a line keep theirs."""

    def key(text: str) -> list[list[str]]:
        return sorted(line.split() for line in _lines(text))

    return key(actual) == key(expected)


def _close_words(actual: str, expected: str, tolerance: float | None) -> bool:
    if tolerance is None:
        return False
    try:
        return close(float(actual), float(expected), tolerance)
    except ValueError:
        return False


def close(actual: float, expected: float, tolerance: float) -> bool:
    """Tells whether two finite numbers differ by at most the tolerance, absolutely or relatively to the
    expected one. Infinities are close to themselves, NaN to nothing."""
    if math.isnan(actual) or math.isnan(expected):
        return False
    if math.isinf(actual) or math.isinf(expected):
        return actual == expected
    return abs(actual - expected) <= tolerance * max(1.0, abs(expected))


def same_value(  # noqa: PLR0911 - one return per kind
    actual: Any, expected: Any, float_tolerance: float | None = None, any_order: bool = False, depth: int = 0
) -> bool:
    """Compares two plain values, as `==` does in the tests of HumanEval and MBPP, but with types in mind.

    Tuples equal lists (the expected values come from JSON). True equals 1 and 1 equals 1.0, since
    those tests hold by `==`; "1" is not 1.
    NaN equals NaN only where NaN itself is expected. `any_order` lets lists, at every level, come in any
    order.
    """
    if depth > _MAX_DEPTH:
        return False
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return _same_number(actual, expected, float_tolerance)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(actual) != len(expected):
            return False
        if any_order:
            return _same_items(actual, expected, float_tolerance, depth)
        return all(
            same_value(a, b, float_tolerance, any_order, depth + 1) for a, b in zip(actual, expected, strict=True)
        )
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _same_mapping(actual, expected, float_tolerance, any_order, depth)
    return type(actual) is type(expected) and bool(actual == expected)


def _same_number(actual: float, expected: float, tolerance: float | None) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(actual, float) and math.isnan(actual)
    if actual == expected:
        return True
    if tolerance is None:
        return False
    try:
        return close(float(actual), float(expected), tolerance)
    except OverflowError:
        return False


def _same_mapping(
    actual: dict[Any, Any], expected: dict[Any, Any], tolerance: float | None, any_order: bool, depth: int
) -> bool:
    if len(actual) != len(expected):
        return False
    # JSON writes every key as text, so that {1: 2} may come back as {"1": 2}
    try:
        found = {str(key): value for key, value in actual.items()}
    except ValueError:
        return False  # a number of more digits than Python writes
    wanted = {str(key): value for key, value in expected.items()}
    if len(found) != len(actual) or found.keys() != wanted.keys():
        return False
    return all(same_value(found[key], wanted[key], tolerance, any_order, depth + 1) for key in wanted)


def _same_items(actual: Iterable[Any], expected: Iterable[Any], tolerance: float | None, depth: int) -> bool:
    left = list(actual)
    if tolerance is None:
        counts = _counts(left, depth), _counts(expected, depth)
        if None not in counts:
            return counts[0] == counts[1]
    for wanted in expected:
        at = next((i for i, item in enumerate(left) if same_value(item, wanted, tolerance, True, depth + 1)), None)
        if at is None:
            return False
        left.pop(at)
    return True


def _counts(items: Iterable[Any], depth: int) -> Counter[Any] | None:
    """How often each item occurs, in a form that is equal where same_value holds; None if there is no such form."""
    try:
        return Counter(_form(item, depth + 1) for item in items)
    except _NoForm:
        return None


class _NoForm(Exception):
    """NaN, a mapping, or what lies too deep is for same_value to compare."""


def _form(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH or isinstance(value, dict) or value != value:  # noqa: PLR0124 - only NaN differs from itself
        raise _NoForm
    if isinstance(value, list | tuple):
        return frozenset(Counter(_form(item, depth + 1) for item in value).items())
    return value
