"""A policy that gives one answer to everything is told from one that is right, or wrong in many ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from selfplay.rollouts.mode_collapse import FEWEST_TASKS, ModeCollapse
from verifiers.composite import CompositeVerifier
from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Verifier
from verifiers.programs import CodeVerifier

METRIC = "one_wrong_answer/math"


@pytest.fixture(scope="module")
def math() -> Iterator[MathVerifier]:
    verifier = MathVerifier(workers=1)
    yield verifier
    verifier.close()


def shares(math: Verifier, golds: list[str], completions: list[str], window: int = 256) -> dict[str, float]:
    """The metrics after one completion a task, judged by the verifier itself."""
    found = ModeCollapse({"math": math}, window)
    for place, (gold, text) in enumerate(zip(golds, completions, strict=True)):
        found.add("math", f"t{place}", text, math.verify(Task(answer=gold), text).passed)
    return found.metrics()


def test_a_policy_that_gives_one_answer_to_everything(math: MathVerifier) -> None:
    golds = [str(number) for number in range(20)]
    assert shares(math, golds, ["I think \\boxed{ 7 }"] * 20) == {METRIC: 19 / 20}
    spellings = ["so \\boxed{x + 1}", "it is \\boxed{x+1}"] * 10
    assert shares(math, golds, spellings) == {METRIC: 1.0}, "blanks make no other answer"


def test_a_right_answer_that_tasks_share_is_no_favourite(math: MathVerifier) -> None:
    assert shares(math, ["7"] * 20, ["\\boxed{7}"] * 20) == {METRIC: 0.0}
    assert shares(math, ["0.5"] * 20, ["\\boxed{1/2}"] * 20) == {METRIC: 0.0}


def test_wrong_answers_of_many_kinds_and_none_at_all(math: MathVerifier) -> None:
    golds = [str(number) for number in range(20)]
    assert shares(math, golds, [f"\\boxed{{{number + 1}}}" for number in range(20)]) == {METRIC: 1 / 20}
    assert shares(math, golds, ["I do not know"] * 20) == {METRIC: 0.0}


def test_the_last_rollouts_count(math: MathVerifier) -> None:
    golds = [str(number) for number in range(40)]
    later = ["\\boxed{99}"] * 20 + [f"\\boxed{{{number}}}" for number in range(20, 40)]
    assert shares(math, golds, later, window=20) == {METRIC: 0.0}
    assert shares(math, golds, later[::-1], window=20) == {METRIC: 1.0}


def test_nothing_is_said_of_few_tasks(math: MathVerifier) -> None:
    found = ModeCollapse({"math": math})
    for _ in range(100):
        found.add("math", "one", "\\boxed{7}", False)
    assert found.metrics() == {}
    for place in range(FEWEST_TASKS - 1):
        found.add("math", str(place), "\\boxed{7}", None)
    assert found.metrics() == {METRIC: 100 / (100 + FEWEST_TASKS - 1)}, "without a verdict, nothing is wrong"


def test_only_answers_that_can_be_compared_are_looked_at(math: MathVerifier) -> None:
    code = CodeVerifier(workers=1)
    found = ModeCollapse({"code": code, "math": CompositeVerifier({"right": math})})
    for place in range(20):
        found.add("code", str(place), "```python\nprint(1)\n```", False)
        found.add("math", str(place), "\\boxed{7}", False)
    assert found.metrics() == {METRIC: 1.0}
    code.close()
