"""Words of problems, as deduplication and decontamination count them; sets of them in 4 bytes a word."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash


class _Apart(dict[int, str]):
    """For `str.translate`: each mark between blanks, an underscore as one."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = char if char.isalnum() or char.isspace() else " " if char == "_" else f" {char} "
        return self[code]


_APART = _Apart()


def words(text: str) -> list[str]:
    """Lower-case words and single marks, in order; numbers are words."""
    return text.casefold().translate(_APART).split()


FEWEST_LETTERS = 4
COMMON, FEW = 0.5, 20
"""A word is common that more than this share of problems have, and more than this number."""


def long_words(tokens: Sequence[str]) -> list[str]:
    """The words that tell problems apart by what they are about: of at least four letters, without a digit."""
    return [token for token in tokens if len(token) >= FEWEST_LETTERS and token.isalpha()]


def digest_of(tokens: Sequence[str]) -> bytes:
    """16 bytes that two problems share only if they have the same words in the same order."""
    return hashlib.blake2b("\x1f".join(tokens).encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class WordSets:
    """The distinct words of each problem, as numbers; the texts themselves are not kept."""

    words: NDArray[np.int32]
    """Numbers of words, problem after problem, ascending within each."""
    starts: NDArray[np.int64]
    """Where each problem's words begin, and where the last one's end; shape [problems + 1]."""
    hashes: NDArray[np.uint64]
    """A hash of each word by its number."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, places: NDArray[np.int64]) -> WordSets:
        """Those of some problems, in this order."""
        sizes = np.diff(self.starts)[places]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(starts[-1]) + np.repeat(self.starts[places] - starts[:-1], sizes)
        return WordSets(self.words[at], starts, self.hashes)


def without_common(sets: WordSets) -> WordSets:
    """The sets, less the words that most of them have."""
    count = np.bincount(sets.words, minlength=len(sets.hashes))
    rare = (count <= max(COMMON * len(sets), FEW))[sets.words]
    before = np.concatenate([[0], np.cumsum(rare)])
    return WordSets(sets.words[rare], before[sets.starts].astype(np.int64), sets.hashes)


class WordSetBuilder:
    """Takes problems one after the other."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words = array("i")
        self._starts = array("q", [0])

    def add(self, tokens: Sequence[str]) -> None:
        """Adds a problem by its words."""
        numbers = self._numbers
        self._words.extend(sorted([numbers.setdefault(token, len(numbers)) for token in set(tokens)]))
        self._starts.append(len(self._words))

    def build(self) -> WordSets:
        """All that was added. The builder is spent."""
        names = list(self._numbers)
        hashes = np.array(RMinHash.hash_token_sets([names])[0] if names else [], dtype=np.uint64)
        words = np.frombuffer(self._words, dtype=np.int32) if len(self._words) else np.zeros(0, dtype=np.int32)
        return WordSets(words, np.frombuffer(self._starts, dtype=np.int64), hashes)
