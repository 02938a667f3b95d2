"""Pairs and verified samples out of rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import compress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.recipe import Recipe
from selfplay.config.training import ValidRule
from selfplay.run.records import Pair, Rollout
from selfplay.training.pairs import balanced, faults, make_pairs, pass_rates, right_completions
from selfplay.training.validity import ValidForm, fault, thinking_fault


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


def pairs_of(
    rows: list[Rollout], cap: int = 4, seed: int = 0, thinking: Literal["optional", "required"] = "optional"
) -> list[Pair]:
    """Of rollouts in a table's order, those of a task together."""
    return list(
        make_pairs(sorted(rows, key=lambda row: row.task_id), PROMPTS.__getitem__, cap, seed, ValidForm(thinking))
    )


def right_of(rows: list[Rollout], cap: int, thinking: Literal["optional", "required"] = "optional") -> list[Rollout]:
    return list(right_completions(rows, cap, ValidForm(thinking)))


@given(rows=rollouts, cap=st.integers(1, 3), seed=st.integers(0, 5))
def test_pairs_are_right_against_wrong_unique_and_capped(rows: list[Rollout], cap: int, seed: int) -> None:
    pairs = pairs_of(rows, cap, seed)
    assert pairs == pairs_of(rows, cap, seed)
    assert {pair.source for pair in pairs} <= {"self-play"}
    assert len({pair.id for pair in pairs}) == len(pairs)
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
    assert pairs_of(rows) == []


def test_the_most_frequent_right_text_comes_first() -> None:
    texts = ["x", "y", "y", "z"]
    rows = [rollout("t1", text, True, index=place) for place, text in enumerate(texts)] + [rollout("t1", "w", False)]
    assert [row.completion for row in right_of(rows, 1)] == ["y"]
    assert [row.completion for row in right_of(rows, 2)] == ["y", "x"]


def test_pairs_of_one_task_have_ids_of_their_own() -> None:
    rows = [rollout("t1", text, True) for text in "ab"] + [rollout("t1", "c", False)]
    seen = {(pair.chosen, pair.id) for seed in range(8) for pair in pairs_of(rows, 1, seed)}
    assert {chosen for chosen, _ in seen} == {"a", "b"}
    assert len({identifier for _, identifier in seen}) == 2


def test_a_task_without_a_right_completion_gives_none() -> None:
    assert right_of([rollout("t1", "a", False), rollout("t1", "b", None)], 3) == []


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
        ("<think><think>a</think>4", "more than one"),
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
    assert len(pairs_of(bare)) == 1
    assert pairs_of(bare, thinking="required") == []
    assert right_of(bare, 4, "required") == []


def test_malformed_thinking_makes_no_loser_and_no_winner() -> None:
    rows = [
        rollout("t1", "<think>x</think>1", True),
        rollout("t1", "<think>x</think><think>y</think>1", True),
        rollout("t1", "<think>x</think><think>y</think>2", False),
        rollout("t1", "<think>x", False, status="cut"),
    ]
    assert pairs_of(rows) == []
    assert [row.completion for row in right_of(rows, 4)] == ["<think>x</think>1"]
    assert faults(rows) == {"more than one think block": 2, "cut at the token limit": 1}


def test_a_text_that_passed_and_failed_is_no_loser() -> None:
    rows = [rollout("t1", "a", True), rollout("t1", "a", False), rollout("t1", "b", False)]
    assert [(pair.chosen, pair.rejected) for pair in pairs_of(rows)] == [("a", "b")]


