"""Exact and near duplicates; which of two is kept doesn't depend on the order in which they come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from selfplay.config.curation import Curation
from selfplay.curation.near_duplicates import find_near_duplicates
from selfplay.curation.word_sets import WordSetBuilder, digest_of
from selfplay.curation.words import words


def exact_duplicates(problems: Mapping[str, str]) -> dict[str, str]:
    """For each id whose words occur under a smaller id too: that id."""
    return same_digests({identifier: digest_of(words(text)) for identifier, text in problems.items()})


def same_digests(digests: Mapping[str, bytes]) -> dict[str, str]:
    """For each id whose digest is also that of a smaller id: the smallest such id."""
    first: dict[bytes, str] = {}
    found = {}
    for identifier in sorted(digests):
        kept = first.setdefault(digests[identifier], identifier)
        if kept != identifier:
            found[identifier] = kept
    return found


def near_duplicates(
    problems: Mapping[str, str], settings: Curation, earlier: Mapping[str, str] | None = None
) -> dict[str, str]:
    """For each id that is too like one of `earlier`, or like a kept one with a smaller id: the other id."""
    if settings.near_duplicate_jaccard >= 1 or not problems:
        return {}
    before = dict(earlier or {})
    builder = WordSetBuilder()
    identifiers = [*sorted(before), *sorted(problems)]
    for place, identifier in enumerate(identifiers):
        builder.add(words((before if place < len(before) else problems)[identifier]))
    places = find_near_duplicates(
        builder.build(),
        np.arange(len(identifiers)),
        settings.near_duplicate_jaccard,
        settings.bands,
        settings.band_rows,
        len(before),
    )
    return {identifiers[place]: identifiers[other] for place, other in enumerate(places.tolist()) if other >= 0}


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared words over all words; 0 for two empty sets."""
    union = len(first | second)
    return len(first & second) / union if union else 0.0
