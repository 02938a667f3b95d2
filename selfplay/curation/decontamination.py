"""Decontamination: prompts that share a run of n words with a problem that must stay unseen.

Runs are found by a rolling hash over whole batches of prompts at once, and confirmed word by word. Where the recipe
asks for it, a shared run counts only if the two texts are alike as a whole, by the longest common subsequence of their
words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq

from selfplay.curation.words import words

FACTOR = np.uint64(0x9E3779B97F4A7C15)
SIEVE_BITS = 24
Tokens = Sequence[str]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Leak:
    """What a prompt has in common with which problem."""

    benchmark: str
    item: str
    """The problem within its benchmark, such as `row 17`."""


class NgramIndex:
    """The runs of n words of problems, and the problems as a whole, which always count."""

    def __init__(
        self,
        benchmarks: Mapping[str, Mapping[str, str]],
        n: int,
        ignored: Iterable[str] = (),
        least_common: float = 0.0,
    ) -> None:
        """Takes the problems by benchmark and item.

        Args:
            benchmarks: the problems.
            n: words of a run.
            ignored: texts whose runs are common wording and no evidence of a leak.
            least_common: a shared run counts only if the longest common subsequence of both texts' words has at
                least this share of the words of the shorter.
        """
        self._n, self._least_common = n, least_common
        self._leaks: list[Leak] = []
        self._problems: list[list[str]] = []
        self._numbers: dict[str, int] = {}
        self._whole: dict[tuple[str, ...], Leak] = {}
        for benchmark, items in benchmarks.items():
            for item, text in items.items():
                self._add(Leak(benchmark, item), words(text))
        flat, starts = self._flat(self._problems)
        hashes, places = self._runs(flat)
        order = np.argsort(hashes, kind="stable")
        self._set_runs(hashes[order], np.searchsorted(starts, places[order], side="right") - 1, places[order], starts)
        self._ignore([words(text) for text in ignored])

    def find(self, prompts: Sequence[Tokens]) -> list[Leak | None]:
        """For each prompt, by its words, the first problem that it has in common with one, or None."""
        found: list[Leak | None] = [self._whole.get(tuple(tokens)) for tokens in prompts]
        for place, problem in self._shared(prompts):
            if found[place] is None and self._alike(prompts[place], self._problems[problem]):
                found[place] = self._leaks[problem]
        return found

    def hits(self, problem: str) -> bool:
        """Whether a text has a run in common with any of the problems."""
        return self.find([words(problem)])[0] is not None

    def _add(self, leak: Leak, tokens: list[str]) -> None:
        self._leaks.append(leak)
        self._problems.append(tokens)
        self._whole.setdefault(tuple(tokens), leak)
        for token in tokens:
            self._numbers.setdefault(token, len(self._numbers) + 1)

    def _set_runs(
        self, hashes: Hashes, problems: NDArray[np.int64], places: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> None:
        self._hashes, self._owners = hashes, problems
        self._offsets = places - starts[problems] if len(problems) else places
        self._sieve = np.zeros(1 << SIEVE_BITS, dtype=bool)
        self._sieve[hashes >> np.uint64(64 - SIEVE_BITS)] = True

    def _ignore(self, texts: Sequence[Tokens]) -> None:
        common = {tuple(texts[place][start : start + self._n]) for place, start, _ in self._confirmed(texts)}
        if common:
            runs = zip(self._owners.tolist(), self._offsets.tolist(), strict=True)
            kept = np.array([tuple(self._problems[o][s : s + self._n]) not in common for o, s in runs])
            self._hashes, self._owners, self._offsets = self._hashes[kept], self._owners[kept], self._offsets[kept]

    def _shared(self, prompts: Sequence[Tokens]) -> list[tuple[int, int]]:
        """(prompt, problem) of all that share a run, once each, in order."""
        return sorted({(place, int(self._owners[entry])) for place, _, entry in self._confirmed(prompts)})

    def _confirmed(self, prompts: Sequence[Tokens]) -> Iterator[tuple[int, int, int]]:
        """(prompt, start of the run in it, entry of the index) of every shared run."""
        flat, starts = self._flat(prompts)
        hashes, places = self._runs(flat)
        open_ = np.flatnonzero(self._sieve[hashes >> np.uint64(64 - SIEVE_BITS)])
        first = np.searchsorted(self._hashes, hashes[open_], side="left")
        last = np.searchsorted(self._hashes, hashes[open_], side="right")
        for at in np.flatnonzero(last > first).tolist():
            place = int(np.searchsorted(starts, places[open_[at]], side="right")) - 1
            start = int(places[open_[at]] - starts[place])
            run = list(prompts[place][start : start + self._n])
            for entry in range(int(first[at]), int(last[at])):
                offset = int(self._offsets[entry])
                if self._problems[int(self._owners[entry])][offset : offset + self._n] == run:
                    yield place, start, entry

    def _flat(self, texts: Sequence[Tokens]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Numbers of the words of all texts, a 0 after each text and for unknown words; where each text starts."""
        number = self._numbers.get
        flat: list[int] = []
        starts = []
        for tokens in texts:
            starts.append(len(flat))
            flat += [number(token, 0) for token in tokens]
            flat.append(0)
        return np.array(flat, dtype=np.uint64), np.array(starts, dtype=np.int64)

    def _runs(self, flat: NDArray[np.uint64]) -> tuple[Hashes, NDArray[np.int64]]:
        """Hash and place of each run of n words that are all known."""
        count = len(flat) - self._n + 1
        if count <= 0 or not self._n:
            return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
        unknown = np.concatenate([[0], np.cumsum(flat == 0)])
        whole = np.flatnonzero(unknown[self._n :] == unknown[:count])
        hashes = np.zeros(len(whole), dtype=np.uint64)
        for shift in range(self._n):
            hashes = (hashes + flat[whole + shift]) * FACTOR
            hashes ^= hashes >> np.uint64(32)
        return hashes, whole

    def _alike(self, prompt: Tokens, problem: Tokens) -> bool:
        if not self._least_common:
            return True
        needed = self._least_common * min(len(prompt), len(problem))
        return LCSseq.similarity(list(prompt), list(problem)) >= needed