def test_no_band_of_pass_rates_has_more_than_an_even_share() -> None:
    """Of 20 samples (16 easy, 3 middling, 1 hard) an even share is 7."""
    easy = [rollout(f"e{n}", text, True) for n in range(8) for text in "ab"]
    middling = [rollout(f"m{n}", "a", True) for n in range(3)]
    hard = [rollout("h", "a", True)]
    rates = {row.task_id: {"e": 1.0, "m": 0.5, "h": 0.125}[row.task_id[0]] for row in easy + middling + hard}

    def kept(rows: list[Rollout], bands: int = 4, seed: int = 0) -> list[Rollout]:
        return list(compress(rows, balanced([row.task_id for row in rows], rates, bands, seed)))

    chosen = kept(easy + middling + hard)
    assert Counter(row.task_id[0] for row in chosen) == {"e": 7, "m": 3, "h": 1}
    # Each prompt's preferred sample comes before any prompt's second one.
    assert {row.completion for row in chosen} == {"a"}
    assert chosen == kept(easy + middling + hard)
    assert chosen != kept(easy + middling + hard, seed=1)
    assert kept(easy) == easy
    assert kept(easy + hard, bands=0) == easy + hard
    assert kept([]) == []


def test_pass_rates_leave_out_what_was_not_checked() -> None:
    rows = [rollout("t1", "a", True), rollout("t1", "b", False), rollout("t1", "c", None), rollout("t2", "c", None)]
    assert pass_rates((row.task_id, row.passed) for row in rows) == {"t1": 0.5}


@pytest.mark.parametrize("make", [lambda rows: make_pairs(rows, str, 1, 0), lambda rows: right_completions(rows, 1)])
def test_no_more_is_read_of_a_table_than_what_comes_next_takes(make: Callable[..., Iterator[object]]) -> None:
    read = 0

    def rows() -> Iterator[Rollout]:
        nonlocal read
        for task in range(100):
            for text, passed in (("a", True), ("b", False)):
                read += 1
                yield rollout(f"t{task}", text, passed)

    found = make(rows())
    for number in range(1, 11):
        next(found)
        assert read == 2 * number + 1, "the tasks until then, and the row that ends the last of them"
    assert len(list(found)) == 90


@pytest.mark.parametrize(
    ("rule", "text", "says"),
    [
        ("thinking_not_empty", "<think>\n\n</think>\\boxed{4}", "empty thinking"),
        ("thinking_not_empty", " \n</think>\\boxed{4}", "empty thinking"),
        ("thinking_not_empty", "<think>\u200b\u2060 </think>\\boxed{4}", "empty thinking"),
        ("thinking_not_empty", "<think>Two.</think>\\boxed{4}", ""),
        ("thinking_not_empty", "\\boxed{4}", ""),
        ("no_cjk", "<think>Two, 即 two.</think>\\boxed{4}", "Chinese, Japanese or Korean letters"),
        ("no_cjk", "<think>ﾆ and ㄅ</think>\\boxed{4}", "Chinese, Japanese or Korean letters"),
        ("no_cjk", "<think>Zwei für α.</think>\\boxed{4} 😀", ""),
        ("boxed_answer", "<think>\\boxed{4}</think>It is 4.", "no boxed answer"),
        ("boxed_answer", "<think>Two.</think>\\boxed{ }", "no boxed answer"),
        ("boxed_answer", "<think>Two.</think>\\boxed{4}", ""),
    ],
)
def test_each_rule_of_validity_is_a_switch(rule: ValidRule, text: str, says: str) -> None:
    row = rollout("t1", text, False)
    assert fault(row, ValidForm(rules=frozenset([rule]))) == says
    assert fault(row, ValidForm()) == "", "off, it drops nothing"
    programs = ValidForm(rules=frozenset(["boxed_answer"]), programs=frozenset(["math"]))
    assert fault(row, programs) == "", "programs stand in no box"


def test_a_recipe_says_what_is_valid() -> None:
    quickstart = {"kind": "quickstart", "grammar": "math"}
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "model": {"kind": "scratch"},
            "domains": {
                "math": {"seeds": quickstart},
                "code": {"seeds": quickstart | {"grammar": "code"}, "verifier": "code"},
            },
            "training": {"thinking": "required", "valid": ["no_cjk", "boxed_answer"]},
        }
    )
    assert ValidForm.of(recipe) == ValidForm("required", frozenset(["no_cjk", "boxed_answer"]), frozenset(["code"]))
