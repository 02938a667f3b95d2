"""Which candidates q learns from: rewards, floors, ties, importance weights and their resampling."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selfplay.config.em import EM
from selfplay.run.records import Candidate
from selfplay.synthesis.em_candidates import NEVER, Weighed, assign_hard, assign_soft, normalised, resample, selection
from selfplay.synthesis.likelihood import Joint
from tests.selfplay.synthesis.table_model import random_case


def row(pair: str, index: int, reward: float, tokens: int = 5, complete: bool = True) -> Candidate:
    """A candidate; its terms are halves of its reward."""
    half = reward / 2
    name = f"{pair}-{index}"
    return Candidate(name, pair, 1, index, f"z{index}", tuple(range(tokens)), complete, half, half, reward, False)


def chosen(rows: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in rows if candidate.chosen]


def test_the_best_of_each_pair_is_chosen_and_ties_go_to_the_lowest_index() -> None:
    rows = [row("a", 0, -3.0), row("a", 1, -1.0), row("a", 2, -1.0), row("b", 0, -9.0), row("b", 1, -8.0)]
    assert chosen(assign_hard(rows, EM())) == ["a-1", "b-1"]


def test_a_cut_candidate_is_never_chosen_and_a_pair_without_any_has_none() -> None:
    rows = [row("a", 0, 0.0, complete=False), row("a", 1, -5.0), row("b", 0, 0.0, complete=False)]
    assert chosen(assign_hard(rows, EM())) == ["a-1"]


def test_the_length_floor_leaves_short_ones_out() -> None:
    rows = [row("a", 0, -1.0, tokens=3), row("a", 1, -4.0, tokens=8), row("b", 0, -1.0, tokens=3)]
    assert chosen(assign_hard(rows, EM(min_rationale_tokens=8))) == ["a-1"]


def test_a_pair_below_the_least_reward_is_left_out() -> None:
    rows = [row("a", 0, 0.5), row("a", 1, -1.0), row("b", 0, -0.1)]
    assert chosen(assign_hard(rows, EM(reward="information_gain", min_reward=0.0))) == ["a-0"]


JOINT = Joint(log_p_rationale=-6.0, log_p_problem=-12.0, rationale_tokens=3, problem_tokens=4)


@pytest.mark.parametrize(
    ("arguments", "reward"),
    [
        (("sum",), -18.0),
        (("mean",), -5.0),
        (("sum", 0.0), -12.0),
        (("sum", 0.5), -15.0),
        (("mean", 0.5), -4.0),
        (("information_gain", 1.0, -15.0), 3.0),
    ],
)
def test_rewards(arguments: tuple[Any, ...], reward: float) -> None:
    assert JOINT.reward(*arguments) == pytest.approx(reward)


@given(
    joints=st.lists(st.tuples(st.floats(-50, -1), st.floats(-50, -1)), min_size=1, max_size=6), alone=st.floats(-50, 0)
)
def test_information_gain_ranks_a_pair_as_no_weight_on_the_rationale_does(
    joints: list[tuple[float, float]], alone: float
) -> None:
    """log p(x|c) is the same for all candidates of a pair: what it changes is only which pairs pass `min_reward`."""
    found = [Joint(z, x, 5, 5) for z, x in joints]
    gains = [score.reward("information_gain", 1.0, alone) for score in found]
    alike = [score.reward("sum", 0.0) for score in found]
    assert [gain + alone for gain in gains] == pytest.approx(alike)


WEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda weights: sum(weights) > 1e-6)


@given(weights=WEIGHTS, count=st.integers(1, 20), start=st.floats(0, 1, exclude_max=True))
def test_copies_add_up_and_never_stray_from_their_weight_by_one(weights: list[float], count: int, start: float) -> None:
    total = sum(weights)
    shares = [weight / total for weight in weights]
    copies = resample(shares, count, start)
    assert sum(copies) == count
    assert all(abs(got - count * share) <= 1 + 1e-6 for got, share in zip(copies, shares, strict=True))
    assert all(got == 0 for got, share in zip(copies, shares, strict=True) if share == 0)


def test_resampling_has_the_weights_as_its_mean() -> None:
    """Over the starts, which are uniform, each entry's mean number of copies is its weight times the number drawn."""
    shares, starts = [0.07, 0.5, 0.0, 0.43], 1000
    sums = [0] * len(shares)
    for place in range(starts):
        sums = [a + b for a, b in zip(sums, resample(shares, 4, (place + 0.5) / starts), strict=True)]
    assert [total / starts for total in sums] == pytest.approx([4 * share for share in shares], abs=2e-3)


def test_no_weight_is_no_copy() -> None:
    assert resample([0.0, 0.0], 4, 0.3) == [0, 0]
    assert resample([], 4, 0.3) == []


def test_large_log_weights_do_not_overflow() -> None:
    assert normalised({3: -5000.0, 4: -5000.0 + math.log(3)}) == pytest.approx({3: 0.25, 4: 0.75})


