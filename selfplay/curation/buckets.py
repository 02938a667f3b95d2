"""MinHash buckets: which problems share a band of their sketches, and which of those have been kept so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from selfplay.concepts.segments import ranges
from selfplay.curation.word_sets import WordSets

MINHASH_SEED = 1
"""Seed of the hash functions: a constant, since the outcome must depend on the texts alone."""
SKETCHED_AT_ONCE = 8192
ALONE = -1

Places = NDArray[np.int64]


class Buckets:
    """For every band, the buckets that at least two problems fall into. 12 bytes a problem and band at most.

    Problems are named by their places 0, 1, ... in the order in which they are looked at.
    """

    def __init__(self, sets: WordSets, order: Places, bands: int, rows: int) -> None:
        """Takes the word sets, which problem stands at each place, and how sketches are cut."""
        keys = _band_keys(sets, order, bands, rows)
        self._bucket = np.full((bands, len(order)), ALONE, dtype=np.int32)
        self._first: list[NDArray[np.int32]] = []
        self._filled: list[NDArray[np.int32]] = []
        self._kept: list[NDArray[np.int32]] = []
        filled = sets.sizes[order] > 0
        for band in range(bands):
            _, bucket, counts = np.unique(keys[band], return_inverse=True, return_counts=True)
            shared = counts > 1
            numbers = np.where(shared, np.cumsum(shared) - 1, ALONE).astype(np.int32)
            self._bucket[band] = np.where(filled, numbers[bucket], ALONE)
            sizes = counts[shared]
            self._first.append((np.cumsum(sizes) - sizes).astype(np.int32))
            self._filled.append(np.zeros(len(sizes), dtype=np.int32))
            self._kept.append(np.zeros(int(sizes.sum()), dtype=np.int32))

    @property
    def bands(self) -> int:
        """How many there are."""
        return len(self._bucket)

    def keep(self, places: Places) -> None:
        """Puts problems into their buckets."""
        for band in range(self.bands):
            bucket = self._bucket[band, places]
            inside = np.flatnonzero(bucket != ALONE)
            ordered = inside[np.argsort(bucket[inside], kind="stable")]
            into = bucket[ordered]
            changes = np.concatenate([[True], into[1:] != into[:-1]]) if len(into) else np.zeros(0, dtype=bool)
            begins = np.flatnonzero(changes)
            lengths = np.diff(np.append(begins, len(into)))
            rank = np.arange(len(into)) - np.repeat(begins, lengths)
            self._kept[band][self._first[band][into] + self._filled[band][into] + rank] = places[ordered]
            self._filled[band][into[changes]] += lengths.astype(np.int32)

    def candidates(self, places: Places) -> NDArray[np.int64]:
        """How many kept problems the buckets of each place hold, those of several bands counted as often."""
        total = np.zeros(len(places), dtype=np.int64)
        for band in range(self.bands):
            bucket = self._bucket[band, places]
            if len(self._filled[band]):
                total += np.where(bucket == ALONE, 0, self._filled[band][bucket])
        return total

    def in_band(self, band: int, places: Places) -> tuple[Places, Places]:
        """(index into `places`, kept place) of each kept problem in the same bucket of a band, in order."""
        bucket = self._bucket[band, places]
        inside = np.flatnonzero(bucket != ALONE)
        bucket = bucket[inside]
        lengths = self._filled[band][bucket].astype(np.int64)
        at = ranges(self._first[band][bucket].astype(np.int64), lengths)
        return np.repeat(inside, lengths), self._kept[band][at].astype(np.int64)

    def share_one(self, first: Places, second: Places) -> NDArray[np.bool_]:
        """Whether the problems of each pair share a bucket."""
        found = np.zeros(len(first), dtype=bool)
        for band in range(self.bands):
            bucket = self._bucket[band, first]
            found |= (bucket != ALONE) & (bucket == self._bucket[band, second])
        return found


def _band_keys(sets: WordSets, order: Places, bands: int, rows: int) -> NDArray[np.uint64]:
    """A number for each band of each place's sketch, shape [bands, places]."""
    keys = np.empty((bands, len(order)), dtype=np.uint64)
    for start in range(0, len(order), SKETCHED_AT_ONCE):
        part = order[start : start + SKETCHED_AT_ONCE]
        lengths = sets.sizes[part]
        words = sets.words[ranges(sets.starts[part], lengths)]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        sketches = RMinHash.digest_matrix_from_flat_token_hashes(
            sets.hashes[words], offsets, bands * rows, MINHASH_SEED
        ).to_rows()
        values = np.array(sketches, dtype=np.uint64).reshape(len(part), bands, rows)
        key = values[:, :, 0]
        for row in range(1, rows):
            # Two rows of 32 bits fit a key as they are; more are mixed.
            key = (key << np.uint64(32) | values[:, :, row]) if rows == 2 else _mixed(key, values[:, :, row])
        keys[:, start : start + len(part)] = key.T
    return keys


def _mixed(key: NDArray[np.uint64], value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (key ^ value) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))
