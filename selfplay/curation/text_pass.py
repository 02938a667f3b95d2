"""One domain's prompts through all gates that need only texts; of each text no more is kept than its words' numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from selfplay.curation.decontamination import NgramIndex
from selfplay.curation.duplicates import same_digests
from selfplay.curation.near_duplicates import find_near_duplicates
from selfplay.curation.statements import text_gates
from selfplay.curation.word_sets import WordSetBuilder, digest_of
from selfplay.curation.words import words
from selfplay.curation_settings import Curation
from selfplay.records import Prompt


class TextPass:
    """Takes prompts in any order, in any pieces; the outcome is the same."""

    def __init__(self, settings: Curation, benchmarks: Mapping[str, Mapping[str, str]], seeds: Sequence[str]) -> None:
        """Takes the settings, the problems that no prompt may contain, and the domain's seed problems."""
        self._settings = settings
        self._gates = text_gates(settings)
        common = seeds if settings.decontamination_spares_seed_wording else ()
        n = settings.decontamination_ngram
        self._index = NgramIndex(benchmarks, n, common, settings.decontamination_lcs) if n else None
        self._seeds = {digest_of(words(seed)) for seed in seeds}
        self._near = settings.near_duplicate_jaccard < 1
        self._builder = WordSetBuilder()
        self._dropped: dict[str, str] = {}
        self._ids: list[str] = []
        self._digests: list[bytes] = []

    def take(self, prompts: Sequence[Prompt]) -> None:
        """Sends prompts through the gates that look at each alone."""
        left = []
        for prompt in prompts:
            reason = next((fault for gate in self._gates if (fault := gate(prompt.problem))), "")
            if reason:
                self._dropped[prompt.id] = reason
            else:
                left.append((prompt.id, words(prompt.problem)))
        leaks = self._index.find([tokens for _, tokens in left]) if self._index is not None else [None] * len(left)
        for (identifier, tokens), leak in zip(left, leaks, strict=True):
            digest = digest_of(tokens)
            if leak is not None:
                self._dropped[identifier] = f"contaminated (by {leak.benchmark}, {leak.item})"
            elif digest in self._seeds:
                self._dropped[identifier] = "copy of a seed"
            else:
                self._ids.append(identifier)
                self._digests.append(digest)
                if self._near:
                    self._builder.add(tokens)

    def finish(self) -> dict[str, str]:
        """Why each prompt is dropped that a gate refuses, duplicates among them, by its id."""
        same = same_digests(dict(zip(self._ids, self._digests, strict=True)))
        self._dropped |= {key: f"exact duplicate (of {other})" for key, other in same.items()}
        if self._near:
            left = [place for place, identifier in enumerate(self._ids) if identifier not in same]
            order = np.array(sorted(left, key=self._ids.__getitem__), dtype=np.int64)
            near = find_near_duplicates(
                self._builder.build(),
                order,
                self._settings.near_duplicate_jaccard,
                self._settings.bands,
                self._settings.band_rows,
            )
            for place, other in zip(order[near >= 0].tolist(), order[near[near >= 0]].tolist(), strict=True):
                self._dropped[self._ids[place]] = f"near duplicate (of {self._ids[other]})"
        return self._dropped
