"""The judge: each distinct completion once, verdicts kept, faults tried again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.rollouts.judge import Judge
from verifiers.answers import answer_reader
from verifiers.composite import component_rewards
from verifiers.model import Task, Verdict

RECIPE = Recipe.model_validate(
    {
        "name": "judge",
        "model": {"kind": "scratch"},
        "domains": {
            "math": {"seeds": {"kind": "quickstart", "grammar": "math"}},
            "words": {"seeds": {"kind": "quickstart", "grammar": "math"}, "verifier": "exact"},
        },
    }
)


class Counting:
    """A verifier that counts, and cannot reach a verdict on `slow`."""

    name = fingerprint = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def verify(self, task: Task, completion: str) -> Verdict:
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        self.asked += [completion for _, completion in items]
        reached = {True: Verdict(True, 1.0, "correct"), False: Verdict(None, None, "timed_out")}
        return [reached[completion != "slow"] for _, completion in items]

    def close(self) -> None:
        return


@pytest.fixture
def judge(tmp_path: Path) -> Any:
    made = Judge(RECIPE, tmp_path, workers=1)
    yield made
    made.close()


def test_each_domain_has_its_own_verifier(judge: Judge) -> None:
    items = [("math", Task(answer="1/2"), "\\boxed{0.5}"), ("words", Task(answer="1/2"), "\\boxed{0.5}")]
    assert [verdict.passed for verdict in judge.judge(items)] == [True, False]


def test_equal_completions_are_judged_once_and_kept(judge: Judge) -> None:
    counting = judge.verifiers["math"] = Counting()
    items = [("math", Task(answer="1"), text) for text in ("a", "b", "a", "slow", "a")]
    first = judge.judge(items)
    assert [verdict.passed for verdict in first] == [True, True, True, None, True]
    assert sorted(counting.asked) == ["a", "b", "slow"]
    assert judge.judge(items) == first
    assert sorted(counting.asked) == ["a", "b", "slow", "slow"]


def test_another_task_is_another_verdict(judge: Judge) -> None:
    counting = judge.verifiers["math"] = Counting()
    judge.judge([("math", Task(answer="1"), "a"), ("math", Task(answer="2"), "a")])
    assert counting.asked == ["a", "a"]


def test_components_are_kept_and_get_the_recipes_workers(tmp_path: Path) -> None:
    parts = {"right": {"verifier": "math"}, "form": {"verifier": "format"}}
    composite = {"verifier": "composite", "verifier_params": {"components": parts}}
    domains = {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}, **composite}}
    judge = Judge(Recipe.model_validate({**RECIPE.model_dump(), "domains": domains}), tmp_path, workers=3)
    item = ("math", Task("2 + 2?", "4"), "\\boxed{4}")
    try:
        [fresh], [kept] = judge.judge([item]), judge.judge([item])
        assert component_rewards(fresh) == component_rewards(kept) == {"right": 1.0, "form": 0.0}
        reader: Any = answer_reader(judge.verifiers["math"])
        assert reader._comparer._readers.workers == 3
    finally:
        judge.close()
