"""Pairs and verified samples out of rollouts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.run.records import Rollout
from selfplay.training.pairs import balanced, faults, make_pairs, pass_rates, right_completions
from selfplay.training.validity import thinking_fault


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
        wrong = {row.completion for row in rows if row.task_id == task and row.passed is False} - right
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("so \\boxed{4}", ""),
        ("<think>hm</think>\\boxed{4}", ""),
        ("hm</think>\\boxed{4}", ""),
        ("\n<thinking>\n\n</thinking>\n4", ""),
        ("<think>hm \\boxed{4}", "never ends"),
        ("<think>hm</think>  \n", "nothing after"),
        ("<think>a</think><think>b</think>4", "more than one"),
        ("a</think>b</think>4", "more than one"),
        ("Well <think>a</think>4", "text before"),
        ("a</think>4<think>", "text before"),
    ],
)
def test_a_think_block_is_one_closed_and_followed_by_an_answer(text: str, says: str) -> None:
    assert says in thinking_fault(text)
    assert bool(says) == bool(thinking_fault(text))


def test_completions_must_think_where_that_is_required() -> None:
    assert thinking_fault("\\boxed{4}", "required") == "no thinking"
    assert thinking_fault("a</think>\\boxed{4}", "required") == ""
    bare = [rollout("t1", "a", True), rollout("t1", "b", False)]
    assert len(make_pairs(bare, PROMPTS, 4, 0)) == 1
    assert make_pairs(bare, PROMPTS, 4, 0, "required") == []
    assert right_completions(bare, 4, "required") == []


def test_malformed_thinking_makes_no_loser_and_no_winner() -> None:
    rows = [
        rollout("t1", "<think>x</think>1", True),
        rollout("t1", "<think>x</think><think>y</think>1", True),
        rollout("t1", "<think>x</think><think>y</think>2", False),
        rollout("t1", "<think>x", False, status="cut"),
    ]
    assert make_pairs(rows, PROMPTS, 4, 0) == []
    assert [row.completion for row in right_completions(rows, 4)] == ["<think>x</think>1"]
    assert faults(rows) == {"more than one think block": 2, "cut at the token limit": 1}


def test_a_text_that_passed_and_failed_is_no_loser() -> None:
    rows = [rollout("t1", "a", True), rollout("t1", "a", False), rollout("t1", "b", False)]
    assert [(pair.chosen, pair.rejected) for pair in make_pairs(rows, PROMPTS, 4, 0)] == [("a", "b")]


def test_no_band_of_pass_rates_has_more_than_an_even_share() -> None:
    """Of 20 samples (16 easy, 3 middling, 1 hard) an even share is 7."""
    easy = [rollout(f"e{n}", text, True) for n in range(8) for text in "ab"]
    middling = [rollout(f"m{n}", "a", True) for n in range(3)]
    hard = [rollout("h", "a", True)]
    rates = {row.task_id: {"e": 1.0, "m": 0.5, "h": 0.125}[row.task_id[0]] for row in easy + middling + hard}
    chosen = balanced(easy + middling + hard, rates, 4, 0)
    assert Counter(row.task_id[0] for row in chosen) == {"e": 7, "m": 3, "h": 1}
    # Each prompt's preferred sample comes before any prompt's second one.
    assert {row.completion for row in chosen} == {"a"}
    assert chosen == balanced(easy + middling + hard, rates, 4, 0)
    assert chosen != balanced(easy + middling + hard, rates, 4, 1)
    assert balanced(easy, rates, 4, 0) == easy
    assert balanced(easy + hard, rates, 0, 0) == easy + hard
    assert balanced([], {}, 4, 0) == []


def test_pass_rates_leave_out_what_was_not_checked() -> None:
    rows = [rollout("t1", "a", True), rollout("t1", "b", False), rollout("t1", "c", None), rollout("t2", "c", None)]
    assert pass_rates(rows) == {"t1": 0.5}
