"""The search for near duplicates keeps and drops what rensa's own index does, in whatever order prompts come."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rensa import RMinHash, RMinHashLSH

from selfplay.config.curation import Curation
from selfplay.curation import alike_pairs
from selfplay.curation import near_duplicates as search
from selfplay.curation.alike_pairs import MINHASH_SEED, AlikePairs
from selfplay.curation.near_duplicates import NONE, find_near_duplicates
from selfplay.curation.words import WordSetBuilder, long_words, without_common, words
from tests.selfplay.curation.test_curation import curate, prompt, reasons

Shape = tuple[float, int, int]
"""Threshold, bands, rows."""


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / (len(first | second) or 1)


def plain(texts: dict[str, str], shape: Shape, earlier: dict[str, str]) -> dict[str, str]:
    """For each duplicate what it is like, one problem after the other, by rensa's index and sets of words."""
    threshold, bands, rows = shape
    index = RMinHashLSH(0.0, bands * rows, bands)
    kept: list[tuple[str, frozenset[str]]] = []
    found = {}
    for identifier in [*sorted(earlier), *sorted(texts)]:
        own = frozenset(words((earlier | texts)[identifier]))
        sketch = RMinHash(bands * rows, MINHASH_SEED)
        sketch.update(sorted(own))
        alike = [place for place in sorted(index.query(sketch)) if jaccard(own, kept[place][1]) > threshold]
        if alike and identifier not in earlier:
            found[identifier] = kept[alike[0]][0]
        else:
            index.insert(len(kept), sketch)
            kept.append((identifier, own))
    return found


def near_duplicates(texts: dict[str, str], shape: Shape, earlier: dict[str, str]) -> dict[str, str]:
    """The same by the search; problems are handed over in the order of the mappings."""
    builder = WordSetBuilder()
    names = [*texts, *earlier]
    for name in names:
        builder.add(words((earlier | texts)[name]))
    order = [*sorted(earlier), *sorted(texts)]
    places = np.array([names.index(name) for name in order], dtype=np.int64)
    found = find_near_duplicates(builder.build(), places, *shape, len(earlier))
    return {names[place]: names[found[place]] for place in np.flatnonzero(found >= 0).tolist()}


