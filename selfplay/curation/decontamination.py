"""Decontamination: prompts that share a run of n words with a problem that must stay unseen.

Where the recipe asks for it, a shared run counts only if the two texts are alike as a whole, by the longest common
subsequence of their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

from selfplay.curation.words import words

Tokens = Sequence[str]


@dataclass(frozen=True, slots=True)
class Leak:
    """A run of words that a prompt has in common with a problem."""

    benchmark: str
    item: str
    """The problem within its benchmark, such as `row 17`."""


class NgramIndex:
    """The runs of n words of problems, and the problems as a whole, which always count. 0.4 kB a word."""

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
        self._problems: list[tuple[Leak, list[str]]] = []
        self._whole: dict[tuple[str, ...], Leak] = {}
        self._owners: dict[tuple[str, ...], list[int]] = {}
        """The problems with each run, by number."""
        common = {run for text in ignored for run in self._runs(words(text))}
        for benchmark, items in benchmarks.items():
            for item, text in items.items():
                self._add(Leak(benchmark, item), words(text), common)

    def find(self, tokens: Tokens) -> Leak | None:
        """The first problem that a prompt, by its words, has in common with one; None where there is none."""
        whole = self._whole.get(tuple(tokens))
        if whole is not None:
            return whole
        shared = sorted({owner for run in self._runs(tokens) for owner in self._owners.get(run, ())})
        alike = (leak for leak, problem in (self._problems[owner] for owner in shared) if self._alike(tokens, problem))
        return next(alike, None)

    def _add(self, leak: Leak, tokens: list[str], common: set[tuple[str, ...]]) -> None:
        for run in self._runs(tokens):
            if run not in common:
                self._owners.setdefault(run, []).append(len(self._problems))
        self._problems.append((leak, tokens))
        self._whole.setdefault(tuple(tokens), leak)

    def _runs(self, tokens: Tokens) -> Iterator[tuple[str, ...]]:
        return zip(*(tokens[start:] for start in range(self._n)), strict=False)

    def _alike(self, prompt: Tokens, problem: Tokens) -> bool:
        if not self._least_common:
            return True
        needed = self._least_common * min(len(prompt), len(problem))
        return LCSseq.similarity(list(prompt), list(problem)) >= needed
