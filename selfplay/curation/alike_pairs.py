"""Pairs of word sets that share a MinHash bucket and overlap by more than a threshold.

In a million problems tens of thousands share a bucket with each, and nearly all of those are unlike it. So two sets are
first compared by bitmaps: a bit for some words, set where the set has one of them. Two sets differ in at least as many
words as their bitmaps do in bits: no pair that is alike is lost (Sandes, Teodoro and Melo, "Bitmap Filter: Speeding up
Exact Set Similarity Joins with Bitwise Operations", 2020). What is left is compared word by word.
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
SKETCHED_AT_ONCE = 2048
BITS_A_WORD = 5
"""Length of the bitmaps, relative to the mean size of the sets."""
SHORTEST, LONGEST = 4, 500
"""The same in runs of 64 bits: in fewer, words of small sets would share their bits, and differences must fit 16."""
SHORT = 64
"""Members of a bucket up to which it is compared with others of its like at once, and not by itself."""
COMPARED_AT_ONCE = 1 << 16
"""Of bitmaps, so that what is computed stays in the processor's cache."""
OVERLAPS_AT_ONCE = 1 << 18

Numbers = NDArray[np.int64]
Pairs = tuple[list[int], list[int]]


class AlikePairs:
    """Word sets by their number. 4 bytes a set and band, 4 a word."""

    def __init__(self, sets: WordSets, threshold: float, bands: int, rows: int) -> None:
        """Takes the word sets, from which overlap on two are alike, and how sketches are cut."""
        self._threshold = threshold
        self._sizes = np.diff(sets.starts)
        ones = np.ones(len(sets.words), dtype=np.int8)
        self._table = sparse.csr_array((ones, sets.words, sets.starts), shape=(len(sets), len(sets.hashes)))
        self._keys = _band_keys(sets, bands, rows)
        self._bits = _bitmaps(sets)
        self._most = _most_apart(2 * int(self._sizes.max(initial=0)), threshold)
        # About what each of a pair brings to that, rounded up: a test that takes no look-up.
        part = np.ceil(self._sizes * ((1 - threshold) / (1 + threshold)) + 1e-9)
        self._may_differ = np.minimum(part, np.iinfo(np.uint16).max // 2).astype(np.uint16)

    def among(self, numbers: Numbers, most: int) -> Pairs | None:
        """All pairs of alike sets, the later number first, sorted; none where more than `most` have to be compared."""
        codes, new, count = [np.zeros(0, dtype=np.int64)], 0, len(self._sizes)
        for one, other in self._close(numbers):
            codes.append(np.maximum(one, other) * count + np.minimum(one, other))
            new += len(one)
            if new > most:
                codes, new = [np.unique(np.concatenate(codes))], 0
                if len(codes[0]) > most:
                    return None
        later, earlier = np.divmod(np.unique(np.concatenate(codes)), max(count, 1))
        alike = self._alike(later, earlier)
        return later[alike].tolist(), earlier[alike].tolist()

    def beside(self, number: int, others: Numbers) -> Numbers:
        """Those of the others that are alike to one."""
        differ = np.zeros(len(others), dtype=np.uint16)
        for bits in self._bits:
            differ += np.bitwise_count(bits[others] ^ bits[number])
        near = others[differ <= self._most[self._sizes[others] + self._sizes[number]]]
        near = near[self._alike(near, np.full(len(near), number))]
        alike: Numbers = near[(self._keys[near] == self._keys[number]).any(axis=1)]
        return alike

    def _close(self, numbers: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """Pairs that share a bucket and that their bitmaps do not tell apart, once for each bucket that they share."""
        for band in range(self._keys.shape[1]):
            yield from self._close_in(self._keys[numbers, band], numbers)

    def _close_in(self, key: NDArray[np.uint32], numbers: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """The same of one band."""
        by_key = np.argsort(key)
        key, numbers = key[by_key], numbers[by_key]
        starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        lengths = np.diff(np.append(starts, len(key)))
        bits, sizes = self._bits[:, numbers], self._sizes[numbers]
        ends = np.repeat(starts + lengths, lengths)
        at = np.flatnonzero(np.repeat(lengths <= SHORT, lengths))
        for step in range(1, SHORT):
            at = at[ends[at] - at > step]
            if not len(at):
                break
            differ = np.bitwise_count(bits[:, at] ^ bits[:, at + step]).sum(axis=0, dtype=np.uint16)
            one = at[differ <= self._most[sizes[at] + sizes[at + step]]]
            yield numbers[one], numbers[one + step]
        for start, length in zip(starts[lengths > SHORT].tolist(), lengths[lengths > SHORT].tolist(), strict=True):
            yield from self._close_of(bits[:, start : start + length], numbers[start : start + length])

    def _close_of(self, bits: NDArray[np.uint64], numbers: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """The same of one large bucket: all of it against all of it, some rows at a time."""
        start, length = 0, len(numbers)
        may_differ, sizes = self._may_differ[numbers], self._sizes[numbers]
        while start < length - 1:
            stop = min(length, start + max(1, COMPARED_AT_ONCE // (length - start)))
            differ = np.zeros((stop - start, length - start), dtype=np.uint16)
            for words in bits:
                differ += np.bitwise_count(words[start:stop, None] ^ words[start:])
            close = np.flatnonzero(differ <= may_differ[start:stop, None] + may_differ[start:length])
            one, other = np.divmod(close, length - start)
            once = (other > one) & (differ.ravel()[close] <= self._most[sizes[start + one] + sizes[start + other]])
            yield numbers[start + one[once]], numbers[start + other[once]]
            start = stop

    def _alike(self, ones: Numbers, others: Numbers) -> NDArray[np.bool_]:
        """Whether the first overlaps the second, pair by pair."""
        shared = np.zeros(len(ones), dtype=np.int64)
        for start in range(0, len(ones), OVERLAPS_AT_ONCE):
            part = slice(start, start + OVERLAPS_AT_ONCE)
            shared[part] = self._table[ones[part]].multiply(self._table[others[part]]).sum(axis=1)
        union = self._sizes[ones] + self._sizes[others] - shared
        alike: NDArray[np.bool_] = shared / np.maximum(union, 1) > self._threshold
        return alike


def _most_apart(largest: int, threshold: float) -> Numbers:
    """The most words in which two sets that are alike differ, by their words together up to `largest`; below 0: none.

    Sets of s words together that share n have an overlap of n / (s - n), and differ in s - 2n.
    """
    together = np.arange(largest + 1)
    near = (together * (threshold / (1 + threshold))).astype(np.int64)
    shared = np.maximum(near[:, None] + np.arange(-1, 3), 0)
    enough = shared / np.maximum(together[:, None] - shared, 1) > threshold
    most: Numbers = together - 2 * shared[together, enough.argmax(axis=1)]
    return most


def _bitmaps(sets: WordSets) -> NDArray[np.uint64]:
    """A bitmap for each set, 64 bits of all sets after the other; shape [bits / 64, sets]."""
    count = min(max(round(BITS_A_WORD * len(sets.words) / 64 / max(len(sets), 1)), SHORTEST), LONGEST)
    # The commonest words have bits of their own.
    bit_of = np.empty(len(sets.hashes), dtype=np.int64)
    bit_of[np.argsort(-np.bincount(sets.words, minlength=len(sets.hashes)), kind="stable")] = np.arange(len(bit_of))
    bit_of %= 64 * count
    bits = np.zeros((count, len(sets)), dtype=np.uint64)
    for start in range(0, len(sets), SKETCHED_AT_ONCE):
        offsets = sets.starts[start : start + SKETCHED_AT_ONCE + 1]
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        marked = np.zeros((len(offsets) - 1, 64 * count), dtype=np.uint8)
        marked[owner, bit_of[sets.words[offsets[0] : offsets[-1]]]] = 1
        bits[:, start : start + len(marked)] = np.packbits(marked, axis=1).view(np.uint64).T
    return bits


def _band_keys(sets: WordSets, bands: int, rows: int) -> NDArray[np.uint32]:
    """For each set and band a number for the band's rows of its sketch; shape [sets, bands]."""
    keys = np.empty((len(sets), bands), dtype=np.uint32)
    factors = np.random.default_rng(MINHASH_SEED).integers(2**64 - 1, size=rows, dtype=np.uint64) | np.uint64(1)
    for start in range(0, len(sets), SKETCHED_AT_ONCE):
        offsets = sets.starts[start : start + SKETCHED_AT_ONCE + 1]
        hashes = sets.hashes[sets.words[offsets[0] : offsets[-1]]]
        sketches = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets - offsets[0], bands * rows, MINHASH_SEED
        )
        values = np.array(sketches.to_rows(), dtype=np.uint64).reshape(-1, bands, rows)
        keys[start : start + len(values)] = (values @ factors) >> np.uint64(32)
    return keys
