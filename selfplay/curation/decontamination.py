"""Decontamination: prompts that share a run of n words with a held-out problem."""

from __future__ import annotations

from collections.abc import Iterable

from selfplay.curation.words import words


class NgramIndex:
    """The n-grams of held-out problems, and the problems as a whole, which always count."""

    def __init__(self, problems: Iterable[str], n: int, ignored: Iterable[str] = ()) -> None:
        """Takes the held-out problems, and texts whose n-grams are common wording and no evidence of a leak."""
        self._n = n
        self._grams: set[tuple[str, ...]] = set()
        self._whole: set[tuple[str, ...]] = set()
        for problem in problems:
            tokens = words(problem)
            self._whole.add(tuple(tokens))
            self._grams.update(_grams(tokens, n))
        for text in ignored:
            self._grams.difference_update(_grams(words(text), n))

    def hits(self, problem: str) -> bool:
        """Whether the problem shares n consecutive words with any of them."""
        tokens = words(problem)
        return tuple(tokens) in self._whole or any(gram in self._grams for gram in _grams(tokens, self._n))


def _grams(tokens: list[str], n: int) -> Iterable[tuple[str, ...]]:
    return (tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))
