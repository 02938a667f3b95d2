"""LiveCodeBench's rows as they are released, windows of dates, and its way of comparing."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.suites.catalogue import PRELUDE
from selfplay.suites.load import load_suite
from selfplay.suites.rows import SuiteError
from verifiers.programs import CodeVerifier
from verifiers.programs.comparison import same_output


def row(number: int, day: str, **changed: Any) -> dict[str, Any]:
    hidden = json.dumps([{"input": "3 4\n", "output": "7\n", "testtype": "stdin"}])
    return {
        "question_title": f"Sum {number}",
        "question_content": "Print the sum of two numbers.",
        "platform": "atcoder",
        "question_id": f"abc{number}_a",
        "contest_id": f"abc{number}",
        "contest_date": f"{day}T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
        "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(hidden))).decode(),
        "metadata": "{}",
    } | changed


def of_function(number: int, day: str) -> dict[str, Any]:
    tests = [{"input": "[1, 2]\n3", "output": "[4, 5]", "testtype": "functional"}]
    starter = "class Solution:\n    def add(self, values: List[int], more: int) -> List[int]:\n        "
    return row(
        number,
        day,
        starter_code=starter,
        public_test_cases=json.dumps(tests),
        private_test_cases=json.dumps(tests),
        metadata='{"func_name": "add"}',
    )


def folder(path: Path, rows: list[dict[str, Any]]) -> Path:
    inside = path / "code_generation_lite"
    inside.mkdir()
    (inside / "test.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows[:1]))
    (inside / "test2.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows[1:]))
    return path


def test_a_window_takes_the_contests_of_its_days(tmp_path: Path) -> None:
    days = ["2024-07-31", "2024-08-01", "2025-02-01", "2025-02-02"]
    data = folder(tmp_path, [row(number, day) for number, day in enumerate(days)])
    suite = load_suite("livecodebench:2024-08-01..2025-02-01", data)
    assert [one.source for one in suite.problems] == ["abc1_a", "abc2_a"]
    assert len(load_suite("livecodebench", data).problems) == 4
    # Windows do not overlap: what is called v5 ends where v6 begins.
    for name, count in (("v5", "1 of 279"), ("v6", "2 of 131")):
        with pytest.raises(SuiteError, match=f"has {count} published problems"):
            load_suite(f"livecodebench-{name}", data)


def test_one_file_serves_every_window(tmp_path: Path) -> None:
    (tmp_path / "livecodebench.jsonl").write_text(json.dumps(row(1, "2024-09-01")) + "\n")
    assert len(load_suite("livecodebench:2024-08-01..2025-02-01", tmp_path).problems) == 1


def test_problems_that_a_later_release_brought_are_not_those_of_v5(tmp_path: Path) -> None:
    data = folder(tmp_path, [row(0, "2025-01-04"), row(1, "2025-01-04")])
    (data / "code_generation_lite" / "test6.jsonl").write_text(json.dumps(row(2, "2025-01-20")) + "\n")
    assert [one.source for one in load_suite("livecodebench-v5", data, incomplete=True).problems] == [
        "abc0_a",
        "abc1_a",
    ]
    assert len(load_suite("livecodebench:2025-01-01..2025-01-31", data).problems) == 3


def test_both_kinds_of_tests_are_read(tmp_path: Path) -> None:
    data = folder(tmp_path, [row(1, "2024-09-01"), of_function(2, "2024-09-01")])
    stdin, function = (one.task for one in load_suite("livecodebench", data).problems)
    assert [(test.input, test.output) for test in stdin.tests] == [("1 2\n", "3\n"), ("3 4\n", "7\n")]
    assert function.entry_point == "add"
    assert function.tests[0].args == ([1, 2], 3)
    assert function.tests[0].expected == [4, 5]
    assert "class Solution" in function.problem


@pytest.mark.usefixtures("needs_sandbox")
def test_a_starter_needs_no_imports(tmp_path: Path) -> None:
    task = load_suite("livecodebench", folder(tmp_path, [of_function(2, "2024-09-01")])).problems[0].task
    program = "class Solution:\n    def add(self, values: List[int], more: int) -> List[int]:\n        "
    right, wrong = ("```python\n" + program + f"return [one {sign} more for one in values]\n```" for sign in "+-")
    with_imports = CodeVerifier(workers=1, prelude=PRELUDE)
    without = CodeVerifier(workers=1)
    try:
        assert [one.status for one in with_imports.verify_many([(task, right), (task, wrong)])] == [
            "accepted",
            "wrong_answer",
        ]
        assert without.verify(task, right).status == "runtime_error"
        assert with_imports.fingerprint != without.fingerprint
    finally:
        with_imports.close()
        without.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps([1]))).decode()}, "is a pickle"),
        ({"private_test_cases": "AAAA"}, "`private_test_cases` is not base64 of zlib"),
        ({"public_test_cases": "[1]"}, "must hold a JSON list of tests"),
        ({"public_test_cases": '[{"testtype": ["stdin"]}]'}, r"of the kinds \[\"\['stdin'\]\""),
        ({"public_test_cases": "[{"}, "`public_test_cases` is not JSON"),
        ({"contest_date": "yesterday"}, "`contest_date` must be a date"),
        ({"question_content": None}, "`question_content` must be a text"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    data = folder(tmp_path, [row(1, "2024-09-01"), row(2, "2024-09-01", **changed)])
    with pytest.raises(SuiteError, match=says) as told:
        load_suite("livecodebench:2024-01-01..2025-01-01", data)
    assert "test2.jsonl, line 1" in str(told.value)


def by_the_authors_rules(actual: str, expected: str) -> bool:
    """Written from the published checker's rules, without ours: lines stripped, then exact decimals token by token."""
    first, second = (text.strip().split("\n") for text in (actual, expected))
    if len(first) != len(second):
        return False
    for mine, theirs in zip(first, second, strict=True):
        if mine.strip() == theirs.strip():
            continue
        try:
            if [Decimal(word) for word in mine.split()] != [Decimal(word) for word in theirs.split()]:
                return False
        except InvalidOperation:
            return False
    return True


words = st.sampled_from(["1", "1.0", "1e0", "2.50", "2.5", "-0", "0", "a", "A", "007", "7", "yes", "NO"])
texts = st.lists(st.lists(words, max_size=3).map(" ".join), max_size=3).map("\n".join)


@given(actual=texts, expected=texts, end=st.sampled_from(["", "\n", " \n", "\n\n"]))
def test_outputs_are_compared_as_the_authors_do(actual: str, expected: str, end: str) -> None:
    assert same_output(actual + end, expected, "decimal_lines") == by_the_authors_rules(actual + end, expected)
