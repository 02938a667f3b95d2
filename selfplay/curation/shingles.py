"""Problems found again by their letters and digits alone, whatever stands between them, in texts that say more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LENGTH = 16
"""Characters of a shingle."""
FEWEST = 8
"""Shingles below which a problem is too short to be recognised by a part of it."""
SHORTEST = LENGTH + FEWEST - 1
"""Letters and digits of the shortest problem that is not."""
_FACTORS = np.random.default_rng(1).integers(2**64 - 1, size=LENGTH, dtype=np.uint64) | np.uint64(1)

Hashes = NDArray[np.uint64]


class ShingleIndex:
    """The shingles of problems: each run of `LENGTH` characters of their letters and digits. 12 bytes a shingle."""

    def __init__(self, problems: Sequence[str], ignored: Iterable[str] = ()) -> None:
        """Takes the letters and digits of each problem, and those of texts whose shingles are no evidence."""
        common = np.unique(np.concatenate([np.empty(0, np.uint64), *map(shingles, ignored)]))
        parts = [np.setdiff1d(shingles(text), common, assume_unique=True) for text in problems]
        self._sizes = np.array([len(part) for part in parts], dtype=np.int64)
        hashes = np.concatenate([np.empty(0, np.uint64), *parts])
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._owners = np.repeat(np.arange(len(parts), dtype=np.int32), self._sizes)[order]

    def find(self, text: str, share: float) -> list[int]:
        """The problems, by number, of which a text has at least this share of the shingles."""
        own = shingles(text)
        low, high = (np.searchsorted(self._hashes, own, side) for side in ("left", "right"))
        hit = np.flatnonzero(high > low)
        if not len(hit):
            return []
        owners = np.concatenate([self._owners[low[at] : high[at]] for at in hit])
        numbers, counts = np.unique(owners, return_counts=True)
        sizes = self._sizes[numbers]
        alike: list[int] = numbers[(sizes >= FEWEST) & (counts >= share * sizes)].tolist()
        return alike


def shingles(text: str) -> Hashes:
    """A number for each distinct run of `LENGTH` characters, ascending."""
    if len(text) < LENGTH:
        return np.empty(0, dtype=np.uint64)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    return np.unique(np.lib.stride_tricks.sliding_window_view(codes, LENGTH) @ _FACTORS)
