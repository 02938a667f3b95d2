"""The verifier that is a package of its own: its cases, its manners, and how it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from verifiers.conformance.cases import read_cases
from verifiers.conformance.kit import Settings, examine
from verifiers.model import Task
from verifiers.registry import load

PACKAGE = Path(__file__).resolve().parents[2] / "examples" / "json_answers"


def test_it_judges_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PACKAGE)
    import json_answers

    verifier = json_answers.JSONAnswers()
    for case in read_cases(str(PACKAGE / "cases.jsonl")):
        verdict = verifier.verify(case.task, case.completion)
        assert verdict.status == case.status, case
        assert verdict.passed is {"right": True, "wrong": False, "not_checked": None}[case.label]
    assert verifier.equal('{"a": [1, {"b": 2}]}', '{"a":[1.0,{"b":2e0}]}')
    assert not verifier.equal("[true]", "[1]")
    deep = "[" * 5_000
    for hostile in (deep, deep + "]" * 5_000, "9" * 30_000, "1e999999999999999999", '{"a":' * 2_000):
        assert not verifier.verify(Task(answer="1"), f"```json\n{hostile}\n```").passed
    assert verifier.verify(Task(answer=deep), "```json\n1\n```").passed is None


@pytest.mark.long
def test_an_installed_package_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = tmp_path / "source"
    source.mkdir()
    for file in PACKAGE.iterdir():
        if file.is_file():
            (source / file.name).write_bytes(file.read_bytes())
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(source)], check=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    verifier = load("json_answers")
    try:
        assert verifier.verify(Task(answer='{"a": 1}'), '```json\n{"a": 1.0}\n```').passed
    finally:
        verifier.close()
    report = examine("json_answers", {}, read_cases(str(PACKAGE / "cases.jsonl")), Settings(huge_chars=10_000))
    assert report.passed, [check for check in report.checks if check.outcome == "failed"]
