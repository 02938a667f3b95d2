"""Judging a file of rows: order, formats, and complaints that say where."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from verifiers.jsonl import UnusableInput, read_rows, verify_file


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def judged(name: str, path: Path) -> list[dict[str, Any]]:
    out = io.StringIO()
    count = verify_file(name, path, out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(rows) == count
    return rows


def test_math_rows_in_order(tmp_path: Path) -> None:
    rows: list[Any] = [{"id": n, "completion": f"\\boxed{{{n}}}", "answer": str(n % 3)} for n in range(150)]
    found = judged("math", write(tmp_path / "rows.jsonl", [*rows, "", {"completion": "x", "answer": "0/0"}]))
    assert [row["id"] for row in found] == [*range(150), None]
    assert [row["passed"] for row in found[:4]] == [True, True, True, False]
    assert set(found[0]) == {"id", "passed", "reward", "status", "reason", "seconds"}
    assert (found[-1]["passed"], found[-1]["reward"], found[-1]["status"]) == (None, None, "gold_unparsable")


def test_a_number_as_answer_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"completion": "\\boxed{0.5}", "answer": 0.5}])
    assert judged("math", path)[0]["passed"] is True


@pytest.mark.usefixtures("needs_sandbox")
def test_code_rows(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "completion": "```python\nprint(input())\n```", "tests": [{"input": "1", "output": "1"}]},
        {
            "id": "b",
            "completion": "```python\ndef f(x):\n    return x / 3\n```",
            "entry_point": "f",
            "tests": [{"args": [1], "expected": 0.333333}],
            "float_tolerance": 1e-5,
            "time_limit_s": 2,
            "memory_mb": 256,
        },
        {"id": "c", "completion": "none", "tests": [{"input": "", "output": ""}]},
        {
            "id": "d",
            "completion": "```python\nprint(2.1)\nprint(1)\n```",
            "tests": [{"input": "", "output": "1\n2\n"}],
            "comparison": "any_order",
            "float_tolerance": 0.2,
            "tolerance_kind": "absolute",
        },
    ]
    found = judged("code", write(tmp_path / "rows.jsonl", rows))
    assert [(row["id"], row["status"]) for row in found] == [
        ("a", "accepted"),
        ("b", "accepted"),
        ("c", "no_answer"),
        ("d", "accepted"),
    ]


GOOD = {"completion": "\\boxed{1}", "answer": "1"}
TEST = {"input": "", "output": ""}


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("math", "{not json", r"rows.jsonl:2: is not JSON .*; write one JSON object a line"),
        ("math", [1], r"rows.jsonl:2: is not a JSON object"),
        ("math", {"answer": "1"}, r"rows.jsonl:2: completion: is missing"),
        ("math", {"completion": 5, "answer": "1"}, r":2: completion: must be text, not int"),
        ("code", {"completion": "x", "tests": [TEST], "comparison": "odd"}, r":2: comparison: must be one of tokens,"),
        (
            "code",
            {"completion": "x", "tests": [TEST], "tolerance_kind": 3},
            r":2: tolerance_kind: must be text, not int",
        ),
        ("math", {"completion": "x"}, r":2: answer: is missing, and verifier math needs it; give it under this name"),
        ("math", {"completion": "x", "answer": ["1"]}, r":2: answer: must be text or a number, not list"),
        ("code", {"completion": "x"}, r":2: tests: is missing"),
        ("code", {"completion": "x", "tests": []}, r":2: tests: must be a list with at least one"),
        (
            "code",
            {"completion": "x", "tests": [TEST, {"input": "1"}]},
            r":2: tests\[1\].output: must be text",
        ),
        (
            "code",
            {"completion": "x", "entry_point": "f", "tests": [{"expected": 1}]},
            r"tests\[0\].args: must",
        ),
        ("code", {"completion": "x", "tests": [TEST], "language": "cobol"}, r"language: must be one of"),
        ("code", {"completion": "x", "tests": [TEST], "time_limit_s": 0}, r"time_limit_s: must be more"),
        ("code", {"completion": "x", "tests": [TEST], "memory_mb": "big"}, r"memory_mb: must be a number"),
    ],
)
def test_an_unusable_row_is_named_before_anything_is_judged(tmp_path: Path, name: str, row: Any, message: str) -> None:
    first = GOOD if name == "math" else {"completion": "x", "tests": [TEST]}
    path = write(tmp_path / "rows.jsonl", [first, row])
    out = io.StringIO()
    with pytest.raises(UnusableInput, match=message) as caught:
        verify_file(name, path, out)
    assert caught.value.line == 2
    assert out.getvalue() == ""


def test_a_missing_file_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="No such file"):
        verify_file("math", tmp_path / "none.jsonl", io.StringIO())
    (tmp_path / "latin.jsonl").write_bytes(b'{"completion": "\xe9"}\n')
    with pytest.raises(UnusableInput, match="UTF-8"):
        verify_file("math", tmp_path / "latin.jsonl", io.StringIO())


def test_a_lone_surrogate_is_written_as_its_escape(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"id": "\udcff", "completion": "\ud800", "answer": "é"}])
    out = io.StringIO()
    verify_file("exact", path, out)
    assert out.getvalue().encode().startswith(b'{"id": "\\udcff"')
    assert json.loads(out.getvalue())["id"] == "\udcff"


def test_rows_are_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ["", {"completion": "x", "answer": 4, "problem": "2 + 2?", "more": [1]}])
    [row] = read_rows(path)
    assert (row.line, row.task.answer, row.task.problem, row.completion, row.fields["more"]) == (
        2,
        "4",
        "2 + 2?",
        "x",
        [1],
    )


def test_rows_that_call_their_answers_otherwise_are_told_of(tmp_path: Path) -> None:
    """A verifier of one's own would find them all wrong; one that judges form needs no task."""
    heard: list[str] = []
    for first in ({"gold": "4"}, {"prompt": "2 + 2?"}, {"gold": "4", "answer": "4"}):
        (tmp_path / "rows.jsonl").write_text(json.dumps(first | {"completion": "it is 4"}) + "\n")
        verify_file("format", tmp_path / "rows.jsonl", io.StringIO(), tell=heard.append)
    assert len(heard) == 1
    assert (
        "rows.jsonl: no row has a field of a task, and no verifier reads gold; a right answer is called `answer`"
        in heard[0]
    )
