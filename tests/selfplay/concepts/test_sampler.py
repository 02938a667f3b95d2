"""The concept sampler, with the two faults of the 1.0 code as regression tests."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from selfplay.concepts.bank import affinities, bank_of, weights_of_next
from selfplay.concepts.draws import BatchDraws
from selfplay.concepts.sampler import FEW, ConceptSampler, NoCombination, plan

SEEDS = [("a", "b"), ("a", "b"), ("a", "c"), ("d", "e"), ("d", "e", "f")]


def sampler(**options: float) -> ConceptSampler:
    return ConceptSampler(bank_of(SEEDS), temperature=options.get("temperature", 1.0))


def large_sampler(concepts: int = FEW + 200) -> ConceptSampler:
    """One that draws side by side."""
    rng = random.Random(0)
    names = [f"c{number:04d}" for number in range(concepts)]
    combinations = [tuple(rng.sample(names, 4)) for _ in range(2 * concepts)] + [(name,) for name in names]
    return ConceptSampler(bank_of(combinations), 1.0)


def test_affinity_belongs_to_the_right_concepts() -> None:
    """1.0 added the similarities of one order of concepts to the counts of another."""
    bank = bank_of(SEEDS)
    index = {name: place for place, name in enumerate(bank.names)}
    affinity = affinities(bank, np.array([[index["a"]]]))[0]
    assert affinity[index["b"]] > affinity[index["c"]] > affinity[index["e"]]
    together = [[sum(x in s and y in s and x != y for s in SEEDS) for y in bank.names] for x in bank.names]
    cosine = affinity - np.array(together[index["a"]])
    vectors = np.array(together, dtype=float)
    expected = [
        vectors[i] @ vectors[index["a"]] / (np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[index["a"]]))
        for i in range(len(bank))
    ]
    assert cosine == pytest.approx(expected)


def test_similarities_to_the_mean_are_aligned_whatever_the_order_of_embeddings() -> None:
    names = ["e", "c", "a", "d", "b", "f"]
    embeddings = {name: [float(place == axis) + 0.1 * place for axis in range(6)] for place, name in enumerate(names)}
    bank = bank_of(SEEDS, embed=lambda _: embeddings)
    chosen = np.array([[bank.names.index("a"), bank.names.index("d")]])
    unit = {name: np.array(vector) / np.linalg.norm(vector) for name, vector in embeddings.items()}
    mean = unit["a"] + unit["d"]
    counts = {"b": 2, "c": 1, "e": 2, "f": 1, "a": 0, "d": 0}
    expected = [counts[name] + unit[name] @ mean / np.linalg.norm(mean) for name in bank.names]
    assert affinities(bank, chosen)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.05])
def test_counts_above_17_do_not_overflow(temperature: float) -> None:
    """1.0 took exp of raw counts in single precision, which overflowed above about 17 at its temperature."""
    seeds = [("a", "b")] * 5000 + [("a", "c")] * 18 + [("b", "c"), ("c", "d")]
    bank = bank_of(seeds)
    with np.errstate(over="raise", invalid="raise"):
        weights = weights_of_next(bank, np.array([[0], [2]]), temperature)
        drawn = BatchDraws(bank, temperature).combinations(np.random.default_rng(0), 500, 3)
    assert np.isfinite(weights).all()
    assert weights[0].argmax() == 1
    assert {row.tobytes() for row in np.sort(drawn)} <= {
        np.array(s).tobytes() for s in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3])
    }
    assert ConceptSampler(bank, temperature).sample(random.Random(0), 2) is not None


def test_no_concept_twice_and_no_combination_twice() -> None:
    own, rng = sampler(), random.Random(0)
    drawn = [combination for _ in range(60) if (combination := own.sample(rng, 2, attempts=50))]
    assert all(len(set(combination)) == 2 for combination in drawn)
    assert max(Counter(drawn).values()) == 1


def test_side_by_side_there_is_no_concept_twice_and_no_combination_twice() -> None:
    own = large_sampler()
    drawn = own.sample_many(random.Random(0), 3, 5000) + own.sample_many(random.Random(0), 3, 500)
    assert len(drawn) == 5500
    assert all(len(set(combination)) == 3 and list(combination) == sorted(combination) for combination in drawn)
    assert max(Counter(drawn).values()) == 1


def test_reserved_combinations_are_never_drawn() -> None:
    own = ConceptSampler(bank_of(SEEDS), 1.0, reserved=[("b", "a"), ("b", "elsewhere")])
    rng = random.Random(0)
    drawn = [own.sample(rng, 2, attempts=50) for _ in range(40)]
    assert ("a", "b") not in drawn


def test_reserved_combinations_are_never_drawn_side_by_side() -> None:
    free = large_sampler().sample_many(random.Random(3), 2, 400)
    own = large_sampler()
    again = ConceptSampler(own.bank, 1.0, reserved=free).sample_many(random.Random(3), 2, 400, attempts=500)
    assert len(again) == 400
    assert not set(free) & set(again)


def test_a_list_in_which_nothing_occurs_together_is_drawn_by_frequency() -> None:
    counts = {f"c{number:04d}": float(1 + number % 3) for number in range(FEW + 10)}
    own = ConceptSampler(bank_of([], counts), 1.0)
    drawn = own.sample_many(random.Random(0), 2, 3000)
    used = Counter(counts[concept] for combination in drawn for concept in combination)
    assert len(set(drawn)) == 3000
    assert used[3.0] > 1.3 * used[1.0]


def test_when_nothing_new_is_left_fewer_come() -> None:
    own = large_sampler()
    every = own.sample_many(random.Random(0), 1, 10 * len(own.bank), attempts=30_000)
    assert len(every) == len(own.bank)
    assert own.sample_many(random.Random(1), 1, 5) == []


def test_the_plan_fills_up_with_further_passes() -> None:
    planned = plan(sampler(), [(2, "easy")], 100, random.Random(1))
    assert len(planned) == 100
    assert max(Counter(planned).values()) - min(Counter(planned).values()) <= 1


def test_a_size_that_is_used_up_leaves_the_others() -> None:
    own = ConceptSampler(bank_of([("a",), ("b",), ("a", "b", "c"), ("c", "d", "e")]), 1.0)
    planned = plan(own, [(1, "easy"), (3, "hard")], 12, random.Random(0))
    assert len({combination for combination, _ in planned if len(combination) == 3}) > 3


def test_a_size_that_is_used_up_side_by_side_leaves_the_others() -> None:
    own = large_sampler()
    planned = plan(own, [(1, "easy"), (3, "hard")], 6000, random.Random(0))
    singles = {combination for combination, _ in planned if len(combination) == 1}
    assert len(set(planned)) == 6000
    assert all(level == {1: "easy", 3: "hard"}[len(combination)] for combination, level in planned)
    assert len(singles) > 0.9 * len(own.bank)


@pytest.mark.parametrize("make", [sampler, large_sampler])
def test_the_plan_is_the_same_for_the_same_seed(make: type) -> None:
    shapes = [(2, "easy"), (3, "hard")]
    assert plan(make(), shapes, 30, random.Random(4)) == plan(make(), shapes, 30, random.Random(4))


def test_when_everything_is_reserved_it_says_so() -> None:
    own = ConceptSampler(bank_of([("a", "b")]), 1.0, reserved=[("a", "b")])
    with pytest.raises(NoCombination, match="reserved"):
        plan(own, [(2, "easy")], 3, random.Random(0))


@pytest.mark.parametrize("seed", range(20))
def test_a_temperature_towards_zero_gives_the_argmax(seed: int) -> None:
    """Each next concept is that of the greatest affinity to those chosen, whatever chance says; here none tie."""
    bank = bank_of([*[("a", "b")] * 3, *[("a", "c")] * 5, *[("b", "c")] * 2, *[("c", "d")] * 4, ("d", "e")])
    [found] = ConceptSampler(bank, 1e-6).sample_many(random.Random(seed), 3, 1)
    expected = set()
    for first in range(len(bank)):
        chosen = [first]
        while len(chosen) < 3:
            weights = weights_of_next(bank, np.array([chosen]), 1.0)[0]
            chosen.append(int(weights.argmax()))
        expected.add(tuple(bank.names[place] for place in sorted(chosen)))
    assert found in expected
