"""The fast search for near duplicates keeps and drops what a plain one does, in whatever order prompts come."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rensa import RMinHash, RMinHashLSH

from selfplay.config.curation import Curation
from selfplay.curation import near_duplicates as search
from selfplay.curation.buckets import MINHASH_SEED
from selfplay.curation.duplicates import jaccard, near_duplicates
from selfplay.curation.overlap import Overlaps
from selfplay.curation.word_sets import WordSetBuilder
from selfplay.curation.words import words


def plain(problems: dict[str, str], settings: Curation, earlier: dict[str, str] | None = None) -> set[str]:
    """The duplicates, one problem after the other, by rensa's own index and sets of words; earlier ones stay."""
    earlier = earlier or {}
    index = RMinHashLSH(0.0, settings.bands * settings.band_rows, settings.bands)
    kept: list[frozenset[str]] = []
    found = set()
    for identifier in [*earlier, *sorted(problems)]:
        own = frozenset(words((earlier | problems)[identifier]))
        sketch = RMinHash(settings.bands * settings.band_rows, MINHASH_SEED)
        sketch.update(sorted(own))
        alike = any(jaccard(own, kept[place]) > settings.near_duplicate_jaccard for place in index.query(sketch))
        if alike and identifier not in earlier:
            found.add(identifier)
        else:
            index.insert(len(kept), sketch)
            kept.append(own)
    return found


def corpus(rng: random.Random, count: int, vocabulary: int, length: int) -> dict[str, str]:
    names = [f"w{number}" for number in range(vocabulary)]
    texts = [" ".join(rng.choices(names, k=rng.randint(max(0, length - 4), length + 10))) for _ in range(count)]
    for _ in range(count // 4):
        copied = rng.choice(texts).split() or ["w0"]
        copied[rng.randrange(len(copied))] = "changed"
        texts[rng.randrange(count)] = " ".join(copied)
    return {f"{number:04d}": text for number, text in enumerate(texts)}


@pytest.mark.parametrize("trial", range(24))
def test_the_same_problems_are_dropped_as_by_a_plain_search(trial: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(trial)
    for name, choices in {"BLOCK": [4, 16, 1024], "HOT": [1, 4, 64], "TRIED_AT_ONCE": [2, 512]}.items():
        monkeypatch.setattr(search, name, rng.choice(choices))
    problems = corpus(rng, rng.choice([5, 60, 250]), rng.choice([30, 300, 3000]), rng.choice([0, 5, 25]))
    bands, rows = rng.choice([(50, 2), (5, 1), (8, 4)])
    settings = Curation(near_duplicate_jaccard=rng.choice([0.05, 0.2, 0.5, 0.8]), bands=bands, band_rows=rows)
    found = near_duplicates(problems, settings)
    assert set(found) == plain(problems, settings)
    for identifier, other in found.items():
        first, second = (frozenset(words(problems[key])) for key in (identifier, other))
        assert other < identifier
        assert other not in found, "a duplicate is always one of a problem that is kept"
        assert jaccard(first, second) > settings.near_duplicate_jaccard


@pytest.mark.parametrize("trial", range(24))
def test_the_same_problems_are_dropped_beside_earlier_ones(trial: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier problems stay, also where they are like each other, and whatever their ids are."""
    rng = random.Random(100 + trial)
    for name, choices in {"BLOCK": [4, 16, 1024], "HOT": [1, 4, 64], "TRIED_AT_ONCE": [2, 512]}.items():
        monkeypatch.setattr(search, name, rng.choice(choices))
    everything = corpus(rng, rng.choice([5, 60, 250]), rng.choice([30, 300]), rng.choice([0, 5, 25]))
    names = rng.sample(sorted(everything), rng.randint(0, len(everything)))
    earlier = {name: everything[name] for name in names}
    problems = {name: text for name, text in everything.items() if name not in earlier}
    settings = Curation(near_duplicate_jaccard=rng.choice([0.05, 0.2, 0.5, 0.8]))
    found = near_duplicates(problems, settings, earlier)
    assert set(found) == plain(problems, settings, earlier)
    for identifier, other in found.items():
        assert other in earlier or (other < identifier and other not in found)
        first, second = (frozenset(words(everything[key])) for key in (identifier, other))
        assert jaccard(first, second) > settings.near_duplicate_jaccard
    mixed = list(earlier.items())
    rng.shuffle(mixed)
    assert near_duplicates(problems, settings, dict(mixed)) == found


def test_the_same_pairs_are_found_whatever_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 32)
    problems = corpus(random.Random(3), 200, 60, 12)
    mixed = list(problems.items())
    random.Random(4).shuffle(mixed)
    assert near_duplicates(dict(mixed), Curation()) == near_duplicates(problems, Curation())


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.75, 0.999])
def test_overlaps_are_exact(threshold: float) -> None:
    texts = corpus(random.Random(5), 120, 900, 60)
    builder = WordSetBuilder()
    for text in texts.values():
        builder.add(words(text))
    overlaps = Overlaps(builder.build(), np.arange(len(texts)), threshold)
    sets = [frozenset(words(text)) for text in texts.values()]
    expected = {(a, b) for a in range(len(sets)) for b in range(len(sets)) if jaccard(sets[a], sets[b]) > threshold}
    every = np.arange(len(sets))
    rows, columns = overlaps.above_any(every, every)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected
    first, second = np.repeat(every, len(sets)), np.tile(every, len(sets))
    above = overlaps.above(first, second)
    assert set(zip(first[above].tolist(), second[above].tolist(), strict=True)) == expected


def test_very_long_problems_that_fill_their_bitmaps_are_told_apart() -> None:
    many = [f"w{number}" for number in range(4000)]
    texts = {"1": " ".join(many), "2": " ".join(many[:3500]), "3": " ".join(f"v{n}" for n in range(4000))}
    assert near_duplicates(texts, Curation(near_duplicate_jaccard=0.8)) == {"2": "1"}
