"""What the judge reads, and how strictly its answer is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.judge.prompt import RIGHT_OR_WRONG, ReplyUnreadable, question_of, score_of
from verifiers.model import Task

TASK = Task(problem="Which river flows through Vienna?", answer="the Danube")


@given(st.text())
def test_a_completion_cannot_close_its_block(completion: str) -> None:
    question = question_of(TASK, completion, RIGHT_OR_WRONG, 1)
    nonce = question.user.split()[1]
    clean = completion.encode("utf-8", "replace").decode()
    assert question.user.count(nonce) == 6
    assert question.user.endswith(f"<<<answer {nonce}\n{clean}\n{nonce} answer>>>")
    assert question.ticket not in question.user
    assert completion[:200] not in question.system or len(completion) < 60


def test_no_two_questions_share_a_nonce() -> None:
    asked = [question_of(TASK, "x", RIGHT_OR_WRONG, 1) for _ in range(50)]
    assert len({question.ticket for question in asked}) == len({question.user for question in asked}) == 50


def test_a_task_without_reference_names_none() -> None:
    question = question_of(Task(problem="Write a limerick."), "x", "Score how well it scans.", 5)
    assert "reference answer" not in question.system
    assert "<<<reference" not in question.user
    assert "from 0 to 5" in question.system
    assert "Score how well it scans." in question.system


@pytest.mark.parametrize("frame", ["{}", "\n {}\n", "```json\n{}\n```", "```\n{}\n```", "<think>hm</think>{}"])
def test_a_plain_answer_is_read(frame: str) -> None:
    row = json.dumps({"ticket": "ab", "score": 1, "reason": "as  the\nreference \ud800"})
    assert score_of(frame.format(row), "ab", 1) == (1, "as the reference ?")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("<think>{}", "not one JSON object"),
        ("yes", "not one JSON object"),
        ('Sure: {"ticket": "ab", "score": 1, "reason": ""}', "not one JSON object"),
        ('{"ticket": "ab", "score": 1, "reason": ""}{"ticket": "ab", "score": 1, "reason": ""}', "not one JSON"),
        ('{"ticket": "ab", "score": 0, "score": 1, "reason": ""}', "not one JSON object"),
        ('[{"ticket": "ab", "score": 1, "reason": ""}]', "fields are not"),
        ('{"ticket": "ab", "score": 1}', "fields are not"),
        ('{"ticket": "ab", "score": 1, "reason": "", "more": 1}', "fields are not"),
        ('{"ticket": "cd", "score": 1, "reason": ""}', "ticket is another"),
        ('{"ticket": "ab", "score": true, "reason": ""}', "no integer from 0 to 1"),
        ('{"ticket": "ab", "score": 1.0, "reason": ""}', "no integer from 0 to 1"),
        ('{"ticket": "ab", "score": "1", "reason": ""}', "no integer from 0 to 1"),
        ('{"ticket": "ab", "score": 2, "reason": ""}', "no integer from 0 to 1"),
        ('{"ticket": "ab", "score": -1, "reason": ""}', "no integer from 0 to 1"),
        ('{"ticket": "ab", "score": 1, "reason": null}', "reason is not text"),
        ('{"ticket": "ab", "score": 1, "reason": "' + "x" * 20_000 + '"}', "longer than 20000"),
        ("[" * 19_000, "not one JSON object"),
    ],
)
def test_anything_else_is_not_read(text: str, says: str) -> None:
    with pytest.raises(ReplyUnreadable, match=says):
        score_of(text, "ab", 1)


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5).map(json.dumps))
def test_no_text_is_read_without_the_ticket(text: str) -> None:
    with pytest.raises(ReplyUnreadable):
        score_of(text, "0123456789abcdef", 1)
