"""Word-set Jaccard overlap of many pairs: a bound from bitmaps first, the exact value for what passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from selfplay.concepts.segments import ranges
from selfplay.curation.word_sets import WordSets

BITS = 512
OWN = 256
_BYTES = np.uint64(0x00FF00FF00FF00FF)
_ONES = np.uint64(0x0001000100010001)
MAPPED_AT_ONCE = 4096
PAIRS_AT_ONCE = 1 << 16

Places = NDArray[np.int64]


class Overlaps:
    """Finds out whether |x and y| / |x or y| of two word sets is above a threshold.

    Each word has one of 512 bits, a frequent one for itself. Where x has b_x bits and shares c of them with y, at least
    b_x - c words of x are not in y, so that |x and y| <= |x| - b_x + c: that settles most pairs without a look at their
    words.
    """

    def __init__(self, sets: WordSets, order: Places, threshold: float) -> None:
        """Takes the word sets, which problem stands at each place, and the threshold."""
        self._threshold = threshold
        self._order = order
        self._sizes = sets.sizes[order]
        self._maps = _bitmaps(sets, order)
        self._slack = self._sizes - _counted(np.bitwise_count(self._maps)).astype(np.int64)
        ones = np.ones(len(sets.words), dtype=np.int32)
        self._rows = sparse.csr_array((ones, sets.words, sets.starts), shape=(len(sets), len(sets.hashes)))

    def above(self, first: Places, second: Places) -> NDArray[np.bool_]:
        """Whether the overlap of each pair of places is above the threshold."""
        found = np.zeros(len(first), dtype=bool)
        for start in range(0, len(first), PAIRS_AT_ONCE):
            x, y = first[start : start + PAIRS_AT_ONCE], second[start : start + PAIRS_AT_ONCE]
            common = np.take(self._maps, x, axis=0)
            common &= np.take(self._maps, y, axis=0)
            possible = np.flatnonzero(self._possible(x, y, _counted(np.bitwise_count(common))))
            found[start + possible] = self._exactly(x[possible], y[possible])
        return found

    def above_any(self, first: Places, second: Places) -> tuple[Places, Places]:
        """(index into first, index into second) of all pairs of the two whose overlap is above the threshold."""
        rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        step = max(1, PAIRS_AT_ONCE // max(1, len(second)))
        others = np.ascontiguousarray(self._maps[second].T)[:, None]
        for start in range(0, len(first), step):
            x = first[start : start + step]
            shared = np.zeros((len(x), len(second)), dtype=np.float32)
            # Word after word of the bitmaps, since numpy is slow to sum along a short axis.
            for word, other in zip(self._maps[x].T, others, strict=True):
                shared += np.bitwise_count(word[:, None] & other)
            row, column = np.nonzero(self._possible(x[:, None], second[None], shared))
            above = self._exactly(x[row], second[column])
            rows.append(row[above] + start)
            columns.append(column[above])
        return np.concatenate(rows), np.concatenate(columns)

    def _possible(self, x: Places, y: Places, shared: NDArray[Any]) -> NDArray[np.bool_]:
        """What the bound leaves open, by shared bits, for pairs of any shape that broadcasts."""
        # A hair more than needed, so that rounding never settles a pair that the exact value would not.
        shared = shared + np.float32(1e-3)
        # shared + slack > t / (1 + t) (|x| + |y|), for the slack of x and for that of y
        share = self._threshold / (1 + self._threshold)
        x_part, y_part = self._sizes[x] * share, self._sizes[y] * share
        open_x = shared > (x_part - self._slack[x]).astype(np.float32) + y_part.astype(np.float32)
        open_y = shared > x_part.astype(np.float32) + (y_part - self._slack[y]).astype(np.float32)
        possible: NDArray[np.bool_] = open_x & open_y
        return possible

    def _exactly(self, x: Places, y: Places) -> NDArray[np.bool_]:
        shared: NDArray[Any] = self._rows[self._order[x]].multiply(self._rows[self._order[y]]).sum(axis=1)
        union = self._sizes[x] + self._sizes[y] - shared
        above: NDArray[np.bool_] = np.divide(shared, union, out=np.zeros(len(x)), where=union > 0) > self._threshold
        return above


def _counted(counts: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Sums of eight counts each, shape [n, 8] -> [n], by adding the bytes of one number to each other."""
    whole = counts.view(np.uint64)[:, 0]
    pairs = (whole & _BYTES) + ((whole >> np.uint64(8)) & _BYTES)
    sums: NDArray[np.uint64] = (pairs * _ONES) >> np.uint64(48)
    return sums


def _bits(sets: WordSets) -> NDArray[np.int64]:
    """The bit of each word: the most frequent have one each, the others share the rest by their hash."""
    bit = OWN + (sets.hashes % np.uint64(BITS - OWN)).astype(np.int64)
    uses = np.bincount(sets.words, minlength=len(sets.hashes))
    frequent = np.lexsort((sets.hashes, -uses))[:OWN]
    bit[frequent] = np.arange(len(frequent))
    return bit


def _bitmaps(sets: WordSets, order: Places) -> NDArray[np.uint64]:
    maps = np.empty((len(order), BITS // 64), dtype=np.uint64)
    bit = _bits(sets)
    for start in range(0, len(order), MAPPED_AT_ONCE):
        part = order[start : start + MAPPED_AT_ONCE]
        lengths = sets.sizes[part]
        flags = np.zeros((len(part), BITS), dtype=bool)
        rows = np.repeat(np.arange(len(part)), lengths)
        flags[rows, bit[sets.words[ranges(sets.starts[part], lengths)]]] = True
        maps[start : start + len(part)] = np.packbits(flags, axis=1).view(np.uint64)
    return maps
