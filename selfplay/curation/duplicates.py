"""Exact and near duplicates; which of two is kept doesn't depend on the order in which they come."""

from __future__ import annotations

from collections.abc import Mapping

from rensa import RMinHash, RMinHashLSH

from selfplay.config import Curation
from selfplay.curation.words import words

MINHASH_SEED = 1
"""Seed of the hash functions: a constant, since the outcome must depend on the texts alone."""


def exact_duplicates(problems: Mapping[str, str]) -> dict[str, str]:
    """For each id whose words occur under a smaller id too: that id."""
    first: dict[tuple[str, ...], str] = {}
    found = {}
    for identifier in sorted(problems):
        kept = first.setdefault(tuple(words(problems[identifier])), identifier)
        if kept != identifier:
            found[identifier] = kept
    return found


def near_duplicates(problems: Mapping[str, str], settings: Curation) -> dict[str, str]:
    """For each id that is too like a kept one with a smaller id: that id.

    MinHash-LSH proposes, the Jaccard overlap of the word sets decides.
    """
    if settings.near_duplicate_jaccard >= 1:
        return {}
    hashes = settings.bands * settings.band_rows
    # The proposals' own threshold is not used: every candidate is confirmed by its exact overlap.
    index = RMinHashLSH(0.0, hashes, settings.bands)
    kept: list[tuple[str, frozenset[str]]] = []
    found = {}
    for identifier in sorted(problems):
        own = frozenset(words(problems[identifier]))
        sketch = RMinHash(hashes, MINHASH_SEED)
        sketch.update(sorted(own))
        like = next(
            (
                kept[place][0]
                for place in sorted(index.query(sketch))
                if jaccard(own, kept[place][1]) > settings.near_duplicate_jaccard
            ),
            None,
        )
        if like is not None:
            found[identifier] = like
            continue
        index.insert(len(kept), sketch)
        kept.append((identifier, own))
    return found


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared words over all words; 0 for two empty sets."""
    union = len(first | second)
    return len(first & second) / union if union else 0.0
