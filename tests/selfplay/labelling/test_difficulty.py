"""Pass rates: intervals, and deciding with fewer rollouts than k."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.labelling import Difficulty, Labelling
from selfplay.labelling.difficulty import NOT_MEASURED, RULES, Limit, decide, drop_reason, limits_of
from verifiers.conformance.report import wilson_interval

BANDS = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: [min(pair) / 8, max(pair) / 8])
RULE_SETS = st.lists(st.sampled_from(sorted(RULES)), unique=True, max_size=4)
OUTCOMES = st.lists(st.sampled_from([True, False, None]), min_size=8, max_size=8)


def limits(rules: list[str], band: list[float] | None = None) -> list[Limit]:
    given_band = {} if band is None else {"band": {"low": band[0], "high": band[1]}}
    return limits_of(Labelling.model_validate({"drop": rules, "min_agreement": 0.0} | given_band))


def settings(**changes: Any) -> Difficulty:
    return Difficulty.model_validate({"rollouts": 8} | changes)


@pytest.mark.parametrize(
    ("passed", "tried", "low", "high"),
    # By hand, from the formula: z = 1.959964 for 95%.
    [(0, 8, 0.0, 0.32441), (4, 8, 0.21521, 0.78479), (8, 8, 0.67559, 1.0), (1, 1, 0.20654, 1.0)],
)
def test_wilson_intervals(passed: int, tried: int, low: float, high: float) -> None:
    assert wilson_interval(passed, tried) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), st.floats(0.5001, 0.9999))
def test_an_interval_is_wilsons_formula_and_its_ends_are_exact(pair: tuple[int, int], confidence: float) -> None:
    passed, tried = pair
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, spread = passed / tried, z * z / tried
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / tried + spread / (4 * tried))
    low, high = wilson_interval(passed, tried, confidence)
    assert (low, high) == pytest.approx((max(middle - half, 0.0), min(middle + half, 1.0)), abs=1e-12)
    assert (low == 0.0) is (passed == 0)
    assert (high == 1.0) is (passed == tried)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.5001, 0.9999))
def test_an_interval_holds_its_rate_and_narrows(first: int, second: int, confidence: float) -> None:
    passed, tried = min(first, second), max(first, second)
    low, high = wilson_interval(passed, tried, confidence)
    assert 0.0 <= low <= high <= 1.0
    if tried:
        assert low <= passed / tried <= high
        wider = wilson_interval(passed, tried, min(confidence + 0.00005, 0.99999))
        assert wider[0] <= low + 1e-12
        assert wider[1] >= high - 1e-12
        four = wilson_interval(4 * passed, 4 * tried, confidence)
        assert four[1] - four[0] <= high - low + 1e-12
    mirrored = wilson_interval(tried - passed, tried, confidence)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


@given(RULE_SETS, st.none() | BANDS, OUTCOMES)
def test_a_certain_stop_never_changes_the_decision(
    rules: list[str], band: list[float] | None, outcomes: list[bool | None]
) -> None:
    bounds = limits(rules, band)
    whole = decide(outcomes, bounds, settings(stop="never"))
    early = decide(outcomes, bounds, settings(stop="certain"))
    assert early.reason == whole.reason
    assert early.drawn <= whole.drawn == 8


@given(RULE_SETS, st.none() | BANDS, OUTCOMES, st.sampled_from(["never", "certain", "likely"]), st.data())
def test_waves_change_nothing(
    rules: list[str], band: list[float] | None, outcomes: list[bool | None], stop: str, data: st.DataObject
) -> None:
    """Whatever is drawn at once, what is decided is a function of the sequence of rollouts."""
    bounds, how = limits(rules, band), settings(stop=stop)
    whole = decide(outcomes, bounds, how)
    drawn = 0
    while drawn < 8:
        drawn += data.draw(st.integers(1, 8 - drawn))
        found = decide(outcomes[:drawn], bounds, how)
        if found.sure:
            break
    assert found == whole


@given(RULE_SETS, st.none() | BANDS, OUTCOMES)
def test_a_likely_stop_is_on_one_side_of_every_bound(
    rules: list[str], band: list[float] | None, outcomes: list[bool | None]
) -> None:
    bounds, how = limits(rules, band), settings(stop="likely", confidence=0.9)
    found = decide(outcomes, bounds, how)
    certain = decide(outcomes, bounds, settings(stop="certain"))
    assert found.drawn <= certain.drawn
    if found.drawn < certain.drawn:
        low, high = wilson_interval(found.passed, found.tried, 0.9)
        assert all(high < limit.rate or low > limit.rate for limit in bounds)
        # The whole interval would be decided alike.
        assert {drop_reason(rate, bounds) for rate in (low, found.passed / found.tried, high)} == {found.reason}


def test_easy_and_hopeless_prompts_cost_less() -> None:
    half = limits(["at_least_half_solved", "never_solved"])
    easy = decide([True] * 8, half, settings(stop="certain"))
    assert (easy.drawn, easy.reason) == (4, "difficulty: solved in at least half of the tries")
    likely = decide([True] * 16, half, settings(rollouts=16, stop="likely"))
    assert likely.drawn == 4
    band = limits([], [0.2, 0.8])
    hopeless = decide([False] * 32, band, settings(rollouts=32, stop="likely"))
    assert (hopeless.drawn, hopeless.reason) == (16, "difficulty: pass rate below the band")
    assert decide([False] * 32, band, settings(rollouts=32, stop="never")).drawn == 32


def test_rollouts_that_could_not_be_checked_count_neither_way() -> None:
    always = limits(["always_solved"])
    assert decide([None] * 8, always, settings()).reason == NOT_MEASURED
    found = decide([None, True, None, True] + [None] * 4, always, settings())
    assert (found.tried, found.passed, found.reason) == (2, 2, "difficulty: always solved")
    assert (decide([None] * 8, always, settings()).pass_rate, found.pass_rate) == (None, 1.0)


@pytest.mark.parametrize("stop", ["never", "certain", "likely"])
def test_without_a_filter_the_rate_is_what_is_wanted(stop: str) -> None:
    found = decide([True, False] * 4, limits([]), settings(stop=stop))
    assert (found.drawn, found.pass_rate, found.whole) == (8, 0.5, True)


@given(RULE_SETS, st.none() | BANDS, st.sampled_from(["never", "certain", "likely"]), st.floats(0.0, 1.0), st.data())
def test_the_pass_rate_has_no_bias_whatever_stops_the_rollouts(
    rules: list[str], band: list[float] | None, stop: str, rate: float, data: st.DataObject
) -> None:
    """Exact: over all outcomes of 6 rollouts, by their chances."""
    bounds, how = limits(rules, band), settings(rollouts=6, stop=stop, confidence=0.8)
    checked = data.draw(st.lists(st.booleans(), min_size=6, max_size=6).map(lambda found: [True, *found[1:]]))
    expected = 0.0
    for outcomes in itertools.product([True, False], repeat=6):
        chance = math.prod(rate if passed else 1 - rate for passed in outcomes)
        seen = [passed if known else None for passed, known in zip(outcomes, checked, strict=True)]
        found = decide(seen, bounds, how)
        assert found.pass_rate is not None
        expected += chance * found.pass_rate
        if found.whole:
            assert found.pass_rate == pytest.approx(found.passed / found.tried)
    assert expected == pytest.approx(rate, abs=1e-12)


@given(RULE_SETS, st.none() | BANDS, OUTCOMES)
def test_a_prompt_that_stays_has_all_its_rollouts(
    rules: list[str], band: list[float] | None, outcomes: list[bool | None]
) -> None:
    found = decide(outcomes, limits(rules, band), settings(stop="certain"))
    if not found.reason:
        assert found.drawn == 8


def test_a_prompt_that_is_solved_nine_times_of_ten() -> None:
    """Its rate was 0.60 among those that stayed, since the first failure stopped the rollouts."""
    bounds, kept = limits(["always_solved"]), [0.0, 0.0]
    for outcomes in itertools.product([True, False], repeat=8):
        found = decide(outcomes, bounds, settings())
        if not found.reason:
            chance = math.prod(0.9 if passed else 0.1 for passed in outcomes)
            kept[0] += chance * (found.pass_rate or 0.0)
            kept[1] += chance
    all_passed = 0.9**8
    assert kept[0] / kept[1] == pytest.approx((0.9 - all_passed) / (1 - all_passed))


def test_the_fourth_pass_of_six() -> None:
    found = decide([True, False, True, False, True, True], limits(["at_least_half_solved"]), settings())
    assert (found.drawn, found.pass_rate, found.whole) == (6, 3 / 5, False)


def test_a_proportion_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson_interval(3, 2)
