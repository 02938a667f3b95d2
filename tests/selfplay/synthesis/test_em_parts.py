"""Choice, stopping and the measures of rationales."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.em import EMStop
from selfplay.synthesis.em_candidates import choose
from selfplay.synthesis.em_watch import Patience
from selfplay.synthesis.measures import copy_rate, distinct_n, longest_shared_run, repetition


@given(rewards=st.dictionaries(st.integers(0, 20), st.integers(-3, 3), max_size=8))
def test_the_best_candidate_with_the_lowest_index_is_chosen(rewards: dict[int, int]) -> None:
    chosen = choose({index: float(value) for index, value in rewards.items()})
    if not rewards:
        assert chosen is None
        return
    best = max(rewards.values())
    assert chosen == min(index for index, value in rewards.items() if value == best)


def told(settings: EMStop, values: list[float]) -> list[bool]:
    patience = Patience(settings)
    return [patience.worth_another({"joint_nll": value}) for value in values]


def test_the_loop_ends_when_patience_is_used_up() -> None:
    assert told(EMStop(min_gain=0.1, patience=1), [5.0, 4.0, 3.95]) == [True, True, False]
    assert told(EMStop(min_gain=0.1, patience=2), [5.0, 5.0, 4.0, 4.2, 4.1]) == [True, True, True, True, False]


def test_a_missing_measure_or_fewer_whole_rationales_are_no_progress() -> None:
    patience = Patience(EMStop(patience=1))
    assert patience.worth_another({"joint_nll": 5.0, "greedy_whole_share": 1.0})
    assert not patience.worth_another({"joint_nll": 3.0, "greedy_whole_share": 0.5})
    assert not patience.at_best
    assert not patience.worth_another({"joint_nll": None, "greedy_whole_share": 0.0})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("rationale", "problem", "rate"),
    [
        ("Tom has 5 plums", "Tom has 5 plums", 1.0),
        ("start: tom HAS 5 apples", "Tom has 5 plums", 0.75),
        ("nothing shared", "Tom has 5 plums", 0.0),
        ("", "Tom has", 0.0),
        ("x", "", 0.0),
    ],
)
def test_copy_rate(rationale: str, problem: str, rate: float) -> None:
    assert copy_rate(rationale, problem) == pytest.approx(rate)


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_the_longest_run_is_that_of_difflib(ours: list[str], theirs: list[str]) -> None:
    """Which takes time by the product of their lengths."""
    known = SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match()
    assert longest_shared_run(ours, theirs) == known.size


def test_distinct_n() -> None:
    assert distinct_n(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct_n(["a"], 2) == 0.0


@pytest.mark.parametrize(
    ("text", "share"), [("a b c d e", 0.0), ("a b c", 0.0), ("", 0.0), ("a a a a a a", 2 / 3), ("a b c d a b c d", 0.2)]
)
def test_repetition(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)
