"""Compares what a program wrote with what was expected; outside the sandbox, on text only.

All of the output has to be there, so that a part of it never passes. Numbers are of ASCII digits alone: `1_000` and
digits of other scripts are words. A tolerance is for floats: it never makes one integer another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from verifiers.patterns import linear
from verifiers.programs.approximate import Tolerance, same_in_some_order, tolerance_of
from verifiers.programs.values import met_within, same_value

Comparison = Literal["tokens", "tokens_by_line", "lines", "any_order", "tokens_any_order", "decimal_lines"]
COMPARISONS: tuple[str, ...] = get_args(Comparison)
"""Words as they come, words line by line, exact lines, lines (or a JSON list, or a returned list) in any order, words
in any order, and lines as LiveCodeBench has them."""

Tolerant = Tolerance | float | None

_MAX_DEPTH = 200
_DECIMAL = linear.compile(r"([+-]?[0-9]+\.[0-9]*)")
_INTEGER = linear.compile(r"[+-]?[0-9]+")
_NUMBER = linear.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 400
"""Of an integer that is compared as a number; a float of more has no such integer near it."""


def same_output(actual: str, expected: str, comparison: str = "tokens", tolerance: Tolerant = None) -> bool:
    """Compares two texts in the way that one of COMPARISONS names. Those of whole lines know no tolerance."""
    if comparison == "lines":
        return exact_lines(actual, expected)
    if comparison == "decimal_lines":
        return same_decimal_lines(actual, expected)
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


def same_decimal_lines(actual: str, expected: str) -> bool:
    """As LiveCodeBench compares: the same number of lines, each the same without blanks at its ends, or all its words
    the same exact decimals (2.50 is 2.5, and 1e3 is 1000)."""
    left, right = (text.strip().split("\n") for text in (actual, expected))
    return len(left) == len(right) and all(
        a.strip() == b.strip() or _same_decimals(a.split(), b.split()) for a, b in zip(left, right, strict=True)
    )


def _same_decimals(actual: Sequence[str], expected: Sequence[str]) -> bool:
    if len(actual) != len(expected):
        return False
    numbers = ((_exact_decimal(a), _exact_decimal(b)) for a, b in zip(actual, expected, strict=True))
    return all(a is not None and a == b for a, b in numbers)


def _exact_decimal(word: str) -> Decimal | None:
    """The number that a word is; None for any other, and for one beyond all decimals."""
    if len(word) > _MOST_DIGITS or _NUMBER.fullmatch(word) is None:
        return None
    try:
        return Decimal(word)
    except InvalidOperation:  # an exponent of more than eighteen digits
        return None


def same_tokens(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same words in the same order, however they are spread over blanks and lines; 240.0 is 240.

    With a tolerance, two words that both read as numbers, not both as integers, may differ by it.
    """
    return _same_words(actual.split(), expected.split(), tolerance)


def _same_words(actual: Sequence[str], expected: Sequence[str], tolerance: Tolerant) -> bool:
    return len(actual) == len(expected) and all(
        a == b or _plain_decimal(a) == _plain_decimal(b) or _close_words(a, b, tolerance)
        for a, b in zip(actual, expected, strict=True)
    )


def same_json(actual: str, expected: str, tolerance: Tolerant = None, any_order: bool = False) -> bool:
    """Same value, where both outputs are one JSON list or object, so that the order of keys doesn't count.

    A key that stands twice makes no object: it would offer two answers.
    """
    if not (expected.lstrip()[:1] in {"[", "{"} and actual.lstrip()[:1] in {"[", "{"}):
        return False
    # A caller that allows deep recursion would otherwise let an output overflow its stack.
    if max(_depth(actual), _depth(expected)) > _MAX_DEPTH:
        return False
    try:
        return same_value(_read(actual), _read(expected), tolerance, any_order, from_text=True)
    except (ValueError, RecursionError):
        return False


def _read(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key stands twice")
    return read


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
    return _same_in_some_order(left, right, tolerance)


def same_tokens_any_order(actual: str, expected: str, tolerance: Tolerant = None) -> bool:
    """Same words in any order, each as often as in the other."""
    left, right = ([[word] for word in text.split()] for text in (actual, expected))
    return _same_in_some_order(left, right, tolerance)


def _same_in_some_order(left: list[list[str]], right: list[list[str]], tolerance: Tolerant) -> bool:
    """Whether the same lines of words are there."""
    if tolerance is None:
        return sorted(map(_plain_decimals, left)) == sorted(map(_plain_decimals, right))
    return same_in_some_order(
        left, right, lambda a, b: _same_words(a, b, tolerance), lambda line: [_place_of_word(word) for word in line]
    )


def _plain_decimals(line: list[str]) -> list[str]:
    return [_plain_decimal(word) for word in line]


def _place_of_word(word: str) -> tuple[int, float, str]:
    number = _number(word)
    return (1, 0.0, word) if number is None else (0, float(number), "")


def _close_words(actual: str, expected: str, tolerance: Tolerant) -> bool:
    if tolerance is None:
        return False
    numbers = _number(actual), _number(expected)
    return None not in numbers and met_within(tolerance_of(tolerance), *numbers)  # type: ignore[arg-type]


def _number(word: str) -> float | None:
    """The int or float that a word is; None for any other, and for one beyond all floats."""
    if _INTEGER.fullmatch(word) and len(word) <= _MOST_DIGITS:
        number = int(word)
        return number if abs(number) < 1 << 1000 else None
    if _NUMBER.fullmatch(word) is None:
        return None
    read = float(word)
    return read if math.isfinite(read) else None
