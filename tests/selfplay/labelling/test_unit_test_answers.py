"""Tests as models write them: read strictly, and never evaluated."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.engines.base import Sample
from selfplay.labelling.unit_test_answers import LONGEST_ANSWER, LONGEST_TEXT, WrittenTest, read_unit_test
from selfplay.labelling.unit_tests import read_unit_tests
from tests.verifiers.pool.hostile_pool import hostile_readers

read = read_unit_test


@pytest.mark.parametrize(
    "text",
    [
        '{"input": "1 2\\n", "output": "3"}',
        '{"output": "3", "input": "1 2\\n"}',
        'Let me think.\n```json\n{ "input" : "1 2\\n", "output": "3" }\n```\nDone.',
        '<think>{"input": "no", "output": "no"}</think>{"input": "1 2\\n", "output": "3"}',
        'As in {"input": "0", "output": "0"}, but larger: {"input": "1 2\\n", "output": "3"}',
    ],
)
def test_a_test(text: str) -> None:
    assert read(text) == WrittenTest("1 2\n", "3")


def test_a_program_may_read_nothing() -> None:
    assert read('{"input": "", "output": "7"}') == WrittenTest("", "7")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no test"),
        ("input: 1, output: 2", "no test"),
        ('{"input": "1"}', "a test without both input and output, or with more"),
        ('{"input": "1", "output": "2", "kind": "x"}', "a test without both input and output, or with more"),
        ('{"input": "1", "output": "2", "output": "3"}', "a broken test"),
        ('{"input": "1", "output": "2"', "a broken test"),
        ('{"input": "1\n2", "output": "2"}', "a broken test"),
        ("{'input': '1', 'output': '2'}", "no test"),
        ('{"input": "1" * 9, "output": "2"}', "a broken test"),
        ('{"input": 1, "output": "2"}', "an input that is no text"),
        ('{"input": "1", "output": ["2"]}', "an output that is no text"),
        ('{"input": "1", "output": " \\n"}', "an empty output"),
        ('{"input": "\\u0000", "output": "2"}', "an input with control characters"),
        ('{"input": "\\ud800", "output": "2"}', "an input that is no valid text"),
        ("<think>and so on", "the thinking never ends"),
        ('{"input": ' + "[" * 100_000, "a broken test"),
        ('{"input": "1", "output": "' + "9" * (LONGEST_TEXT + 1) + '"}', "an output too long"),
        ("x" * (LONGEST_ANSWER + 1), "too long"),
    ],
)
def test_what_is_none(text: str, fault: str) -> None:
    assert read(text).fault == fault


def test_half_an_answer_is_none_and_one_that_cannot_be_read_costs_itself_alone() -> None:
    whole = '{"input": "1", "output": "é\\ud83d\\ude00"}'
    texts = [whole, "fault: crash", '{"args": [1], "expected": null}']
    samples = [*(Sample(text, (), True) for text in texts), Sample(whole, (), False)]
    with hostile_readers():
        found = read_unit_tests(samples, [False, False, True, False])
    assert found[0] == WrittenTest("1", "é😀")
    assert found[2] == WrittenTest("[1]", "null")
    assert [one.fault for one in found] == ["", "not read in time", "", "cut at the token limit"]


PIECES = st.sampled_from(
    [
        '{"input"',
        ":",
        '"',
        "\\",
        "{",
        "}",
        "[",
        ",",
        '"output"',
        "1",
        " ",
        "\n",
        "\x00",
        "\ud800",
        "</think>",
        "```",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=300))
def test_garbage_is_read_without_a_fault_of_ours(text: str) -> None:
    found = read(text)
    assert bool(found.fault) != bool(found.output.strip())


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=60))
def test_what_was_written_comes_back(given_input: str, output: str, before: str) -> None:
    found = read(before.replace("<", "") + json.dumps({"input": given_input, "output": output}))
    assert found.fault or (found.input, found.output) == (given_input, output)


def test_a_long_answer_costs_little() -> None:
    text = ('{"input": ' * (LONGEST_ANSWER // 10))[:LONGEST_ANSWER]
    begun = time.process_time()
    assert read(text).fault == "a broken test"
    assert time.process_time() - begun < 2
