"""Compares what a program wrote or returned with what was expected; outside the sandbox, on plain data only.

Texts: all of the output has to be there, so that a part of it never passes. Numbers: 1, 1.0 and True are the same, as
by Python's `==`, and "1" is none of them; NaN is the same only as an expected NaN.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from verifiers.patterns import linear
from verifiers.programs.approximate import Tolerance, same_in_some_order, tolerance_of

Comparison = Literal["tokens", "tokens_by_line", "lines", "any_order", "tokens_any_order"]
COMPARISONS: tuple[str, ...] = get_args(Comparison)
"""Words as they come, words line by line, exact lines, lines (or a JSON list, or a returned list) in any order, words
in any order."""

Tolerant = Tolerance | float | None

_MAX_DEPTH = 200
_DECIMAL = linear.compile(r"([+-]?\d+\.\d*)")


def same_output(actual: str, expected: str, comparison: str = "tokens", tolerance: Tolerant = None) -> bool:
    """Compares two texts in the way that one of COMPARISONS names. Exact lines know no tolerance."""
    if comparison == "lines":
        return exact_lines(actual, expected)
    if comparison == "any_order":
        return same_lines_any_order(actual, expected, tolerance) or same_json(actual, expected, tolerance, True)
    if comparison == "tokens_any_order":
        return same_tokens_any_order(actual, expected, tolerance)
    if comparison == "tokens_by_line":
        return same_tokens_by_line(actual, expected, tolerance)
    return same_tokens(actual, expected, tolerance) or same_json(actual, expected, tolerance)


def exact_lines(actual: str, expected: str) -> bool:
    """Same lines, where blanks at line ends and blank lines at the end don't count."""
    return _lines(actual) == _lines(expected)


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def same_tokens(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same words in the same order, however they are spread over blanks and lines; 240.0 is 240.

    With a tolerance, two words that both read as finite numbers may differ by it, absolutely or relatively.
    """
    return _same_words(actual.split(), expected.split(), tolerance)


def _same_words(actual: Sequence[str], expected: Sequence[str], tolerance: Tolerant) -> bool:
    return len(actual) == len(expected) and all(
        a == b or _plain_decimal(a) == _plain_decimal(b) or _close_words(a, b, tolerance)
        for a, b in zip(actual, expected, strict=True)
    )


def same_json(actual: str, expected: str, tolerance: Tolerant = None, any_order: bool = False) -> bool:
    """Same value, where both outputs are one JSON list or object, so that the order of keys doesn't count."""
    if not (expected.lstrip()[:1] in {"[", "{"} and actual.lstrip()[:1] in {"[", "{"}):
        return False
    # A caller that allows deep recursion would otherwise let an output overflow its stack.
    if max(_depth(actual), _depth(expected)) > _MAX_DEPTH:
        return False
    try:
        return same_value(json.loads(actual), json.loads(expected), tolerance, any_order)
    except (ValueError, RecursionError):
        return False


def _depth(text: str) -> int:
    """Most brackets that stand open at a time, those within strings included; 0 for any number that is no danger."""
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in filter("[]{}".__contains__, text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _plain_decimal(word: str) -> str:
    """Drops what a decimal's value doesn't need: 240.0 and 240. become 240, and 1.50 becomes 1.5."""
    match = _DECIMAL.fullmatch(word)
    return word if match is None else match.group(1).rstrip("0").rstrip(".")


def same_tokens_by_line(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same words line by line, where blank lines at the end don't count."""
    left, right = _lines(actual), _lines(expected)
    return len(left) == len(right) and all(same_tokens(a, b, tolerance) for a, b in zip(left, right, strict=True))


def same_lines_any_order(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same lines in any order; words within a line keep theirs."""
    left, right = ([line.split() for line in _lines(text)] for text in (actual, expected))
    return same_in_some_order(
        left, right, lambda a, b: _same_words(a, b, tolerance), lambda line: [_place_of_word(word) for word in line]
    )


def same_tokens_any_order(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same words in any order, each as often as in the other."""
    return same_in_some_order(
        actual.split(), expected.split(), lambda a, b: _same_words([a], [b], tolerance), _place_of_word
    )


def _place_of_word(word: str) -> tuple[int, float, str]:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    return (1, 0.0, word) if math.isnan(number) else (0, number, "")


def _close_words(actual: str, expected: str, tolerance: Tolerant) -> bool:
    allowed = tolerance_of(tolerance)
    if allowed is None:
        return False
    try:
        return allowed.allows(float(actual), float(expected))
    except ValueError:
        return False


def same_value(  # noqa: PLR0911 - one return per kind
    actual: Any, expected: Any, tolerance: Tolerant = None, any_order: bool = False, depth: int = 0
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
        return _same_number(actual, expected, tolerance)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(actual) != len(expected):
            return False
        if any_order:
            return _same_items(actual, expected, tolerance, depth)
        return all(same_value(a, b, tolerance, any_order, depth + 1) for a, b in zip(actual, expected, strict=True))
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _same_mapping(actual, expected, tolerance, any_order, depth)
    return type(actual) is type(expected) and bool(actual == expected)


def _same_number(actual: float, expected: float, tolerance: Tolerant) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(actual, float) and math.isnan(actual)
    if actual == expected:
        return True
    allowed = tolerance_of(tolerance)
    if allowed is None:
        return False
    try:
        return allowed.allows(float(actual), float(expected))
    except OverflowError:
        return False


def _same_mapping(
    actual: dict[Any, Any], expected: dict[Any, Any], tolerance: Tolerant, any_order: bool, depth: int
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


def _same_items(actual: Iterable[Any], expected: Iterable[Any], tolerance: Tolerant, depth: int) -> bool:
    left = list(actual)
    if tolerance is None:
        counts = _counts(left, depth), _counts(expected, depth)
        if None not in counts:
            return counts[0] == counts[1]
    return same_in_some_order(
        left,
        list(expected),
        lambda a, b: same_value(a, b, tolerance, True, depth + 1),
        lambda value: _place_of_value(value, depth + 1),
    )


def _place_of_value(value: Any, depth: int) -> tuple[Any, ...]:
    """A key by which values sort so that those which are close come to stand side by side."""
    if isinstance(value, int | float) and value == value:  # noqa: PLR0124 - only NaN differs from itself
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, list | tuple | dict) and depth < _MAX_DEPTH:
        inner = [_place_of_value(item, depth + 1) for item in (value.items() if isinstance(value, dict) else value)]
        return (2, len(inner), sorted(inner))
    return (3, type(value).__name__)


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
