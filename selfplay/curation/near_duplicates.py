"""Near duplicates among very many problems: MinHash buckets propose, the exact overlap of the word sets decides.

Problems are looked at in the order of their ids, so that what is kept does not depend on the order in which they come.
A problem is a duplicate when it shares a bucket with a kept one of a smaller id, or of an earlier round, and their
overlap is above the threshold. At the paper's 50 bands of 2 rows a bucket is shared by 40% of all pairs with an overlap
of 0.1, which is what unrelated problems have: buckets alone would bring nearly all pairs to comparison. So

- problems that made many others duplicates are tried first, which settles most duplicates at once;
- buckets are gone through band by band, and a problem leaves when it is settled;
- where the buckets hold more than all that was kept, they are left aside and everything kept is tried.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selfplay.curation.buckets import Buckets
from selfplay.curation.overlap import Overlaps
from selfplay.curation.word_sets import WordSets

BLOCK = 1024
"""Problems that are looked at together."""
HOT = 64
"""Kept problems that are tried first."""
TRIED_AT_ONCE = 512
DEARER = 4
"""What a comparison out of a bucket costs, relative to one of all with all."""
NONE = -1

Places = NDArray[np.int64]


def find_near_duplicates(
    sets: WordSets, order: Places, threshold: float, bands: int, rows: int, given: int = 0
) -> Places:
    """For each place in `order`, the place of a kept problem that it duplicates, or -1 where it is kept.

    Args:
        sets: the word sets of all problems.
        order: which of them to look at, in this order.
        threshold: two word sets are alike whose Jaccard overlap is above it.
        bands: of the MinHash sketches.
        rows: of each band.
        given: how many of the first in `order` are kept whatever they are like.
    """
    return _Search(sets, order, threshold, bands, rows).run(given)


class _Search:
    def __init__(self, sets: WordSets, order: Places, threshold: float, bands: int, rows: int) -> None:
        self._buckets = Buckets(sets, order, bands, rows)
        self._overlaps = Overlaps(sets, order, threshold)
        self._found = np.full(len(order), NONE, dtype=np.int64)
        self._kept = np.zeros(len(order), dtype=np.int64)
        self._count = 0
        self._caught = np.zeros(len(order), dtype=np.int64)

    def run(self, given: int) -> Places:
        self._keep(np.arange(given))
        for start in range(given, len(self._found), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(self._found)))
            self._against_kept(block)
            left = block[self._found[block] == NONE]
            self._among(left)
            left = left[self._found[left] == NONE]
            self._keep(left)
            caught = self._found[block][self._found[block] != NONE]
            np.add.at(self._caught, caught, 1)
        return self._found

    def _keep(self, places: Places) -> None:
        self._buckets.keep(places)
        self._kept[self._count : self._count + len(places)] = places
        self._count += len(places)

    def _against_kept(self, block: Places) -> None:
        kept = self._kept[: self._count]
        self._try(block, self._hottest(kept))
        left = self._left(block)
        candidates = self._buckets.candidates(left)
        few = candidates <= max(self._count // DEARER, BLOCK)
        self._try(left[~few], kept)
        left = left[few & (candidates > 0)]
        for band in range(self._buckets.bands):
            at, others = self._buckets.in_band(band, left)
            above = self._overlaps.above(left[at], others)
            self._settle(left[at[above]], others[above])
            left = self._left(left)

    def _hottest(self, kept: Places) -> Places:
        if len(kept) <= HOT:
            return kept
        caught = self._caught[kept]
        # Ties by place, so that the choice depends on nothing else.
        return kept[np.lexsort((kept, -caught))[:HOT]]

    def _try(self, places: Places, others: Places) -> None:
        """Compares problems with others, some at a time, those that are not settled."""
        for start in range(0, len(others), TRIED_AT_ONCE):
            if not len(places):
                return
            some = others[start : start + TRIED_AT_ONCE]
            row, column = self._overlaps.above_any(places, some)
            first, second = places[row], some[column]
            shared = self._buckets.share_one(first, second)
            self._settle(first[shared], second[shared])
            places = self._left(places)

    def _among(self, places: Places) -> None:
        """Compares problems of one block with each other, in order."""
        row, column = self._overlaps.above_any(places, places)
        earlier = column < row
        first, second = places[row[earlier]], places[column[earlier]]
        shared = self._buckets.share_one(first, second)
        pairs = sorted(zip(first[shared].tolist(), second[shared].tolist(), strict=True))
        for later, other in pairs:
            if self._found[later] == NONE and self._found[other] == NONE:
                self._found[later] = other

    def _settle(self, places: Places, others: Places) -> None:
        """Notes the smallest of the others that each problem is like."""
        order = np.lexsort((others, places))[::-1]
        self._found[places[order]] = others[order]

    def _left(self, places: Places) -> Places:
        left: Places = places[self._found[places] == NONE]
        return left
