"""`selfplay verifiers list` and `test`, as the author of a plug-in runs them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import command, environment
from verifiers.registry import _BUILT_IN

PLUGIN = '''
"""Rules about the last word."""

from verifiers.model import Task, Verdict
from verifiers.registry import verifier


@verifier("last-word")
def last_word(task, completion, ignore_case=False):
    """The last word is the answer."""
    words = completion.rpartition("</think>")[2].split()
    if "<think>" in completion and "</think>" not in completion:
        return False
    found, gold = (words or [""])[-1], task.answer or ""
    return found.casefold() == gold.casefold() if ignore_case else found == gold


class Echo:
    """Passes whatever asks for it."""

    name = "echo"

    def verify(self, task, completion):
        passed = "reward" in completion or completion.endswith(task.answer or "")
        return Verdict(passed, float(passed), "correct" if passed else "wrong")

    def verify_many(self, items):
        return [self.verify(task, completion) for task, completion in items]

    def close(self):
        pass
'''
ENTRY_POINTS = "[selfplay.verifiers]\nlast_word = last_word_rules:last_word\necho_rule = last_word_rules:Echo\n"
CASES = [
    {"answer": "Vienna", "completion": "<think>hm</think> It lies in Vienna", "label": "right"},
    {"answer": "Vienna", "completion": "It lies in Linz", "label": "wrong"},
    {"answer": "Vienna", "completion": "Vienna it is", "label": "wrong", "id": "word order"},
]


def wheel(folder: Path) -> Path:
    """A wheel as any build tool makes it: the module, its metadata and entry points, and a record with hashes."""
    info = "last_word_rules-1.2.dist-info"
    files = {
        "last_word_rules.py": PLUGIN,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: last-word-rules\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    path = folder / "last_word_rules-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the plug-in."""
    folder = tmp_path_factory.mktemp("plugin")
    built = wheel(folder)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(built)], check=True, capture_output=True, timeout=300)
    return folder / "site"


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in CASES))
    return path


def verifiers(*arguments: str | Path, site: Path | None = None, cwd: Path | None = None) -> Any:
    env = environment()
    if site is not None:
        env["PYTHONPATH"] += os.pathsep + str(site)
    return subprocess.run(
        command("verifiers", *arguments), cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def test_list_shows_what_is_built_in_and_what_is_installed(installed: Path) -> None:
    done = verifiers("list", "--json", site=installed)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {name for name, row in rows.items() if row["source"] == "built in"} == set(_BUILT_IN)
    assert rows["last_word"] == {
        "name": "last_word",
        "source": "last-word-rules 1.2",
        "path": "last_word_rules:last_word",
        "summary": "The last word is the answer.",
        "parameters": {"ignore_case": "False"},
        "fault": "",
    }
    assert rows["exact"]["source"] == "built in"
    shown = verifiers("list", site=installed)
    assert "last_word" in shown.stdout
    assert "ignore_case=False" in shown.stdout


def test_an_installed_verifier_conforms(installed: Path, cases: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = verifiers("test", "last_word", "--cases", cases, "--huge", "5000", "--json", report, site=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "last_word conforms" in done.stdout
    assert "false passes 0 of 2 (0.0% [0.0%, 65.8%])" in " ".join(done.stdout.split())
    row = json.loads(report.read_text())
    assert (row["passed"], row["verifier"], row["source"]) == (True, "last_word", "last-word-rules 1.2")
    assert row["agreement"]["false_fails"]["of"] == 1


def test_one_that_can_be_talked_to_does_not(installed: Path, cases: Path) -> None:
    done = verifiers("test", "last_word_rules:Echo", "--cases", cases, "--huge", "5000", site=installed)
    assert done.returncode == 1, done.stderr
    assert "does not conform" in done.stdout
    assert "injected: an order" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_decorated_function_in_the_working_folder(cases: Path, tmp_path: Path) -> None:
    (tmp_path / "own_rules.py").write_text(PLUGIN)
    parameters = ["--params", "ignore_case=true", "--huge", "5000"]
    done = verifiers("test", "own_rules:last-word", "--cases", cases, *parameters, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own_rules:last-word conforms" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["last_wrod"], "no verifier is called 'last_wrod'; did you mean last_word"),
        (["last_word", "--params", "case=1"], "does not take these parameters"),
        (["last_word", "--params", "nonsense"], "--params 'nonsense': must be key=value, or a mapping"),
        (["nowhere_at_all:thing"], "could not be loaded from nowhere_at_all:thing"),
        (["last_word", "--cases", "none.jsonl"], "none.jsonl: cannot be read (No such file"),
    ],
)
def test_mistakes_are_one_sentence(installed: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    done = verifiers("test", *arguments, site=installed, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_bad_case_names_file_line_and_field(installed: Path, cases: Path) -> None:
    cases.write_text(cases.read_text() + '{"answer": "x", "completion": "x", "label": "ok"}\n')
    done = verifiers("test", "last_word", "--cases", cases, site=installed)
    assert done.returncode == 2
    assert f"{cases}:4: label: must be one of right, wrong, not_checked, not 'ok'" in done.stderr
