"""Whether two lists hold the same items in some order, where "the same" may allow for a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_MAX_MATCHED = 300
_Item = TypeVar("_Item")


def same_in_some_order(
    left: Sequence[_Item], right: Sequence[_Item], agree: Callable[[_Item, _Item], bool], place: Callable[[_Item], Any]
) -> bool:
    """Tells whether the items can be paired off, each with one that it agrees with.

    They are paired in the order of `place` first, which suffices without a tolerance. With one, the partner that fits
    first may be the only one of another: up to 300 items are then paired by augmenting paths (longer lists are not:
    their cost would be its square).
    """
    if len(left) != len(right):
        return False
    first, second = sorted(left, key=place), sorted(right, key=place)
    if all(map(agree, first, second)):
        return True
    return len(first) <= _MAX_MATCHED and can_be_paired(first, second, agree)


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
