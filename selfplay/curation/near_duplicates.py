"""Near duplicates among very many problems: MinHash buckets propose, the exact overlap of the word sets decides.

One problem after the other, the first that is left is kept, and takes out all that share a bucket with it and whose
overlap with it is above the threshold. At the paper's 50 bands of 2 rows, 40% of all pairs with an overlap of 0.1 share
a bucket, and unrelated problems have as much; but there few are kept, and each takes out many. Where the buckets hold
much more than what is left, as those of templates do, they are left aside and everything left is tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash
from scipy import sparse

from selfplay.curation.words import WordSets

MINHASH_SEED = 1
"""Seed of the hash functions: a constant, since the outcome must depend on the texts alone."""
SKETCHED_AT_ONCE = 8192
DEARER = 4
"""The cost of a comparison of two word sets, relative to a look at a member of a bucket."""
NONE = -1

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
    buckets = Buckets(sets, bands, rows)
    sizes = np.diff(sets.starts)
    ones = np.ones(len(sets.words), dtype=np.int8)
    table = sparse.csr_array((ones, sets.words, sets.starts), shape=(len(sets), len(sets.hashes)))
    found = np.full(len(sets), NONE, dtype=np.int64)
    left = np.zeros(len(sets), dtype=bool)
    left[order[given:]] = True
    has = np.zeros(len(sets.hashes), dtype=np.int32)
    for place in order.tolist():
        if found[place] != NONE:
            continue
        left[place] = False
        near = buckets.beside(place, left)
        # Of two sets whose sizes differ too much, not even all of the smaller one is enough.
        size = sizes[place]
        near = near[(sizes[near] >= threshold * size) & (size >= threshold * sizes[near])]
        own = sets.words[sets.starts[place] : sets.starts[place + 1]]
        has[own] = 1
        shared = table[near] @ has
        has[own] = 0
        union = size + sizes[near] - shared
        alike = near[shared / np.maximum(union, 1) > threshold]
        alike = alike[buckets.share_one(place, alike)]
        found[alike] = place
        left[alike] = False
    return found


class Buckets:
    """Problems that share a band of their MinHash sketches, by band. 8 bytes a problem and band."""

    def __init__(self, sets: WordSets, bands: int, rows: int) -> None:
        """Takes the word sets, and how sketches are cut."""
        count = len(sets)
        kind = np.int32 if bands * count < np.iinfo(np.int32).max else np.int64
        self._bucket = np.empty((count, bands), dtype=kind)
        self._members = np.empty(bands * count, dtype=np.int32)
        self._last = np.empty(count, dtype=np.int32)
        starts, buckets = [], 0
        for band, key in enumerate(_band_keys(sets, bands, rows)):
            members = np.argsort(key)
            sorted_keys = key[members]
            first = np.append(True, sorted_keys[1:] != sorted_keys[:-1])[:count]
            self._bucket[members, band] = np.cumsum(first) - 1 + buckets
            self._members[band * count : (band + 1) * count] = members
            starts.append(np.flatnonzero(first) + band * count)
            buckets += len(starts[-1])
        self._starts = np.concatenate([*starts, [bands * count]])

    def beside(self, place: int, left: NDArray[np.bool_]) -> Places:
        """The problems that are left in the buckets of one, or all that are left where that costs less; each once."""
        buckets = self._bucket[place]
        begins, ends = self._starts[buckets], self._starts[buckets + 1]
        if (ends - begins).sum() > DEARER * np.count_nonzero(left):
            return np.flatnonzero(left)
        near = np.concatenate([self._members[a:b] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)])
        near = near[left[near]]
        # Of several writes to one place the last one stays: so each problem is taken once, without sorting them.
        number = np.arange(len(near), dtype=np.int32)
        self._last[near] = number
        once: Places = near[self._last[near] == number].astype(np.int64)
        return once

    def share_one(self, place: int, others: Places) -> NDArray[np.bool_]:
        """Whether each of the others shares a bucket with a problem."""
        shared: NDArray[np.bool_] = (self._bucket[others] == self._bucket[place]).any(axis=1)
        return shared


def _band_keys(sets: WordSets, bands: int, rows: int) -> Iterator[NDArray[np.uint64]]:
    """For each band a number for its rows of every problem's sketch."""
    keys = [np.empty(len(sets), dtype=np.uint64) for _ in range(bands)]
    factors = np.random.default_rng(MINHASH_SEED).integers(2**64 - 1, size=rows, dtype=np.uint64) | np.uint64(1)
    for start in range(0, len(sets), SKETCHED_AT_ONCE):
        offsets = sets.starts[start : start + SKETCHED_AT_ONCE + 1]
        hashes = sets.hashes[sets.words[offsets[0] : offsets[-1]]]
        sketches = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets - offsets[0], bands * rows, MINHASH_SEED
        )
        values = np.array(sketches.to_rows(), dtype=np.uint64).reshape(-1, bands, rows)
        for key, part in zip(keys, (values @ factors).T, strict=True):
            key[start : start + len(values)] = part
    while keys:
        yield keys.pop()  # no longer held here
