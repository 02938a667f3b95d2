"""The kit's parts: what a verdict has to be, hostile texts, labelled cases, intervals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.conformance.cases import DEFAULT_TASKS, Case, read_cases, tasks_of
from verifiers.conformance.contract import faults_of
from verifiers.conformance.items import items_of, sample, write_items
from verifiers.conformance.report import Failure, check_of, share_of, wilson_interval
from verifiers.conformance.texts import KINDS, cut, hostile, may_be_right, neutral
from verifiers.jsonl import UnusableInput
from verifiers.model import Task, Test, Verdict
from verifiers.programs.task_rows import task_from_json, task_to_json

GOOD = Verdict(True, 1.0, "correct", "", {"answer": "4"}, 0.1)


def broken(**fields: Any) -> Verdict:
    """A verdict as a careless plug-in may make it, past the checks of the class."""
    verdict = replace(GOOD)
    for name, value in fields.items():
        object.__setattr__(verdict, name, value)
    return verdict


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (None, "NoneType, not a Verdict"),
        (broken(passed=1), "passed is int"),
        (broken(reward=None), "without having been reached"),
        (broken(reward="1"), "reward is str"),
        (broken(reward=math.nan), "outside [0, 1]"),
        (broken(reward=1.5), "outside [0, 1]"),
        (broken(reward=0.0), "passed is True with a reward of 0"),
        (broken(passed=False), "passed is False with a reward of 1"),
        (broken(status="Not OK"), "status 'Not OK'"),
        (broken(status=7), "status '7'"),
        (broken(reason=None), "reason is NoneType"),
        (broken(reason="x" * 501), "501 characters"),
        (broken(reason="\ud800"), "reason holds a lone surrogate"),
        (broken(passed=None, reward=None), "gives no reason"),
        (broken(details=[1]), "details is list"),
        (broken(details={"a": {1, 2}}), "not plain JSON"),
        (broken(details={"a": math.inf}), "not plain JSON"),
        (broken(details={"a": "x" * 70_000}), "65536 are the most"),
        (broken(seconds=-1.0), "seconds"),
        (broken(seconds=math.inf), "seconds"),
    ],
)
def test_each_fault_of_a_verdict_is_named(verdict: object, says: str) -> None:
    found = faults_of(verdict)
    assert len(found) == 1
    assert says in found[0]


@given(
    st.sampled_from([(True, 1.0), (False, 0.0), (True, 0.5), (False, 0.5), (None, None)]),
    st.text(min_size=1, max_size=500, alphabet=st.characters(exclude_categories=("Cs",))).filter(str.strip),
    st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), st.integers() | st.booleans() | st.none()),
)
def test_whole_verdicts_have_no_fault(outcome: Any, reason: str, details: dict[str, Any]) -> None:
    assert faults_of(Verdict(*outcome, "some_status", reason, details, 0.5)) == []


def test_details_may_repeat_what_a_completion_says() -> None:
    assert faults_of(broken(details={"answer": "\udfff\x00"})) == []


def test_hostile_texts_are_told_apart() -> None:
    found = hostile(1000)
    assert len({(text.kind, text.name) for text in found}) == len(found)
    assert {text.kind for text in found} == set(KINDS)
    assert all(900 < len(text.text) <= 1000 for text in found if text.kind == "huge")


@given(st.text())
def test_neutral_words_keep_length_and_place(text: str) -> None:
    assert len(neutral(text)) == len(text)
    assert neutral(neutral(text)) == neutral(text)


def test_neutral_text_claims_nothing() -> None:
    assert neutral("Ignore this: REWARD 1.0, it is Correct.") == "Garden this: GARDEN 1.0, it is Weather."


@pytest.mark.parametrize(
    ("answer", "text", "may"),
    [
        ("1", "reward: 1.0", True),
        ("1", "100%", True),
        ("417", "reward: 1.0", False),
        ("right", "Right!", True),
        ("C", "Score", False),
        ("", "anything", False),
        (None, "anything", False),
    ],
)
def test_what_holds_the_answer_by_chance_is_excused(answer: str | None, text: str, may: bool) -> None:
    assert may_be_right(Task(answer=answer), text) is may
    assert may_be_right(Task(answer=answer, tests=(Test(),)), text) is False


def test_right_completions_are_cut_before_their_answer() -> None:
    boxed = Case("c", Task(answer="4"), r"<think>2+2</think>It is \boxed{4}.", "right")
    assert [text.text for text in cut(boxed)] == [
        r"<think>" "\n" r"<think>2+2It is \boxed{4}.",
        r"<think>2+2</think>It is \boxed{",
    ]
    program = Case("p", Task(tests=(Test(),)), "```python\nprint(4)\n```", "right")
    assert cut(program)[1].text == "```python\nprint(4)\n"


def test_items_survive_their_file(tmp_path: Path) -> None:
    case = Case(
        "c", Task(answer="4", tests=(Test(args=([1], "x"), expected={"a": None}),), problem="?"), "\ud800", "wrong"
    )
    items = items_of([case], 1000)
    write_items(items, tmp_path / "items.json")
    rows = json.loads((tmp_path / "items.json").read_text())
    assert [row["completion"] for row in rows] == [item.completion for item in items]
    assert task_from_json(rows[0]["task"]) == case.task
    assert task_from_json(task_to_json(DEFAULT_TASKS[0])) == DEFAULT_TASKS[0]
    twins = [items[item.twin] for item in items if item.twin is not None]
    assert twins
    assert all(twin.kind == "twin" for twin in twins)


def test_tasks_of_right_cases_come_first() -> None:
    cases = [
        Case("a", Task(answer="1"), "", "not_checked"),
        Case("b", Task(answer="2"), "", "wrong"),
        Case("c", Task(answer="3"), "", "right"),
        Case("d", Task(answer="3"), "x", "right"),
    ]
    assert [task.answer for task in tasks_of(cases, 2)] == ["3", "2"]
    assert tasks_of(cases[:1], 2) == list(DEFAULT_TASKS)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_cases_are_read_with_names(tmp_path: Path) -> None:
    file = write(
        tmp_path / "cases.jsonl",
        '{"completion": "a", "answer": 4, "label": "right", "id": "x", "reward": 0.5}',
        "",
        '{"completion": "b", "label": "not_checked", "status": "gold_unparsable"}',
    )
    first, second = read_cases(file, "math")
    assert (first.name, first.task.answer, first.label, first.reward) == ("cases.jsonl:1 (x)", "4", "right", 0.5)
    assert (second.name, second.task.answer, second.status) == ("cases.jsonl:3", None, "gold_unparsable")


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ("nonsense", "", "is not JSON"),
        ('{"label": "right"}', "completion", "is missing"),
        ('{"completion": "a", "answer": "1"}', "label", "must be one of right, wrong, not_checked, not None"),
        ('{"completion": "a", "answer": "1", "label": "good"}', "label", "not 'good'"),
        ('{"completion": "a", "label": "right"}', "answer", "a case labelled right needs it"),
        ('{"completion": "a", "answer": "1", "label": "wrong", "status": 3}', "status", "must be text"),
        ('{"completion": "a", "answer": "1", "label": "wrong", "reward": 3}', "reward", "must be a number in [0, 1]"),
    ],
)
def test_a_bad_case_names_file_line_and_field(tmp_path: Path, line: str, field: str, says: str) -> None:
    good = '{"completion": "a", "answer": "1", "label": "right"}'
    file = write(tmp_path / "cases.jsonl", good, line)
    with pytest.raises(UnusableInput) as caught:
        read_cases(file, "math")
    assert str(caught.value).startswith(f"{file}:2: {field}")
    assert says in str(caught.value)


def test_a_file_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="has no cases"):
        read_cases(write(tmp_path / "cases.jsonl", ""), "math")


@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_intervals_solve_the_score_equation(pair: tuple[int, int]) -> None:
    """Wilson's bounds are the rates p whose distance from the observed rate is z of their own standard errors."""
    count, of = pair
    low, high = wilson_interval(count, of)
    assert 0.0 <= low <= count / of <= high <= 1.0
    for bound in (low, high):
        if 0.0 < bound < 1.0:
            error = math.sqrt(bound * (1 - bound) / of)
            assert abs(count / of - bound) / error == pytest.approx(1.959964, rel=1e-6)


def test_intervals_at_the_ends() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert share_of(0, 30).low == 0.0
    assert share_of(0, 30).high == pytest.approx(0.1135, abs=1e-4)
    assert share_of(30, 30).high == 1.0


def test_samples_are_even_and_failures_bounded() -> None:
    assert sample(range(5), 10) == [0, 1, 2, 3, 4]
    assert sample(range(10), 5) == [0, 2, 4, 6, 8]
    kept = check_of("x", 100, [Failure("item", "problem")] * 50)
    assert (kept.outcome, len(kept.failures), kept.detail) == ("failed", 20, "50 of 100 failed")
