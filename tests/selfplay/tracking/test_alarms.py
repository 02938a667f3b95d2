"""Each alarm fires where it should, and not where it should not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pytest

from selfplay.config.tracking import Alarms
from selfplay.tracking.alarms import (
    ALARMS,
    Curves,
    Raised,
    diverged,
    entropy_collapse,
    falling_agreement,
    groups_alike,
    length_explosion,
    one_answer,
    raised,
    reward_hacking,
    verifier_errors,
)
from selfplay.tracking.metric_log import MetricLine, metric_line
from tests.selfplay.plans import placed

SETTINGS = Alarms(window=5)
Steps = Mapping[tuple[str, str], Sequence[float]]


def curves(steps: Steps) -> Curves:
    rows = (
        placed({"time": 0.0, "stage": stage, "step": number, "metrics": {metric: value}})
        for (stage, metric), values in steps.items()
        for number, value in enumerate(values)
    )
    return Curves(line for row in rows if (line := metric_line(row)) is not None)


def ramp(first: float, last: float, count: int = 20) -> list[float]:
    return [first + (last - first) * at / (count - 1) for at in range(count)]


def hacking(reward: tuple[float, float], heldout: tuple[float, float]) -> Steps:
    return {
        ("evaluation_0", "math/avg@4 T=1.0"): [heldout[0]],
        ("evaluation_0", "math/pass@4 T=1.0"): [0.2],
        ("selfplay_1", "reward"): ramp(*reward),
        ("evaluation_1", "math/avg@4 T=1.0"): [heldout[1]],
        ("evaluation_1", "math/pass@4 T=1.0"): [0.9],
    }


FIRES: list[tuple[Callable[[Curves, Alarms], Raised | None], Steps, str]] = [
    (diverged, {("selfplay_1", "grad_norm"): [0.5, 0.7, math.nan, math.nan]}, "In selfplay_1, grad_norm was no finite"),
    (diverged, {("em_1", "p/loss"): [0.5, math.inf, 0.5]}, "p/loss was no finite number at step 1:"),
    (reward_hacking, hacking((0.3, 0.8), (0.5, 0.4)), "held-out accuracy fell by 10.0 points"),
    (
        reward_hacking,
        {
            ("evaluation_0", "math/greedy"): [0.5],
            ("selfplay_1", "rollouts/reward"): [0.4],
            ("evaluation_1", "math/greedy"): [0.5],
            ("selfplay_2", "rollouts/reward"): [0.7],
            ("evaluation_2", "math/greedy"): [0.3],
        },
        "In round 2 the reward rose by 0.300",
    ),
    (one_answer, {("labelling", "top_answer_share/math"): [0.7]}, "70% of the labels of math"),
    (
        one_answer,
        {
            ("labelling", "top_answer_share/math"): [0.2],
            ("selfplay_1", "one_wrong_answer/math"): [0.1] * 10 + [0.8] * 5,
        },
        "In selfplay_1, 80% of the completions of math give one and the same wrong answer",
    ),
    (one_answer, {("selfplay_1", "rollouts/one_wrong_answer/math"): [0.7]}, "70% of the completions of math"),
    (length_explosion, {("selfplay_1", "completions/mean_length"): ramp(100, 400)}, "to 368 tokens"),
    (
        entropy_collapse,
        {("selfplay_2", "entropy"): [1.0] * 10 + [0.05] * 10},
        "In selfplay_2, the policy's entropy fell",
    ),
    (
        entropy_collapse,
        {(f"selfplay_{n}", "entropy"): ramp(0.5**n, 0.5 ** (n + 1), 8) for n in range(1, 6)},
        "From selfplay_1 to selfplay_5, the policy's entropy fell from 0.429 to 0.0201 nats a token",
    ),
    (
        groups_alike,
        {
            ("selfplay_1", "frac_reward_zero_std"): [0.3] * 10,
            ("selfplay_2", "frac_reward_zero_std"): [0.5, 0.9, 1.0, 0.9, 1.0, 0.95],
            ("selfplay_2", "reward"): [0.5, 0.04, 0.0, 0.04, 0.0, 0.02],
        },
        "In selfplay_2, 95% of the groups have one reward for all their completions (mean reward 0.02)",
    ),
    (verifier_errors, {("selfplay_1", "not_checked/code"): [0.0] * 10 + [0.4] * 5}, "verdict on 40%"),
    (verifier_errors, {("selfplay_1", "rollouts/not_checked/code"): [0.3]}, "verdict on 30%"),
    (
        falling_agreement,
        {("labelling", "agreement/math"): [0.8], ("labelling_2", "agreement/math"): [0.6]},
        "fell from 80% to 60%",
    ),
    (
        falling_agreement,
        {("labelling", "agreement/math"): [0.8], ("relabelling_2", "agreement/math"): [0.6]},
        "From labelling to relabelling_2",
    ),
]


@pytest.mark.parametrize(("alarm", "steps", "says"), FIRES)
def test_an_alarm_fires(alarm: Callable[[Curves, Alarms], Raised | None], steps: Steps, says: str) -> None:
    found = alarm(curves(steps), SETTINGS)
    assert found is not None
    text = found.text
    assert says in text
    assert text.endswith(".")
    assert "\n" not in text


QUIET: list[tuple[Callable[[Curves, Alarms], Raised | None], Steps]] = [
    (diverged, {("selfplay_1", "loss"): [0.5, 0.7], ("selfplay_1", "kl"): [math.nan]}),
    (reward_hacking, {}),
    (reward_hacking, hacking((0.3, 0.8), (0.5, 0.6))),
    (reward_hacking, hacking((0.3, 0.8), (0.5, 0.48))),
    (reward_hacking, hacking((0.3, 0.3), (0.5, 0.3))),
    (reward_hacking, {("evaluation_0", "math/greedy"): [0.5], ("selfplay_1", "reward"): ramp(0, 1)}),
    (
        reward_hacking,
        {
            **hacking((0.3, 0.8), (0.5, 0.5)),
            ("evaluation_0", "rollouts/zero_variance_share"): [0.6],
            ("evaluation_1", "rollouts/zero_variance_share"): [0.3],
        },
    ),
    (one_answer, {("labelling", "top_answer_share/math"): [0.2]}),
    (one_answer, {("selfplay_1", "one_wrong_answer/math"): [0.9] * 10 + [0.3] * 5}),
    (one_answer, {("selfplay_1", "one_wrong_answer/math"): [0.9]}),
    (
        one_answer,
        {
            ("selfplay_1", "one_wrong_answer/math"): [0.9] * 10,
            ("selfplay_2", "one_wrong_answer/math"): [0.1] * 10,
        },
    ),
    (length_explosion, {("selfplay_1", "completions/mean_length"): ramp(100, 150)}),
    (length_explosion, {("selfplay_1", "completions/mean_length"): [100] * 19 + [900]}),
    (length_explosion, {("selfplay_1", "completions/mean_length"): [10, 400]}),
    (entropy_collapse, {("selfplay_1", "entropy"): ramp(1.0, 0.5)}),
    (
        entropy_collapse,
        {("selfplay_1", "entropy"): [1.0] * 10 + [0.05] * 10, ("selfplay_2", "entropy"): ramp(1.0, 0.9)},
    ),
    (entropy_collapse, {("selfplay_1", "entropy"): [1.0] * 5, ("selfplay_2", "entropy"): [0.05] * 4}),
    (groups_alike, {("selfplay_1", "frac_reward_zero_std"): [1.0] * 10 + [0.7] * 5}),
    (groups_alike, {("selfplay_1", "frac_reward_zero_std"): [1.0] * 4}),
    (verifier_errors, {("selfplay_1", "not_checked/code"): [0.4] * 5 + [0.0] * 10}),
    (verifier_errors, {("selfplay_1", "not_checked/code"): [1.0]}),
    (falling_agreement, {("labelling", "agreement/math"): [0.8]}),
    (falling_agreement, {("labelling", "agreement/math"): [0.8], ("labelling_2", "agreement/math"): [0.75]}),
    (falling_agreement, {("labelling", "agreement/math"): [0.8], ("labelling_2", "agreement/code"): [0.1]}),
]


@pytest.mark.parametrize(("alarm", "steps"), QUIET)
def test_an_alarm_stays_quiet(alarm: Callable[[Curves, Alarms], Raised | None], steps: Steps) -> None:
    assert alarm(curves(steps), SETTINGS) is None


def test_every_alarm_is_tested_both_ways() -> None:
    assert {alarm for alarm, *_ in FIRES} == {alarm for alarm, _ in QUIET} == set(ALARMS.values())


def test_of_labels_and_rollouts_that_share_one_answer_the_newer_are_told_of() -> None:
    labels, rollouts = ("top_answer_share/math", [0.7]), ("one_wrong_answer/math", [0.8] * 5)
    first = {("labelling", labels[0]): labels[1], ("selfplay_1", rollouts[0]): rollouts[1]}
    found = one_answer(curves(first), SETTINGS)
    assert found is not None
    assert found.stage == "selfplay_1"
    found = one_answer(curves(first | {("labelling_2", labels[0]): labels[1]}), SETTINGS)
    assert found is not None
    assert found.stage == "labelling_2"


def test_a_step_that_was_taken_again_and_is_finite_now_raises_nothing() -> None:
    rows = [{"time": 0.0, "stage": "selfplay_1", "step": 3, "metrics": {"loss": value}} for value in (None, 0.5)]
    lines = [line for row in rows if (line := metric_line(row)) is not None]
    assert diverged(Curves(lines[:1]), SETTINGS) is not None
    assert diverged(Curves(lines), SETTINGS) is None


def test_alarms_that_are_off_are_not_raised() -> None:
    found = curves({("labelling", "top_answer_share/math"): [0.7], ("selfplay_1", "entropy"): [1.0] * 10 + [0.05] * 10})
    assert set(raised(found, SETTINGS)) == {"one_answer", "entropy_collapse"}
    assert set(raised(found, Alarms(window=5, off=("one_answer",)))) == {"entropy_collapse"}


def test_of_a_step_taken_twice_the_last_attempt_counts() -> None:
    lines = [MetricLine(0.0, "selfplay_1", 3, {"entropy": value}) for value in (1.0, 2.0)]
    assert Curves(lines).of("selfplay_1", "entropy") == [2.0]


def test_a_curve_is_in_the_order_of_its_steps() -> None:
    lines = [MetricLine(0.0, "selfplay_1", step, {"entropy": step / 10}) for step in (1, 2, 5, 3, 4, 2)]
    assert Curves(lines).of("selfplay_1", "entropy") == [0.1, 0.2, 0.3, 0.4, 0.5]
