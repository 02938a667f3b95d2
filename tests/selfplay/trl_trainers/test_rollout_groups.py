"""Groups that can teach, what tops a batch up within its budget, and what is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.trl_trainers.rollout_groups import Group, Tally, TopUp


@pytest.mark.parametrize(
    ("rewards", "has"),
    [((1.0, 0.0), True), ((1.0, 1.0), False), ((0.0,), False), ((), False), ((0.1, 0.1 + 1e-9), False)],
)
def test_variance_needs_two_rewards_that_differ(rewards: tuple[float, ...], has: bool) -> None:
    assert Group(0, rewards, 5, tuple((reward, 1) for reward in rewards)).teaches is has


def test_what_is_not_in_the_loss_teaches_nothing() -> None:
    assert not Group(0, (1.0, 0.0, 0.0), 9, ()).teaches
    assert Group(0, (1.0, 0.0, 0.0), 9, ((1.0, 3),)).teaches
    # Its reward is the mean: whatever the others got, it has no advantage.
    assert not Group(0, (1.0, 0.5, 0.0), 9, ((0.5, 3),)).teaches


FLAGS = st.lists(st.booleans(), min_size=1, max_size=24)


@given(FLAGS, st.integers(min_value=0, max_value=40), st.sampled_from([1, 2, 4]), st.randoms(use_true_random=False))
def test_a_batch_is_topped_up_within_its_budget(flags: list[bool], most: int, unit: int, random: object) -> None:
    plan = TopUp(flags, most, unit)
    batch = list(flags)
    rolled = 0
    while count := plan.next_count():
        assert count % unit == 0
        assert count < batch.count(False) + unit
        rolled += count
        new = [random.random() < 0.4 for _ in range(count)]  # type: ignore[attr-defined]
        swaps = plan.place(new)
        for place, number in swaps:
            assert new[number]
            assert not batch[place], "a group with variance was replaced"
            batch[place] = True
        assert len({number for _, number in swaps}) == len(swaps) == min(sum(new), len(swaps) + batch.count(False))
    assert rolled <= most
    assert all(batch) or rolled > most - unit


def group(prompt: int, rewards: tuple[float, ...], tokens: int) -> Group:
    return Group(prompt, rewards, tokens, tuple((reward, tokens // len(rewards)) for reward in rewards))


def test_tokens_of_groups_that_were_replaced_count_too() -> None:
    tally = Tally()
    tally.add([group(0, (1.0, 0.0), 30), group(1, (1.0, 1.0), 10)])
    before = Tally(**tally.state())
    assert tally.shares() == {"groups/with_variance": 0.5, "tokens/informative": 0.75, "tokens/generated": 40.0}
    tally.add([group(2, (0.0, 0.0), 60)])
    assert tally.shares(before) == {"groups/with_variance": 0.0, "tokens/informative": 0.0, "tokens/generated": 60.0}
    assert tally.shares(tally) == {}
    assert tally.summary()["informative_share"] == 0.3
