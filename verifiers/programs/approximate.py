"""Sameness with latitude: numbers that may be a little off, and lists that may come in any order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args

ToleranceKind = Literal["either", "absolute", "relative"]
TOLERANCE_KINDS: tuple[str, ...] = get_args(ToleranceKind)
_MAX_MATCHED = 300
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Of floats. `either` is what most problem statements mean: an absolute or relative error of at most `size`."""

    size: float
    kind: str = "either"

    def allows(self, actual: float, expected: float) -> bool:
        """Tells whether two finite numbers are close. Infinities are close to themselves, NaN to nothing."""
        if math.isnan(actual) or math.isnan(expected):
            return False
        if math.isinf(actual) or math.isinf(expected):
            return actual == expected
        scale = {"absolute": 1.0, "relative": abs(expected)}.get(self.kind, max(1.0, abs(expected)))
        return abs(actual - expected) <= self.size * scale


def tolerance_of(size: Tolerance | float | None) -> Tolerance | None:
    """Returns the tolerance that a plain number stands for."""
    return size if size is None or isinstance(size, Tolerance) else Tolerance(size)


def same_in_some_order(
    left: Sequence[_Item], right: Sequence[_Item], agree: Callable[[_Item, _Item], bool], place: Callable[[_Item], Any]
) -> bool:
    """Tells whether the items can be paired off, each with one that it agrees with.

    They are paired in the order of `place` first, which suffices without a tolerance. With one, the partner that fits
    first may be the only one of another: up to 300 items are then paired by augmenting paths, each pair looked at once
    (longer lists are not: their cost would be its square).
    """
    if len(left) != len(right):
        return False
    first, second = sorted(left, key=place), sorted(right, key=place)
    if all(map(agree, first, second)):
        return True
    if len(first) > _MAX_MATCHED:
        return False
    places = range(len(first))
    return can_be_paired(places, places, cache(lambda at, other: agree(first[at], second[other])))


def can_be_paired(left: Sequence[_Item], right: Sequence[_Item], agree: Callable[[_Item, _Item], bool]) -> bool:
    """Tells whether each item of one list has a partner of its own in the other, by augmenting paths."""
    if len(left) != len(right):
        return False
    partner: dict[int, int] = {}

    def settle(item: int, tried: set[int]) -> bool:
        for at in range(len(right)):
            if at not in tried and agree(left[item], right[at]):
                tried.add(at)
                if at not in partner or settle(partner[at], tried):
                    partner[at] = item
                    return True
        return False

    return all(settle(item, set()) for item in range(len(left)))
