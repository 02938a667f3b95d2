"""When EM ends and whose models go on: the stop rule, each guard at its threshold, and the sentence a person reads."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.em import EM, EMGuards, EMStop
from selfplay.synthesis.em_watch import stop_decision, tripped

HEALTHY: dict[str, Any] = {
    "joint_nll": 20.0,
    "bound": 15.0,
    "greedy_whole_share": 1.0,
    "length": 20.0,
    "distinct_2": 0.5,
    "copy_rate": 0.1,
    "parse_rate": 0.9,
    "repetition": 0.05,
}


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The healthy cold start, then a round with each change."""
    return [HEALTHY, *(HEALTHY | change for change in changes)]


def test_without_rules_the_last_round_goes_on() -> None:
    outcome = stop_decision(EM(), rows({"joint_nll": 25.0, "length": 1.0}))
    assert (outcome.kept, outcome.rounds, outcome.reason) == (1, 1, "")


def test_a_stop_rule_keeps_the_best_round() -> None:
    outcome = stop_decision(
        EM(stop=EMStop(patience=2)), rows({"joint_nll": 18.0}, {"joint_nll": 19.0}, {"joint_nll": 19.5})
    )
    assert (outcome.kept, outcome.rounds) == (1, 3)
    assert outcome.sentence == (
        "EM ended after round 3: the joint NLL has not fallen by more than 0 nats; the models of round 1 go on"
    )


GUARDED = [
    ("min_length_ratio", 0.5, {"length": 9.0}, {"length": 10.0}, "shrank to 0.45 of the cold start's length"),
    ("min_distinct_ratio", 0.8, {"distinct_2": 0.39}, {"distinct_2": 0.4}, "kept 0.78 of the cold start's variety"),
    ("max_copy_rate", 0.4, {"copy_rate": 0.41}, {"copy_rate": 0.4}, "copy 0.41 of their problems"),
    ("min_parse_rate", 0.8, {"parse_rate": 0.79}, {"parse_rate": 0.8}, "only 0.79 of p's completions"),
    ("max_repetition", 0.2, {"repetition": 0.21}, {"repetition": 0.2}, "0.21 of the 4-grams"),
    ("max_nll_rise", 1.0, {"joint_nll": 20.5}, {"joint_nll": 21.0}, "the joint NLL rose by 1.500 nats"),
    ("max_bound_rise", 1.0, {"bound": 16.5}, {"bound": 16.0}, "the bound rose by 1.500 nats"),
]


@pytest.mark.parametrize(("name", "threshold", "bad", "good", "says"), GUARDED, ids=[case[0] for case in GUARDED])
def test_a_guard_ends_the_loop_beyond_its_threshold(
    name: str, threshold: float, bad: dict[str, float], good: dict[str, float], says: str
) -> None:
    settings = EM(guards=EMGuards(**{name: threshold}))
    assert stop_decision(settings, rows(good)).reason == ""
    outcome = stop_decision(settings, rows({"joint_nll": 19.0}, {"joint_nll": 19.5}, {"joint_nll": 19.7} | bad))
    assert (outcome.kept, outcome.rounds) == (1, 3)
    assert says in outcome.sentence
    assert f"(em.guards.{name} is {threshold:g})" in outcome.sentence
    assert outcome.sentence.endswith("the models of round 1 go on")


def test_a_threshold_that_is_not_set_forbids_nothing() -> None:
    worst = {"joint_nll": math.nan, "bound": math.inf, "length": math.nan, "copy_rate": 1.0, "parse_rate": 0.0}
    assert tripped(EMGuards(), [HEALTHY], HEALTHY | worst | {"repetition": 1.0, "distinct_2": math.nan}) == []


def test_missing_rationales_trip_the_guards_that_need_them() -> None:
    lost = dict.fromkeys(("joint_nll", "length", "distinct_2", "copy_rate", "parse_rate"), None)
    guards = EMGuards(
        min_length_ratio=0.1, min_distinct_ratio=0.1, max_nll_rise=5.0, max_copy_rate=1.0, min_parse_rate=0.0
    )
    faults = tripped(guards, [HEALTHY], HEALTHY | lost)
    assert len(faults) == 5
    assert all("q no longer writes whole rationales" in fault for fault in faults)


def test_the_cold_start_itself_is_not_judged() -> None:
    settings = EM(guards=EMGuards(min_parse_rate=0.95))
    assert stop_decision(settings, [HEALTHY]).reason == ""
    outcome = stop_decision(settings, rows({}))
    assert (outcome.kept, outcome.rounds) == (0, 1)
    assert outcome.sentence.endswith("the models of the cold start go on")


def test_the_rise_counts_from_the_lowest_round() -> None:
    settings = EM(guards=EMGuards(max_bound_rise=1.0))
    assert stop_decision(settings, rows({"bound": 14.0}, {"bound": 15.2})).rounds == 2
    assert "rose by 1.200" in stop_decision(settings, rows({"bound": 14.0}, {"bound": 15.2})).reason


VALUES = st.one_of(st.none(), st.floats(0, 50))


@given(found=st.lists(st.fixed_dictionaries(dict.fromkeys(HEALTHY, VALUES)), max_size=5))
def test_the_outcome_survives_the_disk(found: list[dict[str, Any]]) -> None:
    """A measure that could not be taken is NaN in memory and null in a manifest: the loop must end alike."""
    settings = EM(guards=EMGuards(min_length_ratio=0.5, max_copy_rate=0.9, max_nll_rise=3.0), stop=EMStop(patience=2))
    missing = [{name: math.nan if value is None else value for name, value in row.items()} for row in found]
    written = json.loads(json.dumps(found))
    assert stop_decision(settings, [HEALTHY, *missing]) == stop_decision(settings, [HEALTHY, *written])
