"""The fast draws have the exact distribution: by the algebra of their envelope, and by counting samples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from selfplay.concepts import vectors
from selfplay.concepts.bank import ConceptBank, affinities, bank_of, weights_of_next
from selfplay.concepts.counts import CountTable
from selfplay.concepts.draws import BatchDraws
from selfplay.concepts.envelope import envelope_of, lists_of


def a_bank(rng: np.random.Generator, concepts: int, combinations: int, repeats: int, embedded: bool) -> ConceptBank:
    names = [f"c{number:03d}" for number in range(concepts)]
    made = [(name,) for name in names]
    for _ in range(combinations):
        chosen = tuple(names[place] for place in rng.choice(concepts, size=min(4, concepts), replace=False))
        made += [chosen] * int(rng.integers(1, repeats + 1))
    embeddings = {name: rng.normal(size=64).tolist() for name in names}
    return bank_of(made, embed=(lambda _: embeddings) if embedded else None)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    concepts=st.integers(5, 60),
    combinations=st.integers(0, 60),
    repeats=st.integers(1, 60),
    m=st.integers(1, 4),
    temperature=st.sampled_from([0.05, 0.2, 0.5, 1.0, 3.0]),
    embedded=st.booleans(),
    preferred=st.booleans(),
)
def test_the_envelope_times_its_acceptance_is_the_exact_weight_of_every_concept(
    seed: int,
    concepts: int,
    combinations: int,
    repeats: int,
    m: int,
    temperature: float,
    embedded: bool,
    preferred: bool,
) -> None:
    rng = np.random.default_rng(seed)
    bank = a_bank(rng, concepts, combinations, repeats, embedded)
    chosen = np.array([rng.choice(concepts, size=m, replace=False) for _ in range(6)])
    preference = rng.uniform(0.1, 3, concepts) if preferred else np.ones(concepts)
    table, centres = CountTable(bank.together), bank.vectors.centres(chosen)
    thresholds, lengths, _ = lists_of(table, chosen, temperature, concepts)
    envelope = envelope_of(table, chosen, thresholds, lengths, temperature, preference)
    exact = weights_of_next(bank, chosen, temperature, preference)
    cosines = bank.vectors.all_cosines(centres).astype(np.float64)
    counts = np.rint(affinities(bank, chosen) - cosines)
    for row in range(len(chosen)):
        listed = envelope.concepts[envelope.begins[row] : envelope.ends[row]]
        assert len(set(listed.tolist())) == len(listed)
        accept = np.exp((cosines[row, listed] - 1) / temperature)
        drawn = np.zeros(concepts)
        drawn[listed] = envelope.masses[envelope.begins[row] : envelope.ends[row]] * accept
        others = np.setdiff1d(np.arange(concepts), np.concatenate([listed, chosen[row]]))
        short = counts[row, others] - envelope.ceilings[row] + cosines[row, others] - 1
        assert (short <= 1e-6).all(), "an acceptance above 1 would not be exact"
        drawn[others] = envelope.tails[row] * preference[others] * np.exp(short / temperature)
        assert not set(listed.tolist()) & set(chosen[row].tolist())
        assert drawn / drawn.sum() == pytest.approx(exact[row] / exact[row].sum(), rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("elements", [1, 100, 1 << 20])
def test_cosines_of_candidates_are_those_of_all(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "GATHERED_ELEMENTS", elements)
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(50, 24)).astype(np.float32)
    embeddings[7] = 0
    own = vectors.Vectors(embeddings)
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    centres = own.centres(np.array([[3, 11], [7, 7], [2, 5]]))
    means = np.array([unit[3] + unit[11], np.zeros(24), unit[2] + unit[5]])
    expected = means @ unit.T / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    assert own.all_cosines(centres) == pytest.approx(expected, abs=1e-5)
    candidates = rng.integers(0, 50, size=(3, 9))
    assert own.cosines(centres, candidates) == pytest.approx(np.take_along_axis(expected, candidates, 1), abs=1e-5)


CASES = [
    # concepts, combinations, repeats, temperature: few and large counts, long and short lists, hot and cold
    (8, 6, 1, 1.0),
    (8, 6, 3, 0.3),
    (40, 12, 40, 0.2),
    (40, 200, 2, 1.0),
    (60, 300, 9, 2.0),
]


@pytest.mark.parametrize(("concepts", "combinations", "repeats", "temperature"), CASES)
@pytest.mark.parametrize("preferred", [False, True], ids=["plain", "steered"])
def test_counted_draws_have_the_exact_distribution(
    concepts: int, combinations: int, repeats: int, temperature: float, preferred: bool
) -> None:
    rng = np.random.default_rng(concepts + repeats)
    bank = a_bank(rng, concepts, combinations, repeats, embedded=True)
    preference = rng.uniform(0.2, 4, concepts) if preferred else None
    draws = BatchDraws(bank, temperature, preference)
    for m in (1, 3):
        chosen = rng.choice(concepts, size=m, replace=False)
        exact = weights_of_next(bank, chosen[None], temperature, preference)[0]
        drawn = draws.next(np.tile(chosen, (30_000, 1)), rng)
        assert agrees(np.bincount(drawn, minlength=concepts), exact / exact.sum())


def test_whole_combinations_have_the_exact_distribution() -> None:
    bank = a_bank(np.random.default_rng(5), 7, 5, 3, embedded=False)
    order = list(itertools.permutations(range(7), 3))
    first = bank.frequency / bank.frequency.sum()
    exact = np.zeros(len(order))
    for place, (a, b, c) in enumerate(order):
        second = weights_of_next(bank, np.array([[a]]), 0.7)[0]
        third = weights_of_next(bank, np.array([[a, b]]), 0.7)[0]
        exact[place] = first[a] * second[b] / second.sum() * third[c] / third.sum()
    drawn = BatchDraws(bank, 0.7).combinations(np.random.default_rng(0), 60_000, 3)
    index = {combination: place for place, combination in enumerate(order)}
    counts = np.bincount([index[tuple(row)] for row in drawn.tolist()], minlength=len(order))
    assert agrees(counts, exact)


def test_what_is_not_accepted_in_time_is_drawn_from_all_weights() -> None:
    """At a temperature this low hardly anything that is proposed is accepted, and yet the distribution holds."""
    bank = a_bank(np.random.default_rng(1), 50, 0, 1, embedded=True)
    draws = BatchDraws(bank, 0.03)
    chosen = np.full((4000, 1), 7)
    exact = weights_of_next(bank, chosen[:1], 0.03)[0]
    assert agrees(np.bincount(draws.next(chosen, np.random.default_rng(2)), minlength=50), exact / exact.sum())


def test_a_temperature_near_zero_takes_the_greatest_affinity() -> None:
    bank = bank_of([("a", "b")] * 3 + [("a", "c")] * 5 + [("d", "e")])
    assert BatchDraws(bank, 1e-4).next(np.array([[0], [3]]), np.random.default_rng(0)).tolist() == [2, 4]


def agrees(counts: np.ndarray, exact: np.ndarray) -> bool:
    """Whether counts may come from a distribution; concepts expected less than five times are taken together."""
    assert counts[exact == 0].sum() == 0
    expected = exact * counts.sum()
    often = expected >= 5
    seen, wanted = counts[often].astype(float), expected[often]
    if expected[~often].sum() >= 5:
        seen, wanted = np.append(seen, counts[~often].sum()), np.append(wanted, expected[~often].sum())
    wanted *= seen.sum() / wanted.sum()
    return len(seen) < 2 or bool(chisquare(seen, wanted).pvalue > 1e-4)
