"""Charts of trainings, from digests that are written by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.report.training_charts import (
    MOST_SERIES,
    OTHERS,
    difficulty_chart,
    failure_charts,
    keeps,
    training_charts,
)
from selfplay.run.plan import Kind, PlannedStage

ROUNDS = [PlannedStage(Kind.SELFPLAY, 1), PlannedStage(Kind.SELFPLAY, 2)]


def digest(**known: Any) -> Any:
    return SimpleNamespace(**({"curves": {}, "statuses": {}, "pass_rates": {}} | known))


def test_a_curve_goes_on_where_the_last_round_ended_and_is_broken_there() -> None:
    curves = {"selfplay_1": {"reward/math": {0: 0.0, 1: 1.0}}, "selfplay_2": {"reward/math": {0: 2.0, 4: 3.0}}}
    (trace,) = training_charts(digest(curves=curves), ROUNDS)["train-domains"]["data"]
    assert (trace["x"], trace["y"], trace["breaks"]) == ([0, 1, 2, 6], [0.0, 1.0, 2.0, 3.0], [0, 2])


def test_a_round_without_a_metric_leaves_room_for_none() -> None:
    curves = {"selfplay_2": {"reward/math": {3: 1.0}}}
    (trace,) = training_charts(digest(curves=curves), ROUNDS)["train-domains"]["data"]
    assert (trace["x"], trace["mode"]) == ([3], "markers")


def test_parts_of_a_verifier_stand_apart_from_the_domains() -> None:
    curves = {"selfplay_1": {name: {0: 0.5} for name in ("reward/code", "reward/math", "reward/math/length")}}
    charts = training_charts(digest(curves=curves), ROUNDS)
    assert [trace["name"] for trace in charts["train-domains"]["data"]] == ["code", "math"]
    assert set(charts) == {"train-domains", "train-parts-1"}


def test_rare_failures_are_summed_and_passes_are_none() -> None:
    shares = {("math", f"status_{number}"): (20 - number) / 1000 for number in range(MOST_SERIES + 2)}
    chart = failure_charts(digest(statuses={"selfplay_1": shares | {("math", "correct"): 0.9}}), ROUNDS)
    bars = chart["failures-selfplay-0"]["data"]
    assert [bar["name"] for bar in bars] == [*(f"status {number}" for number in range(MOST_SERIES - 1)), OTHERS]
    assert sum(bar["y"][0] for bar in bars) == pytest.approx(sum(shares.values()))


def test_no_rollouts_make_no_chart_of_difficulty() -> None:
    shape = {"edges": [0.0, 0.5, 1.0], "counts": [0, 0]}
    assert difficulty_chart(digest(pass_rates={"selfplay_1": shape}), ROUNDS) is None
    chart = difficulty_chart(digest(pass_rates={"selfplay_1": shape | {"counts": [1, 3]}}), ROUNDS)
    assert chart is not None
    assert (chart["data"][0]["x"], chart["data"][0]["y"]) == ([0.25, 0.75], [0.25, 0.75])


def test_only_what_a_chart_shows_is_kept() -> None:
    assert keeps("loss")
    assert keeps("reward/math/length")
    assert not keeps("grad_norm")
