"""Compares a value with the one that was expected, as `assert f(x) == expected` would, and by types first.

| expected, as JSON has it | what meets it |
|---|---|
| null | None |
| a text | the same text |
| true, false, a number | a bool, int or float that is equal by `==`; in a printed value no bool is a number |
| a list | a list or a tuple (JSON has none) of such items in their order; with `any_order` in any order, a set too |
| an object | a dict of as many such items; a key counts as JSON writes it, so that 1 is "1" |

Nothing else: what is no data of a built-in type never gets here (`sandbox.inside.plain`). NaN is met by NaN alone. A
tolerance bounds floats: a float is met by a number that it allows, and an integer by a float that it allows too, if
that rounds to the integer. No integer is met by another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from verifiers.programs.approximate import Tolerance, same_in_some_order, tolerance_of

_MAX_DEPTH = 200
_MAX_STEPS = 4_000_000
"""Looks at a value: what would need more is not the same. Without a tolerance every value is looked at once."""
_Place = tuple[Any, ...]


def same_value(
    actual: Any,
    expected: Any,
    tolerance: Tolerance | float | None = None,
    any_order: bool = False,
    *,
    from_text: bool = False,
) -> bool:
    """Compares two plain values; `from_text` says that both were read from JSON, where a bool is no number."""
    comparison = _Comparison(tolerance_of(tolerance), any_order, from_text)
    try:
        return comparison.same(actual, expected, 0)
    except (_TooMuch, RecursionError):
        return False


def met_within(allowed: Tolerance | None, actual: float, expected: float) -> bool:
    """Whether a number stands for one that it is not equal to: by a tolerance, which is for floats."""
    if (
        allowed is None
        or not isinstance(actual, float | int)
        or (isinstance(actual, int) and isinstance(expected, int))
    ):
        return False
    try:
        near = allowed.allows(float(actual), float(expected))
        return near and (isinstance(expected, float) or abs(actual - expected) < 0.5)
    except OverflowError:
        return False


class _TooMuch(Exception):
    """The values lie too deep, or comparing them takes too long."""


class _Comparison:
    def __init__(self, tolerance: Tolerance | None, any_order: bool, from_text: bool) -> None:
        self._tolerance, self._any_order, self._from_text = tolerance, any_order, from_text
        self._steps = _MAX_STEPS

    def same(self, actual: Any, expected: Any, depth: int) -> bool:
        self._step(depth)
        if isinstance(expected, int | float) and isinstance(actual, int | float):
            return self._same_number(actual, expected)
        if isinstance(expected, dict) and isinstance(actual, dict):
            return self._same_mapping(actual, expected, depth)
        if isinstance(expected, list | tuple):
            if self._any_order and isinstance(actual, list | tuple | set):
                return self._same_items(actual, expected, depth)
            return isinstance(actual, list | tuple) and self._same_sequence(actual, expected, depth)
        return type(actual) is type(expected) and bool(actual == expected)

    def _step(self, depth: int) -> None:
        self._steps -= 1
        if depth > _MAX_DEPTH or self._steps < 0:
            raise _TooMuch

    def _same_number(self, actual: float, expected: float) -> bool:
        bools = isinstance(actual, bool) + isinstance(expected, bool)
        if bools == 1 and self._from_text:
            return False
        if isinstance(expected, float) and math.isnan(expected):
            return isinstance(actual, float) and math.isnan(actual)
        return actual == expected or (not bools and met_within(self._tolerance, actual, expected))

    def _same_sequence(self, actual: Collection[Any], expected: Collection[Any], depth: int) -> bool:
        if len(actual) != len(expected):
            return False
        return all(self.same(a, b, depth + 1) for a, b in zip(actual, expected, strict=True))

    def _same_mapping(self, actual: Mapping[Any, Any], expected: Mapping[Any, Any], depth: int) -> bool:
        try:
            found, wanted = _by_name(actual), _by_name(expected)
        except ValueError:
            return False  # a number of more digits than Python writes
        if len(found) != len(actual) or found.keys() != wanted.keys():
            return False
        return all(self.same(found[key], value, depth + 1) for key, value in wanted.items())

    def _same_items(self, actual: Collection[Any], expected: Collection[Any], depth: int) -> bool:
        if len(actual) != len(expected):
            return False
        try:
            if self._tolerance is None:
                return self._place(actual, depth) == self._place(expected, depth)
            return same_in_some_order(
                list(actual),
                list(expected),
                lambda a, b: self.same(a, b, depth + 1),
                lambda value: self._place(value, depth + 1),
            )
        except ValueError:
            return False

    def _place(self, value: Any, depth: int) -> _Place:
        """A key that is equal for values that are the same in any order; close ones come to stand side by side.

        Values are put in order and never hashed: many integers with one hash are easily made.
        """
        self._step(depth)
        if isinstance(value, int | float):
            if value != value:  # noqa: PLR0124 - only NaN differs from itself
                return ("nan",)
            return ("bool" if self._from_text and isinstance(value, bool) else "number", value)
        if isinstance(value, str):
            return ("text", value)
        if isinstance(value, list | tuple | set):
            return ("list", len(value), sorted(self._place(item, depth + 1) for item in value))
        if isinstance(value, dict):
            named = _by_name(value).items()
            return ("object", len(value), sorted((repr(key), self._place(item, depth + 1)) for key, item in named))
        return (type(value).__name__,)


def _by_name(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    return {_as_json_writes(key): value for key, value in mapping.items()}


def _as_json_writes(key: Any) -> Any:
    """The text that JSON makes of a key, and the key itself where it makes none. Raises ValueError."""
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    return str(key) if isinstance(key, int | float) else key
