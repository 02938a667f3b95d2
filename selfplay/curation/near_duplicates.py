"""Near duplicates among very many problems: MinHash buckets propose, the exact overlap of the word sets decides.

One problem after the other, the first that is left is kept, and takes out all that share a bucket with it and whose
overlap with it is above the threshold. Where few are alike, all pairs that are come from the buckets at once
(`AlikePairs.among`). Where very many are, those of templates for instance, what is kept takes out its like one by one
until few are left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selfplay.curation.alike_pairs import AlikePairs
from selfplay.curation.words import WordSets

NONE = -1
PAIRS_A_PROBLEM = 16
"""With more pairs to look at than so many times the problems, some problems are taken out first."""
ONE_BY_ONE = 256
"""So many then, and twice as many each time."""

Places = NDArray[np.int64]


def find_near_duplicates(
    sets: WordSets, order: Places, threshold: float, bands: int, rows: int, given: int = 0
) -> Places:
    """For each problem, the place of the first kept one in `order` that it duplicates, or -1 where there is none.

    Args:
        order: which of them to look at, in this order.
        threshold: two word sets are alike whose Jaccard overlap is above it.
        given: how many of the first in `order` are kept whatever they are like.
    """
    ordered = sets.take(order)
    search = AlikePairs(ordered, threshold, bands, rows)
    first = np.full(len(order), NONE, dtype=np.int64)
    # All that have no words share all buckets, and are like nothing.
    left = np.flatnonzero(np.diff(ordered.starts))
    step = ONE_BY_ONE
    while (pairs := search.among(left, PAIRS_A_PROBLEM * len(left))) is None:
        for number in left[:step].tolist():
            if first[number] == NONE:
                later = left[np.searchsorted(left, max(number + 1, given)) :]
                first[search.beside(number, later[first[later] == NONE])] = number
        left = left[step:]
        left = left[first[left] == NONE]
        step *= 2
    for number, other in zip(*pairs, strict=True):
        if number >= given and first[number] == NONE and first[other] == NONE:
            first[number] = other
    found = np.full(len(sets), NONE, dtype=np.int64)
    dropped = np.flatnonzero(first != NONE)
    found[order[dropped]] = order[first[dropped]]
    return found