def test_weights_are_the_posterior_where_every_rationale_is_a_candidate() -> None:
    """Each drawn once with equal density: self-normalised weights are then the exact posterior."""
    model, _ = random_case(0)
    for concept in range(3):
        joint = model.joint()[concept, :, 2]
        rows = [row("a", index, math.log(value)) for index, value in enumerate(joint)]
        found = assign_soft(rows, dict.fromkeys((r.id for r in rows), math.log(0.25)), EM(assignment="soft"), 0)
        assert [w.weight for w in found.weights] == pytest.approx(list(model.posterior()[concept, :, 2]))


def test_a_rationale_that_q_favours_counts_no_more_for_it() -> None:
    """Drawn three times as often by q, each draw weighs a third: kinds of rationales keep their posterior mass."""
    rows = [row("a", index, -10.0) for index in range(4)]
    log_q = {row.id: math.log(0.6 if row.index < 3 else 0.2) for row in rows}
    found = assign_soft(rows, log_q, EM(assignment="soft", soft_copies=400), 0)
    assert [w.weight for w in found.weights] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert sum(w.copies for w in found.weights) == 400
    assert [w.copies for w in found.weights] == pytest.approx([66.7, 66.7, 66.7, 200], abs=1)


def test_soft_copies_reach_the_training_and_cut_candidates_do_not() -> None:
    rows = [row("a", 0, -1.0), row("a", 1, 0.0, complete=False), row("a", 2, -1.0), row("b", 0, 0.0, complete=False)]
    found = assign_soft(rows, {"a-0": -2.0, "a-2": -2.0}, EM(assignment="soft", soft_copies=6), 0)
    assert found.copies() == {"a": [("z0", 3), ("z2", 3)]}
    assert [w.copies for w in found.weights] == [3, 0, 3, 0]
    assert [w.weight for w in found.weights] == [0.5, 0.0, 0.5, 0.0]
    assert [w.log_q for w in found.weights] == [-2.0, NEVER, -2.0, NEVER]
    assert chosen(found.candidates) == ["a-0", "a-2"]


def test_a_pairs_draw_does_not_depend_on_its_neighbours() -> None:
    rng = random.Random(0)
    rows = [row(pair, index, -rng.random()) for pair in "abc" for index in range(4)]
    log_q = {candidate.id: -rng.random() for candidate in rows}
    whole = assign_soft(rows, log_q, EM(assignment="soft"), 7)
    alone = assign_soft(rows[4:8], log_q, EM(assignment="soft"), 7)
    assert whole.weights[4:8] == alone.weights
    assert whole.weights != assign_soft(rows, log_q, EM(assignment="soft"), 8).weights


def test_what_was_chosen_is_measured_by_its_copies() -> None:
    rows = [row("a", 0, -2.0, tokens=4), row("a", 1, -4.0, tokens=8), row("b", 0, -6.0, tokens=6)]
    problems = {"a": "z0 and more", "b": "none of it"}
    hard = selection(assign_hard_all(rows), problems)
    assert (hard["reward"], hard["acceptance_margin"]) == (-4.0, -4.0 - -4.5)
    assert (hard["chosen_length"], hard["candidates_length"], hard["whole_share"]) == (5.0, 6.0, 1.0)
    assert hard["chosen_copy_rate"] == pytest.approx((1 / 3 + 0.0) / 2)
    soft = selection(assign_soft(rows, {"a-0": -2.0, "a-1": -4.0, "b-0": 0.0}, EM(assignment="soft"), 0), problems)
    assert soft["effective_candidates"] == pytest.approx((2.0 + 1.0) / 2)
    assert soft["chosen_length"] == pytest.approx((4 + 8 + 6) / 3)


def test_the_margin_is_against_the_candidates_of_the_same_pairs() -> None:
    rows = [row("a", 0, -2.0), row("a", 1, -4.0), row("b", 0, -60.0), row("b", 1, -80.0)]
    found = selection(Weighed(assign_hard(rows, EM(min_reward=-50.0)), []), {"a": "x", "b": "y"})
    assert (found["reward"], found["reward_mean"]) == (-2.0, (-3.0 - 70.0) / 2)
    assert found["acceptance_margin"] == 1.0


def assign_hard_all(rows: list[Candidate]) -> Any:
    return Weighed(assign_hard(rows, EM()), [])


def test_nothing_chosen_is_nothing_measured() -> None:
    assert selection(assign_hard_all([replace(row("a", 0, 0.0), complete=False)]), {"a": "x"}) == {}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"reward": "information_gain", "rationale_weight": 0.5}, "leave rationale_weight out"),
        ({"assignment": "soft", "reward": "mean"}, "which reward mean is not"),
        ({"assignment": "soft", "reward": "information_gain"}, "which reward information_gain is not"),
        ({"assignment": "soft", "sampling": {"temperature": 0.8}}, "set sampling.temperature and sampling.top_p to 1"),
        ({"assignment": "soft", "sampling": {"top_p": 0.9}}, "set sampling.temperature and sampling.top_p to 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EM(**settings)
