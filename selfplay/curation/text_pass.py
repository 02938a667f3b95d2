"""One domain's prompts through all gates that need only texts; of each text no more is kept than its words' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex
from selfplay.curation.near_duplicates import find_near_duplicates
from selfplay.curation.statements import text_gates
from selfplay.curation.words import WordSetBuilder, digest_of, long_words, without_common, words
from selfplay.run.records import Prompt

WITHIN, ACROSS = "duplicate", "duplicate across rounds"
"""Of another prompt of the same round, or of one that an earlier round kept."""


class TextPass:
    """Takes prompts in any order, in any pieces, earlier rounds' among them; the outcome is the same."""

    def __init__(self, settings: Curation, index: LeakIndex | None, seeds: Sequence[str]) -> None:
        """Takes the settings, the problems that no prompt may contain, and the domain's seed problems."""
        self._settings = settings
        self._gates = text_gates(settings)
        self._index = index
        self._seeds = {digest_of(words(seed)) for seed in seeds}
        self._near = settings.near_duplicate_jaccard < 1
        self._builder = WordSetBuilder()
        self._dropped: dict[str, str] = {}
        self._ids: list[str] = []
        self._digests: list[bytes] = []
        self._earlier: set[int] = set()
        """Places of what earlier rounds kept."""

    def know(self, prompts: Sequence[Prompt]) -> None:
        """Takes prompts that an earlier round kept: they stay, and what repeats them does not."""
        for prompt in prompts:
            tokens = words(prompt.problem)
            self._earlier.add(len(self._ids))
            self._add(prompt.id, tokens, digest_of(tokens))

    def take(self, prompts: Sequence[Prompt]) -> None:
        """Sends prompts through the gates that look at each alone."""
        for prompt in prompts:
            reason = next((fault for gate in self._gates if (fault := gate(prompt.problem))), "")
            if reason:
                self._dropped[prompt.id] = reason
                continue
            tokens = words(prompt.problem)
            digest = digest_of(tokens)
            leak = self._index.find(prompt.problem) if self._index is not None else None
            if leak is not None:
                self._dropped[prompt.id] = leak.reason
            elif digest in self._seeds:
                self._dropped[prompt.id] = "copy of a seed"
            else:
                self._add(prompt.id, tokens, digest)

    def _add(self, identifier: str, tokens: Sequence[str], digest: bytes) -> None:
        self._ids.append(identifier)
        self._digests.append(digest)
        if self._near:
            self._builder.add(tokens if self._settings.near_duplicate_words == "all" else long_words(tokens))

    def finish(self) -> dict[str, str]:
        """The reasons of all prompts that a gate refuses, duplicates among them, by id."""
        before = sorted(self._earlier, key=self._ids.__getitem__)
        own = sorted(set(range(len(self._ids))) - self._earlier, key=self._ids.__getitem__)
        first: dict[bytes, int] = {}
        for place in before:
            first.setdefault(self._digests[place], place)
        left = []
        for place in own:
            other = first.setdefault(self._digests[place], place)
            if other == place:
                left.append(place)
            else:
                self._drop(place, "exact", other)
        if self._near:
            self._find_near(before, left)
        return self._dropped

    def _drop(self, place: int, how: str, other: int) -> None:
        kind = ACROSS if other in self._earlier else WITHIN
        self._dropped[self._ids[place]] = f"{how} {kind} (of {self._ids[other]})"

    def _find_near(self, before: Sequence[int], own: Sequence[int]) -> None:
        order = np.array([*before, *own], dtype=np.int64)
        settings = self._settings
        sets = self._builder.build()
        near = find_near_duplicates(
            sets if settings.near_duplicate_words == "all" else without_common(sets),
            order,
            settings.near_duplicate_jaccard,
            settings.bands,
            settings.band_rows,
            len(before),
        )
        for place in np.flatnonzero(near >= 0).tolist():
            self._drop(place, "near", int(near[place]))
