"""Co-occurrence counts laid out for two questions: which are above a threshold, and what is the count of a pair."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from selfplay.concepts.vectors import Indices


class CountTable:
    """The same counts twice: each concept's in falling order, and all by pair. 32 bytes a count."""

    def __init__(self, together: sparse.csr_array) -> None:
        self._concepts = together.shape[0]
        self.starts: Indices = together.indptr.astype(np.int64)
        owners = np.repeat(np.arange(self._concepts, dtype=np.int64), np.diff(self.starts))
        self._greatest = int(together.data.max()) if together.nnz else 0
        # One ascending number says both concept and falling count, so that one binary search finds a threshold.
        keys = owners * (self._greatest + 2) + (self._greatest + 1 - together.data)
        order = np.argsort(keys, kind="stable")
        self._by_count = keys[order]
        self._others = together.indices[order]
        self._counts = together.data[order]
        self._pairs = owners * self._concepts + together.indices
        self._pair_counts = together.data

    def greatest_not_chosen(self, chosen: Indices) -> Indices:
        """A count that some concept outside the chosen has with one of them, mostly the greatest; [samples]."""
        best = np.zeros(len(chosen), dtype=np.int64)
        if not len(self._counts):
            return best
        # Of a concept's first m others at most m - 1 are chosen.
        for rank in range(chosen.shape[1]):
            at = self.starts[chosen] + rank
            there = at < self.starts[chosen + 1]
            at = np.minimum(at, len(self._counts) - 1)
            taken = (self._others[at][:, :, None] == chosen[:, None, :]).any(axis=2)
            best = np.maximum(best, np.where(there & ~taken, self._counts[at], 0).max(axis=1))
        return best

    def lengths_above(self, concepts: Indices, thresholds: Indices) -> Indices:
        """For each concept, how many others it occurs with more often than its threshold."""
        falling = self._greatest + 1 - np.minimum(thresholds, self._greatest)
        ends: Indices = np.searchsorted(self._by_count, concepts * (self._greatest + 2) + falling, side="left")
        lengths: Indices = ends - self.starts[concepts]
        return lengths

    def most_frequent(self, concepts: Indices, lengths: Indices) -> tuple[NDArray[Any], NDArray[Any]]:
        """The first so many others of each concept, one concept after the other, and their counts."""
        ends = np.cumsum(lengths)
        at = np.arange(lengths.sum()) - np.repeat(ends - lengths - self.starts[concepts], lengths)
        return self._others[at].astype(np.int64), self._counts[at].astype(np.int64)

    def of_pairs(self, first: NDArray[Any], second: NDArray[Any]) -> Indices:
        """The count of each pair."""
        if not len(self._pairs):
            return np.zeros(len(first), dtype=np.int64)
        wanted = first.astype(np.int64) * self._concepts + second
        at = np.minimum(np.searchsorted(self._pairs, wanted), len(self._pairs) - 1)
        return np.where(self._pairs[at] == wanted, self._pair_counts[at], 0).astype(np.int64)
