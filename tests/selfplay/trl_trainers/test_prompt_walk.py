"""Which prompts are rolled out in a batch that is topped up: all in turn, and always alike."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from selfplay.trl_trainers.prompt_walk import PromptWalk


@given(st.integers(min_value=1, max_value=20), st.integers(min_value=1, max_value=9), st.booleans())
def test_every_prompt_has_its_turn(size: int, count: int, shuffle: bool) -> None:
    walk = PromptWalk(size, 0, shuffle)
    drawn = [walk.choose(count) for _ in range(3 * size)]
    flat = list(itertools.chain.from_iterable(drawn))
    times = [flat.count(prompt) for prompt in range(size)]
    assert max(times) - min(times) <= 1 + math.ceil(count / size)
    if count <= size:
        assert all(len(set(batch)) == count for batch in drawn)
    if not shuffle and size % count == 0:
        assert flat[:size] == list(range(size))


@given(st.integers(min_value=1, max_value=12), st.integers(min_value=1, max_value=6))
def test_what_is_taken_comes_again_only_when_nothing_else_is_left(size: int, count: int) -> None:
    walk = PromptWalk(size, 0)
    first = walk.choose(count)
    second = walk.choose(count, taken=first)
    new = set(second) - set(first)
    assert len(new) == min(count, size - len(set(first)))
    assert len(second) == count


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 7))
def test_a_walk_that_goes_on_from_its_state_goes_as_one_that_was_not_cut(counts: list[int], cut: int) -> None:
    def go(walk: PromptWalk, counts: list[int]) -> list[list[int]]:
        chosen: list[list[int]] = []
        for count in counts:
            chosen.append(walk.choose(count, chosen[-1] if chosen else ()))
        return chosen

    whole = PromptWalk(7, 0)
    first = PromptWalk(7, 0)
    go(whole, counts[:cut])
    go(first, counts[:cut])
    state: Any = json.loads(json.dumps(first.state()))
    second = PromptWalk(7, 0)
    second.restore(state)
    assert go(second, counts[cut:]) == go(whole, counts[cut:])


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(PromptWalk(10, seed).choose(10)) for seed in range(5)}
    assert len(orders) == 5
    walk = PromptWalk(10, 0)
    assert walk.choose(10) != walk.choose(10)
