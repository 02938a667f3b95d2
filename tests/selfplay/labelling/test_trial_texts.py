"""Inputs and outputs of trials as texts, and tasks out of labels."""

from __future__ import annotations

import pytest

from selfplay.labelling import trial_texts
from selfplay.labelling.checker_writer import outcomes_of
from selfplay.labelling.tasks import counts_of
from selfplay.run.records import LabelledTask, WrittenChecker
from verifiers.model import Task, Test

PROGRAM, FUNCTION = Task(), Task(entry_point="solve")


def test_texts_are_equal_where_outputs_are() -> None:
    assert trial_texts.normal(PROGRAM, " 1  2\n3\n") == "1 2 3"
    assert trial_texts.normal(FUNCTION, '{"b": 1, "a": [1, 2]}') == '{"a":[1,2],"b":1}'
    assert trial_texts.normal(FUNCTION, "") == ""


def test_what_json_has_not_has_no_text() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert [trial_texts.of_value(one) for one in (float("nan"), {1, 2}, deep)] == ["", "", ""]


@pytest.mark.parametrize(
    ("task", "test"),
    [(PROGRAM, Test("1 2\n", "3")), (FUNCTION, Test(args=([1, 2], "x"), expected={"sum": 3}))],
)
def test_a_test_comes_back_from_its_texts(task: Task, test: Test) -> None:
    assert trial_texts.test_of(task, trial_texts.input_of(test), trial_texts.output_of(test)) == test


def test_arguments_are_a_list() -> None:
    assert trial_texts.arguments("[1,[2]]") == [1, [2]]
    with pytest.raises(ValueError, match="no list"):
        trial_texts.arguments('{"a":1}')


def labelled(dropped: str, correct: bool | None = None) -> LabelledTask:
    return LabelledTask("t", "p", "math", Task(answer="1"), 1.0, 1.0, dropped, correct)


def test_tasks_are_counted_by_what_became_of_them() -> None:
    tasks = [labelled("", True), labelled("", False), labelled("", None), labelled("label: tie (2)", True)]
    found = counts_of([*tasks, labelled("label: tie (3)"), labelled("difficulty: always solved")])
    assert found == {
        "tasks": 3,
        "lost": {"label: tie": 2, "difficulty: always solved": 1},
        "label_accuracy": 0.5,
        "measured": 2,
    }
    assert counts_of([])["label_accuracy"] is None


def test_checkers_are_counted_by_their_outcome() -> None:
    rows = [WrittenChecker("i", "p", 0, "", outcome, 0.0, 0.0) for outcome in ("refused: b", "accepted", "refused: b")]
    assert outcomes_of(rows) == {"accepted": 1, "refused: b": 2}
