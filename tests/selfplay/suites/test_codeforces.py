"""The authors' contest problems: their rows as released, the names that a rating needs, and rows that are damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.suites.load import load_suite
from selfplay.suites.rows import SuiteError

TURNS = (
    "<|im_start|>user\nAdd two numbers.\n\nRead the inputs from stdin.\n\n<|im_end|>\n<|im_start|>assistant\n<think>\n"
)


def row(**fields: Any) -> dict[str, Any]:
    return {"prompt": TURNS, "input_output": json.dumps({"inputs": ["1 2", "3 4"], "outputs": ["3", "7"]})} | fields


def downloaded(folder: Path, *rows: dict[str, Any]) -> Path:
    text = "".join(json.dumps(one) + "\n" for one in rows)
    (folder / "promptcot2_codeforces_test.jsonl").write_text(text)
    return folder


def test_a_row_is_a_program_to_write(tmp_path: Path) -> None:
    suite = load_suite("codeforces", downloaded(tmp_path, row()), incomplete=True)
    task = suite.problems[0].task
    assert task.problem == "Add two numbers.\n\nRead the inputs from stdin."
    assert [(test.input, test.output) for test in task.tests] == [("1 2", "3"), ("3 4", "7")]
    assert suite.prompts == ("{problem}",)
    assert suite.wording == "as released"
    assert suite.solving.runs_programs
    assert suite.note == "1 of 408 published problems"


def test_problems_are_named_by_contest_and_index_where_rows_say_it(tmp_path: Path) -> None:
    rows = (row(id="1971/A"), row(contest_id=1971, index="B"), row(problem_id="1971C"), row())
    suite = load_suite("codeforces", downloaded(tmp_path, *rows), incomplete=True)
    assert [one.source for one in suite.problems] == ["1971/A", "1971/B", "1971C", "3"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": None}, r"line 1: has no text in `prompt` or `problem`; it has input_output, prompt"),
        ({"prompt": "<|im_start|>user\n<|im_end|>"}, "`prompt` has nothing in the user's turn"),
        ({"input_output": '{"inputs": ["1"'}, "line 1: `input_output` "),
        ({"input_output": None}, "must have as many texts in `outputs` as in `inputs`"),
        ({"input_output": {"inputs": ["1"], "outputs": []}}, "must have as many texts in `outputs` as in `inputs`"),
        ({"input_output": {"inputs": [], "outputs": []}}, "one or more"),
        ({"input_output": {"inputs": ["1"], "outputs": [3]}}, "must have as many texts"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(SuiteError, match=says):
        load_suite("codeforces", downloaded(tmp_path, row(**fields)), incomplete=True)


def test_it_is_on_no_hub() -> None:
    with pytest.raises(SuiteError, match=r"codeforces: is on no hub; download data/promptcot2_.* with --data"):
        load_suite("codeforces", None)
