"""Slips of those who begin: tests as mappings, a plug-in that prints or raises, a name that is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selfplay.cli.verify import verify
from verifiers import registry
from verifiers.model import Task, Test
from verifiers.plugins.guard import GuardedVerifier

RAW = """
import os

from verifiers.model import Verdict


class Raw:
    in_process = True
    name = "raw"

    def verify(self, task, completion):
        os.write(1, b"raw")
        return Verdict(True, 1.0, "correct")

    def verify_many(self, items):
        return [self.verify(*item) for item in items]

    def close(self):
        pass
"""


def test_tests_may_be_mappings_as_rows_have_them() -> None:
    given: Any = [{"input": "1", "output": "2"}, {"args": [1], "expected": 2}, Test("3", "4")]
    assert Task(tests=given).tests == (Test("1", "2"), Test(args=(1,), expected=2), Test("3", "4"))
    for wrong in ({"in": "1"}, "1"):
        with pytest.raises(TypeError, match="a mapping with some of input, output, args, expected"):
            Task(tests=[wrong])  # type: ignore[arg-type]


def test_tests_may_be_mappings_as_columns_of_one_type_have_them() -> None:
    """As exports of functions do: arguments and result are JSON texts, what is not there is null."""
    given: Any = [{"input": "", "output": "", "args": '[[1, 2], "x"]', "expected": '"3"'}]
    given += [{"input": "1", "output": "2", "args": None, "expected": None}, {"args": ["[1]"], "expected": "[1]"}]
    expected = (Test(args=([1, 2], "x"), expected="3"), Test("1", "2"), Test(args=("[1]",), expected="[1]"))
    assert Task(tests=given).tests == expected


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"input": 3}, "`input` of a test is a text, not 3"),
        ({"args": "[1", "expected": "1"}, r"where it is a text, and `expected` beside it are JSON, not '\[1' and '1'"),
        ({"args": "1", "expected": "1"}, "`args` of a test is a list of arguments, or its JSON text, not '1'"),
        ({"args": 7}, "`args` of a test is a list of arguments, or its JSON text, not 7"),
        ({"args": "[1]", "expected": "one"}, r"are JSON, not '\[1\]' and 'one'"),
    ],
)
def test_a_test_that_cannot_be_used_is_refused(wrong: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        Task(tests=[wrong])  # type: ignore[arg-type]


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    text = "print('loaded')\n\n\ndef judge(task, completion):\n    print('judging')\n    return True\n\n\n"
    (tmp_path / "noisy_rules.py").write_text(text + "def broken(task, completion):\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "noisy_rules", raising=False)
    return "noisy_rules"


def test_what_a_plug_in_prints_is_no_verdict(tmp_path: Path, noisy: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.jsonl").write_text('{"completion": "x"}\n')
    verify(tmp_path / "rows.jsonl", f"{noisy}:judge")
    shown = capfd.readouterr()
    [verdict] = [json.loads(line) for line in shown.out.splitlines()]
    assert verdict["passed"] is True
    assert "judging" in shown.err


def test_what_a_plug_in_writes_beneath_python_is_no_verdict_either(tmp_path: Path) -> None:
    """As a library in C does, within the process that prints the verdicts."""
    (tmp_path / "raw_rules.py").write_text(RAW)
    (tmp_path / "rows.jsonl").write_text('{"completion": "x"}\n')
    command = [sys.executable, "-m", "selfplay", "verify", "rows.jsonl", "--verifier", "raw_rules:Raw"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [json.loads(line)["passed"] for line in done.stdout.splitlines()] == [True]
    assert "raw" in done.stderr


def test_a_fault_names_its_line(tmp_path: Path, noisy: str) -> None:
    verdict = registry.load(f"{noisy}:broken").verify(Task(), "x")
    assert verdict.passed is None
    assert verdict.reason.endswith(f"ZeroDivisionError: division by zero ({tmp_path / 'noisy_rules.py'}, line 10)")


def test_a_name_that_is_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    taken = EntryPoint("exact", "theirs:Exact", registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: {"exact": taken})
    registry._say_what_is_hidden.cache_clear()
    with pytest.warns(UserWarning, match=r"offers a verifier 'exact' too \(theirs:Exact\)"):
        found = registry.load("exact")
    registry._say_what_is_hidden.cache_clear()
    assert isinstance(found, GuardedVerifier)
    assert type(found.inner).__name__ == "HostedAnswers"
