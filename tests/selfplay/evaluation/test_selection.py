"""The best round, and when the rounds end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.metrics import unknown
from selfplay.config.recipe import Recipe
from selfplay.config.training import Selection
from selfplay.evaluation.evaluate import Judged
from selfplay.evaluation.selection import logged, score_of, selection_outcome


def rows(*scores: float) -> list[dict[str, Any]]:
    return [{"round": number, "score": score} for number, score in enumerate(scores)]


def test_the_best_round_is_the_first_of_equals() -> None:
    outcome = selection_outcome(Selection(), rows(0.5, 0.7, 0.7, 0.6))
    assert (outcome.best, outcome.score, outcome.stopped) == (1, 0.7, "")


def test_too_small_a_gain_is_none() -> None:
    settings = Selection(min_gain=0.05, patience=2)
    assert selection_outcome(settings, rows(0.5, 0.54)).best == 0
    stopped = selection_outcome(settings, rows(0.5, 0.54, 0.55)).stopped
    assert "2 rounds in a row were no better" in stopped
    assert "than the base (0.500)" in stopped
    # Small gains add up: the third is above the base by enough.
    assert selection_outcome(settings, rows(0.5, 0.54, 0.56)).best == 2


SCORES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(scores=st.lists(SCORES, min_size=1, max_size=12), patience=st.integers(1, 4))
def test_the_rounds_end_once_patience_is_spent_and_not_before(scores: list[float], patience: int) -> None:
    settings = Selection(patience=patience)
    for made in range(1, len(scores) + 1):
        outcome = selection_outcome(settings, rows(*scores[:made]))
        assert outcome.score == max(scores[:made])
        assert bool(outcome.stopped) == (made - 1 - outcome.best >= patience)
    assert not selection_outcome(Selection(), rows(*scores)).stopped


def test_a_domain_that_could_not_be_checked_makes_no_round_the_best() -> None:
    """Code is the harder one: a round in which no program could be run looks better than it is by its score."""
    base = {"round": 0, "score": 0.75, "math": 0.9, "code": 0.6}
    unchecked = {"round": 1, "score": 0.9, "math": 0.9}
    nothing: dict[str, Any] = {"round": 2, "score": 0.0}
    better = {"round": 3, "score": 0.8, "math": 0.9, "code": 0.7}
    assert selection_outcome(Selection(), [base, unchecked, nothing]).best == 0
    assert selection_outcome(Selection(), [base, unchecked, nothing, better]).best == 3
    assert selection_outcome(Selection(), [base, unchecked | {"math": 0.95}]).best == 1
    assert selection_outcome(Selection(), [nothing | {"round": 0}, unchecked]).best == 1


def test_a_round_with_as_many_right_answers_is_no_better() -> None:
    """The same shares of ten, summed in another order, are another float."""
    passes = [9, 6, 5, 3, 8, 7, 0, 0, 7, 5, 6, 6]
    again = [7, 0, 6, 6, 5, 8, 3, 7, 9, 0, 5, 6]
    base, after = (
        score_of([rollout("math", str(task), n < of) for task, of in enumerate(found) for n in range(10)], number)
        for number, found in enumerate((passes, again))
    )
    assert selection_outcome(Selection(), [base, after]).best == 0
    assert selection_outcome(Selection(min_gain=0.1), rows(0.7, 0.8)).best == 0
    assert selection_outcome(Selection(min_gain=0.1), rows(0.7, 0.8001)).best == 1


def rollout(domain: str, task: str, passed: bool | None) -> Judged:
    return domain, "T=1, development", task, passed


def test_every_domain_counts_alike() -> None:
    """Math: problems solved in 2 of 2 and 0 of 1 tries that could be checked; code: one in 0 of 2."""
    found = score_of(
        [
            rollout("math", "a", True),
            rollout("math", "a", True),
            rollout("math", "b", False),
            rollout("math", "b", None),
            rollout("code", "c", False),
            rollout("code", "c", False),
        ],
        3,
    )
    assert found == {"round": 3, "score": 0.25, "math": 0.5, "code": 0.0}
    assert logged(found) == {"selection/score": 0.25, "selection/math": 0.5, "selection/code": 0.0}
    assert unknown(set(logged(found))) == set()
    assert score_of([rollout("math", "a", None)], 1) == {"round": 1, "score": 0.0}


def test_selection_needs_development_problems() -> None:
    seeds = {"kind": "quickstart", "grammar": "math", "dev": 0}
    with pytest.raises(ValueError, match=r"domains.math.seeds.dev has none"):
        Recipe.model_validate(
            {
                "name": "r",
                "model": {"kind": "scratch"},
                "domains": {"math": {"seeds": seeds}},
                "training": {"selection": {}},
            }
        )
