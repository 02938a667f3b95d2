"""Which prompts are rolled out: all in turn without knowledge, the likeliest to have variance with it, always alike."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.trl_trainers.pass_rates import PassRates, chance_of_variance
from selfplay.trl_trainers.prompt_choice import PromptChoice

POSITIVE = st.floats(min_value=0.01, max_value=1e4)


def choice(size: int, candidates: int = 1, seed: int = 0, shuffle: bool = True) -> PromptChoice:
    return PromptChoice(["math"] * size, 4, candidates, half_life=16.0, seed=seed, shuffle=shuffle)


def test_the_chance_of_variance_is_that_of_the_beta_binomial() -> None:
    # A uniform pass rate makes all counts of passes equally likely: 0..G, of which two have no variance.
    assert chance_of_variance(1, 1, 8) == pytest.approx(7 / 9)
    # A pass rate that is all but known: 1 - p^G - (1-p)^G.
    assert chance_of_variance(3e8, 1e8, 4) == pytest.approx(1 - 0.75**4 - 0.25**4, abs=1e-6)


@given(POSITIVE, POSITIVE, st.integers(min_value=2, max_value=32))
def test_the_chance_is_a_symmetric_probability_that_grows_with_the_group(a: float, b: float, group: int) -> None:
    chance = chance_of_variance(a, b, group)
    assert -1e-9 <= chance <= 1 + 1e-9
    assert chance == pytest.approx(chance_of_variance(b, a, group), abs=1e-9)
    assert chance_of_variance(a, b, group + 1) >= chance - 1e-9


def test_what_was_seen_counts_half_after_a_half_life_and_the_domain_speaks_for_the_unseen() -> None:
    rates = PassRates(["math", "math", "code"], half_life=2.0)
    rates.observe(0, [1.0, 1.0, 1.0, 0.0], batch=0)
    mean = (3 + 1) / (4 + 2)
    assert rates.posterior(0, 0) == pytest.approx((3 + 2 * mean, 1 + 2 * (1 - mean)))
    assert rates.posterior(1, 0) == pytest.approx((2 * mean, 2 * (1 - mean)))
    assert rates.posterior(2, 0) == pytest.approx((1.0, 1.0))
    mean = (1.5 + 1) / (2 + 2)
    assert rates.posterior(0, 2) == pytest.approx((1.5 + 2 * mean, 0.5 + 2 * (1 - mean)))


def test_what_was_seen_counts_half_once_the_prompt_is_rolled_out_again() -> None:
    rates = PassRates(["math"], half_life=1e9)
    rates.observe(0, [1.0] * 4, batch=0)
    rates.observe(0, [0.0] * 4, batch=1)
    mean = (4 + 1) / (8 + 2)
    assert rates.posterior(0, 1) == pytest.approx((2 + 2 * mean, 4 + 2 * (1 - mean)))


def test_a_part_of_a_reward_is_a_part_of_a_pass_and_a_weight_scales_both() -> None:
    rates = PassRates(["math"] * 2, half_life=1e6)
    rates.observe(0, [0.25] * 4, batch=0, weight=0.5)
    rates.observe(1, [1.0, 0.0, 0.0, 0.0], batch=0, weight=0.5)
    assert rates.posterior(0, 0) == pytest.approx(rates.posterior(1, 0))


@given(st.integers(min_value=1, max_value=20), st.integers(min_value=1, max_value=9), st.booleans())
def test_with_one_candidate_every_prompt_has_its_turn(size: int, count: int, shuffle: bool) -> None:
    chooser = choice(size, shuffle=shuffle)
    drawn = [chooser.choose(count) for _ in range(3 * size)]
    flat = list(itertools.chain.from_iterable(drawn))
    times = [flat.count(prompt) for prompt in range(size)]
    assert max(times) - min(times) <= 1 + math.ceil(count / size)
    if count <= size:
        assert all(len(set(batch)) == count for batch in drawn)
    if not shuffle and size % count == 0:
        assert flat[:size] == list(range(size))


def test_the_likeliest_to_have_variance_are_taken_in_the_order_of_the_walk() -> None:
    chooser = choice(8, candidates=2, shuffle=False)
    for prompt, passes in enumerate([8, 4, 0, 4, 8, 8, 5, 3]):
        chooser.rates.observe(prompt, [1.0] * passes + [0.0] * (8 - passes), 0)
    assert chooser.choose(2) == [1, 3]
    assert chooser.choose(2) == [6, 7]


@given(st.lists(st.sampled_from(["math", "code"]), min_size=6, max_size=20), st.integers(1, 6), st.integers(1, 4))
def test_each_domain_keeps_its_turns(domains: list[str], count: int, candidates: int) -> None:
    """However little variance one of them promises."""

    def chosen(candidates: int) -> list[str]:
        chooser = PromptChoice(domains, 4, candidates, half_life=16.0, seed=1)
        for prompt, domain in enumerate(domains):
            chooser.rates.observe(prompt, [1.0] * 8 if domain == "code" else [1.0, 0.0] * 4, 0)
        return sorted(domains[prompt] for prompt in chooser.choose(count))

    assert chosen(candidates) == chosen(1)


@given(st.integers(min_value=1, max_value=12), st.integers(min_value=1, max_value=6), st.integers(1, 4))
def test_what_is_taken_comes_again_only_when_nothing_else_is_left(size: int, count: int, candidates: int) -> None:
    chooser = choice(size, candidates)
    first = chooser.choose(count)
    second = chooser.choose(count, taken=first)
    new = set(second) - set(first)
    assert len(new) == min(count, size - len(set(first)))
    assert len(second) == count


REWARDS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=0, max_size=4)


@given(
    st.lists(st.lists(REWARDS, min_size=3, max_size=3), min_size=1, max_size=8), st.integers(0, 7), st.integers(1, 3)
)
def test_a_choice_that_goes_on_from_its_state_chooses_as_one_that_was_not_cut(
    batches: list[list[list[float]]], cut: int, candidates: int
) -> None:
    def go(chooser: PromptChoice, rewards: list[list[list[float]]]) -> list[list[int]]:
        chosen = []
        for batch in rewards:
            chosen.append(chooser.choose(3))
            chooser.observe(list(zip(chosen[-1], batch, strict=True)))
        return chosen

    whole = go(choice(7, candidates), batches)
    first = choice(7, candidates)
    before = go(first, batches[:cut])
    state: Any = json.loads(json.dumps(first.state()))
    second = choice(7, candidates)
    second.restore(state)
    assert before + go(second, batches[cut:]) == whole


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(choice(10, seed=seed).choose(10)) for seed in range(5)}
    assert len(orders) == 5
    chooser = choice(10)
    assert chooser.choose(10) != chooser.choose(10)
