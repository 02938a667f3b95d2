"""The concept sampler, with the two faults of the 1.0 code as regression tests."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from selfplay.synthesis.concepts import ConceptSampler, plan

SEEDS = [("a", "b"), ("a", "b"), ("a", "c"), ("d", "e"), ("d", "e", "f")]


def sampler(**options: float) -> ConceptSampler:
    return ConceptSampler(SEEDS, temperature=options.get("temperature", 1.0))


def test_affinity_belongs_to_the_right_concepts() -> None:
    """1.0 added the similarities of one order of concepts to the counts of another."""
    own = sampler()
    index = {name: place for place, name in enumerate(own.names)}
    affinity = own.affinity([index["a"]])
    assert affinity[index["b"]] > affinity[index["c"]] > affinity[index["e"]]
    together = [[sum(x in s and y in s and x != y for s in SEEDS) for y in own.names] for x in own.names]
    cosine = affinity - np.array(together[index["a"]])
    vectors = np.array(together, dtype=float)
    expected = [
        vectors[i] @ vectors[index["a"]] / (np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[index["a"]]))
        for i in range(len(own.names))
    ]
    assert cosine == pytest.approx(expected)


def test_large_counts_do_not_overflow() -> None:
    """1.0 took exp of raw counts, which overflowed above about 17 at its temperature."""
    many = ConceptSampler([("a", "b")] * 5000 + [("a", "c")], temperature=0.1)
    with np.errstate(over="raise", invalid="raise"):
        drawn = [many.sample(random.Random(seed), 2) for seed in range(3)]
    assert drawn[0] is not None


def test_no_concept_twice_and_no_combination_twice() -> None:
    own, rng = sampler(), random.Random(0)
    drawn = [combination for _ in range(60) if (combination := own.sample(rng, 2, attempts=50))]
    assert all(len(set(combination)) == 2 for combination in drawn)
    assert max(Counter(drawn).values()) == 1


def test_reserved_combinations_are_never_drawn() -> None:
    own = ConceptSampler(SEEDS, 1.0, reserved=[("b", "a")])
    rng = random.Random(0)
    drawn = [own.sample(rng, 2, attempts=50) for _ in range(40)]
    assert ("a", "b") not in drawn


def test_the_plan_fills_up_with_further_passes() -> None:
    planned = plan(sampler(), [(2, "easy")], 100, random.Random(1))
    assert len(planned) == 100
    assert max(Counter(planned).values()) - min(Counter(planned).values()) <= 1


def test_a_size_that_is_used_up_leaves_the_others() -> None:
    own = ConceptSampler([("a",), ("b",), ("a", "b", "c"), ("c", "d", "e")], 1.0)
    planned = plan(own, [(1, "easy"), (3, "hard")], 12, random.Random(0))
    assert len({combination for combination, _ in planned if len(combination) == 3}) > 3


def test_the_plan_is_the_same_for_the_same_seed() -> None:
    shapes = [(2, "easy"), (3, "hard")]
    assert plan(sampler(), shapes, 30, random.Random(4)) == plan(sampler(), shapes, 30, random.Random(4))


def test_when_everything_is_reserved_it_says_so() -> None:
    own = ConceptSampler([("a", "b")], 1.0, reserved=[("a", "b")])
    with pytest.raises(ValueError, match="reserved"):
        plan(own, [(2, "easy")], 3, random.Random(0))
