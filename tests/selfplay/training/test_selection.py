"""Pairs and verified samples out of rollouts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfplay.records import Rollout
from selfplay.training.selection import make_pairs, right_completions


def rollout(task: str, text: str, passed: bool | None, status: str = "", index: int = 0) -> Rollout:
    given_status = status or {True: "correct", False: "wrong", None: "timed_out"}[passed]
    reward = None if passed is None else float(passed)
    return Rollout("i", task, "math", 1, "T=1", index, text, passed, reward, given_status, "")


rollouts = st.lists(
    st.builds(
        rollout,
        st.sampled_from(["t1", "t2"]),
        st.sampled_from("abcdef"),
        st.sampled_from([True, False, None]),
    ),
    max_size=20,
)
PROMPTS = {"t1": "p1", "t2": "p2"}


@given(rows=rollouts, cap=st.integers(1, 3), seed=st.integers(0, 5))
def test_pairs_are_right_against_wrong_unique_and_capped(rows: list[Rollout], cap: int, seed: int) -> None:
    pairs = make_pairs(rows, PROMPTS, cap, seed)
    assert pairs == make_pairs(rows, PROMPTS, cap, seed)
    for task, prompt in PROMPTS.items():
        own = [pair for pair in pairs if pair.task_id == task]
        right = {row.completion for row in rows if row.task_id == task and row.passed}
        wrong = {row.completion for row in rows if row.task_id == task and row.passed is False}
        assert len(own) == min(len(right), len(wrong), cap)
        assert {pair.chosen for pair in own} <= right
        assert {pair.rejected for pair in own} <= wrong
        assert len({pair.chosen for pair in own}) == len({pair.rejected for pair in own}) == len(own)
        assert all(pair.prompt == prompt for pair in own)


def test_losers_are_wrong_answers_not_failures_of_form() -> None:
    rows = [rollout("t1", "a", True), rollout("t1", "b", False, status="no_answer"), rollout("t1", "c", None)]
    assert make_pairs(rows, PROMPTS, 4, 0) == []


def test_the_most_frequent_right_text_comes_first() -> None:
    texts = ["x", "y", "y", "z"]
    rows = [rollout("t1", text, True, index=place) for place, text in enumerate(texts)] + [rollout("t1", "w", False)]
    assert [row.completion for row in right_completions(rows, 1)] == ["y"]
    assert [row.completion for row in right_completions(rows, 2)] == ["y", "x"]


def test_a_task_without_a_right_completion_gives_none() -> None:
    assert right_completions([rollout("t1", "a", False), rollout("t1", "b", None)], 3) == []
