"""Ids by content: draws are made by them, so that they stay as they were for labels of the first kinds."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from selfplay.run.seeding import content_id, task_id
from verifiers.model import Task, Test

ONE, TWO = Test("1\n", "it's"), Test("2", "é")


@pytest.mark.parametrize(
    ("task", "tests"),
    [
        (Task("p", "4"), "()"),
        (Task("p", None, (ONE,)), "(TestCase(input='1\\n', output=\"it's\"),)"),
        (Task("q", None, (ONE, TWO)), "(TestCase(input='1\\n', output=\"it's\"), TestCase(input='2', output='é'))"),
    ],
)
def test_answers_and_outputs_have_the_ids_that_they_always_had(task: Task, tests: str) -> None:
    assert task_id("prompt", task) == content_id("task", "prompt", task.answer, tests)


def test_every_part_of_a_label_makes_another_task() -> None:
    call = Test(args=(1,), expected=2)
    plain = Task("p", None, (call,), entry_point="f")
    others = {
        "answer": "4",
        "tests": (Test(args=(1,), expected="2"),),
        "entry_point": "g",
        "language": "cpp",
        "time_limit_s": 1.0,
        "memory_mb": 64,
        "float_tolerance": 0.1,
        "tolerance_kind": "absolute",
        "comparison": "lines",
        "checker": "exit(0)",
    }
    assert set(others) == {field.name for field in dataclasses.fields(Task)} - {"problem"}
    ids = [task_id("p", dataclasses.replace(plain, **{name: value})) for name, value in others.items()]
    assert len({task_id("p", plain), *ids}) == len(ids) + 1
    assert task_id("p", plain) != task_id("q", plain)


def test_an_id_is_that_of_any_text_and_the_same_for_ever() -> None:
    assert content_id("a", 1) == hashlib.sha256(b"a\x1f1").hexdigest()[:16]
    assert content_id("half \ud800") == hashlib.sha256(b"half \xed\xa0\x80").hexdigest()[:16]