def corpus(rng: random.Random, count: int, vocabulary: int, length: int) -> dict[str, str]:
    names = [f"w{number}" for number in range(vocabulary)]
    texts = [" ".join(rng.choices(names, k=rng.randint(max(0, length - 4), length + 10))) for _ in range(count)]
    for _ in range(count // 4):
        copied = rng.choice(texts).split() or ["w0"]
        copied[rng.randrange(len(copied))] = "changed"
        texts[rng.randrange(count)] = " ".join(copied)
    return {f"{number:04d}": text for number, text in enumerate(texts)}


def in_small_pieces(rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few problems take all the ways that a million take."""
    for name, values in (
        ("SKETCHED_AT_ONCE", (7, 8192)),
        ("SHORT", (1, 4, 64)),
        ("SHORTEST", (1, 4)),
        ("COMPARED_AT_ONCE", (1, 50, 1 << 16)),
        ("OVERLAPS_AT_ONCE", (3, 1 << 18)),
        ("BITS_A_WORD", (0.1, 5)),
    ):
        monkeypatch.setattr(alike_pairs, name, rng.choice(values))
    monkeypatch.setattr(search, "PAIRS_A_PROBLEM", rng.choice([0.1, 1, 16]))
    monkeypatch.setattr(search, "ONE_BY_ONE", rng.choice([1, 20, 256]))


@pytest.mark.parametrize("trial", range(40))
def test_the_same_problems_are_duplicates_of_the_same_others_as_by_a_plain_search(
    trial: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier problems stay, also where they are like each other, and whatever their ids are."""
    rng = random.Random(trial)
    in_small_pieces(rng, monkeypatch)
    everything = corpus(rng, rng.choice([5, 60, 250]), rng.choice([30, 300, 3000]), rng.choice([0, 5, 25]))
    names = rng.sample(sorted(everything), rng.choice([0, rng.randint(0, len(everything))]))
    earlier = {name: everything[name] for name in names}
    texts = {name: text for name, text in everything.items() if name not in earlier}
    shape = (rng.choice([0.05, 0.2, 0.5, 0.8, 0.95]), *rng.choice([(50, 2), (5, 1), (8, 4)]))
    expected = plain(texts, shape, earlier)
    assert near_duplicates(texts, shape, earlier) == expected
    mixed = list(texts.items())
    rng.shuffle(mixed)
    assert near_duplicates(dict(mixed), shape, dict(reversed(earlier.items()))) == expected


@pytest.mark.parametrize("trial", range(8))
def test_where_every_pair_shares_a_bucket_the_outcome_is_that_of_comparing_all(
    trial: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 bands of one row a pair that is alike shares one but for a chance of 0.6 to the 100th."""
    rng = random.Random(trial)
    in_small_pieces(rng, monkeypatch)
    texts = corpus(rng, 60, rng.choice([30, 300]), rng.choice([5, 25]))
    threshold = rng.choice([0.4, 0.5, 0.8])
    kept: dict[str, frozenset[str]] = {}
    expected = {}
    for name, text in sorted(texts.items()):
        own = frozenset(words(text))
        alike = next((other for other, theirs in kept.items() if jaccard(own, theirs) > threshold), None)
        if alike is None:
            kept[name] = own
        else:
            expected[name] = alike
    assert near_duplicates(texts, (threshold, 100, 1), {}) == expected


def test_of_what_is_kept_no_two_share_a_bucket_and_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    in_small_pieces(rng, monkeypatch)
    builder = WordSetBuilder()
    for text in corpus(rng, 300, 60, 8).values():
        builder.add(words(text))
    sets = builder.build()
    found = find_near_duplicates(sets, np.arange(len(sets)), 0.5, 20, 2)
    kept = np.flatnonzero(found == NONE)
    assert 0 < len(kept) < len(sets)
    assert set(found[found != NONE].tolist()) <= set(kept.tolist())
    assert AlikePairs(sets, 0.5, 20, 2).among(kept, len(sets) ** 2) == ([], [])


def test_alike_sets_are_named_later_first_and_not_at_all_where_they_are_too_many() -> None:
    builder = WordSetBuilder()
    for text in ("a b c", "a b c", "x y z", "a b c"):
        builder.add(words(text))
    pairs = AlikePairs(builder.build(), 0.5, 20, 2)
    assert pairs.among(np.arange(4), 3) == ([1, 3, 3], [0, 0, 1])
    assert pairs.among(np.arange(1, 4), 3) == ([3], [1])
    assert pairs.among(np.arange(4), 1) is None
    assert pairs.beside(0, np.array([1, 2])).tolist() == [1]


@pytest.mark.parametrize("threshold", [1e-9, 0.1, 1 / 3, 0.5, 2 / 3, 0.7, 0.99, 1.0])
def test_how_far_alike_sets_are_apart_at_most(threshold: float) -> None:
    """Not a word more, or all pairs of a template whose overlap is the threshold itself would have to be looked at."""
    for together, most in enumerate(alike_pairs._most_apart(60, threshold).tolist()):
        apart = [together - 2 * n for n in range(together // 2 + 1) if n / ((together - n) or 1) > threshold]
        assert max(most, -1) == max(apart, default=-1)


def test_problems_of_a_template_are_told_apart_by_their_bitmaps() -> None:
    """Four of eight words in common are an overlap of 0.5, and not above it."""
    rng = random.Random(0)
    builder = WordSetBuilder()
    for _ in range(100):
        builder.add(words(f"What is {rng.randrange(10**6)} + {rng.randrange(10**6)}?"))
    pairs = AlikePairs(builder.build(), 0.5, 100, 4)
    assert pairs.among(np.arange(100), 16 * 100) == ([], [])


def test_long_problems_and_empty_ones() -> None:
    many = [f"w{number}" for number in range(4000)]
    texts = {"1": " ".join(many), "2": " ".join(many[:3500]), "3": " ".join(f"v{n}" for n in range(4000))}
    assert near_duplicates(texts, (0.8, 50, 2), {}) == {"2": "1"}
    assert near_duplicates({"1": "", "2": "", "3": " "}, (0.2, 50, 2), {}) == {}
    assert near_duplicates({}, (0.2, 50, 2), {}) == {}


def test_problems_without_words_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlikePairs, "beside", lambda *_: pytest.fail("compared one by one"))
    empty = {f"{number:03d}": "" for number in range(100)}
    assert near_duplicates(empty | {"a": "x y", "b": "x y"}, (0.5, 20, 2), {}) == {"b": "a"}


def test_the_authors_words_are_long_and_no_numbers() -> None:
    assert long_words(words("Tom's 12 Kühe cost $x^2$ euros, or 3rd")) == ["kühe", "cost", "euros"]


def test_words_that_most_problems_have_are_left_aside() -> None:
    builder = WordSetBuilder()
    for number in range(60):
        builder.add(["common", f"own{number}", "half" if number % 2 else "other"])
    left = without_common(builder.build())
    assert np.diff(left.starts).tolist() == [2] * 60, "own word, and one that exactly half have"
    few = WordSetBuilder()
    for number in range(10):
        few.add(["common", f"own{number}"])
    assert np.diff(without_common(few.build()).starts).tolist() == [2] * 10, "too few to tell"


def test_other_numbers_make_a_problem_no_other_by_the_authors_words() -> None:
    rows = [
        prompt("1", "A farmer sells 3 of his 17 brown cows at 250 each."),
        prompt("2", "A farmer sells 45 of his 90 brown cows at 1 each."),
    ]
    for which, lost in (("long", "near duplicate"), ("all", "")):
        settings = Curation(near_duplicate_words=which, near_duplicate_jaccard=0.8)  # type: ignore[arg-type]
        assert reasons(curate(rows, settings, [], [])) == {"1": "", "2": lost}
