"""Sets of real numbers: intervals, unions, differences and inequalities, compared as sets.

A region is a small tree over end points that are forms. To compare two, their end points are put in order (`rank`,
by exact fractions here or by the worker's algebra); between and on them the line falls into cells, a region is
the set of its cells, and two regions are the same when their cells are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import and_, or_
from typing import Generic, TypeVar

_MAX_ENDS = 40
_End = TypeVar("_End")
Rank = Callable[[Sequence[_End]], "list[int] | None"]
"""Gives each end point its place in the order from 1, equal ones the same; None when that can't be told."""


class NotARegion(ValueError):
    """The ends of an interval are the wrong way round, or can't be ordered."""


@dataclass(frozen=True, slots=True)
class Region(Generic[_End]):
    """`kind`: interval (ends low and high, None for infinity), points, union, intersection, difference, or listed:
    parts that a comma joins, meant as their intersection, or as their union where they have none in common."""

    kind: str
    parts: tuple[Region[_End], ...] = ()
    ends: tuple[_End | None, ...] = ()
    closed: tuple[bool, bool] = (False, False)

    def end_points(self) -> list[_End]:
        """Returns every finite end point, in the order of the tree."""
        return [end for end in self.ends if end is not None] + [end for part in self.parts for end in part.end_points()]


def whole_line() -> Region[_End]:
    """Returns the set of all real numbers."""
    return Region("interval", ends=(None, None))


def same_region(first: Region[_End], second: Region[_End], rank: Rank[_End]) -> bool | None:
    """Compares two regions as sets; None when their end points can't be ordered or don't make regions."""
    ends = [*first.end_points(), *second.end_points()]
    if len(ends) > _MAX_ENDS:
        return None
    places = rank(ends)
    if places is None:
        return None
    given = iter(places)
    cells = 2 * max(places, default=0) + 1
    try:
        return _cells(first, given, cells) == _cells(second, given, cells)
    except NotARegion:
        return None


def _cells(region: Region[_End], places: object, count: int) -> int:
    """Returns the cells of a region as bits: cell 2k-1 is the point of place k, even cells lie between points."""
    ends = [None if end is None else 2 * next(places) - 1 for end in region.ends]  # type: ignore[call-overload]
    if region.kind == "points":
        return reduce(or_, (1 << end for end in ends if end is not None), 0)
    if region.kind == "interval":
        return _interval(ends[0], ends[1], region.closed, count)
    parts = [_cells(part, places, count) for part in region.parts]
    if region.kind == "difference":
        return parts[0] & ~parts[1]
    common = reduce(and_, parts)
    if region.kind == "intersection" or (region.kind == "listed" and common):
        return common
    return reduce(or_, parts)


def _interval(low: int | None, high: int | None, closed: tuple[bool, bool], count: int) -> int:
    if low is not None and high is not None and low >= high and not (low == high and all(closed)):
        raise NotARegion("the ends of an interval are the wrong way round")
    first = 0 if low is None else low + (0 if closed[0] else 1)
    last = count - 1 if high is None else high - (0 if closed[1] else 1)
    return ((1 << (last + 1)) - 1) & ~((1 << first) - 1)


def rank_fractions(values: Sequence[Fraction | None]) -> list[int] | None:
    """Orders exact values; None when one is not known."""
    if any(value is None for value in values):
        return None
    order = {value: place for place, value in enumerate(sorted({value for value in values if value is not None}), 1)}
    return [order[value] for value in values if value is not None]
