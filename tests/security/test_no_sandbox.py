"""On a host without a sandbox the security tests fail and say so; they are skipped only for those who know."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/sandbox/test_python.py::test_a_test_changes_the_priority_of_no_other",
    "tests/verifiers/programs/test_code_tests.py::test_standard_output",
    "tests/verifiers/test_jsonl.py",
)
HOST_WITHOUT = "import sandbox.open\nsandbox.open._candidates = lambda choice: iter(())\n"


def run_on_such_a_host(folder: Path, switch: str) -> subprocess.CompletedProcess[str]:
    (folder / "host_without.py").write_text(HOST_WITHOUT)
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "SELFPLAY_NO_SANDBOX": switch}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "host_without", "-p", "no:cacheprovider", *TESTS]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def progress(done: subprocess.CompletedProcess[str]) -> str:
    """One letter a test."""
    return done.stdout.split()[0]


@pytest.mark.parametrize("switch", [pytest.param("", marks=pytest.mark.long), "0"])
def test_they_fail_with_the_words_of_the_doctor(tmp_path: Path, switch: str) -> None:
    done = run_on_such_a_host(tmp_path, switch)
    assert done.returncode == 1
    assert "no sandbox works on this host" in done.stdout
    assert "or set SELFPLAY_NO_SANDBOX=1 to skip what needs a sandbox" in done.stdout
    assert "allow unprivileged user namespaces" in done.stdout
    assert "Traceback" not in done.stdout
    assert "s" not in progress(done)


def test_who_knows_it_skips_them_and_runs_the_rest(tmp_path: Path) -> None:
    done = run_on_such_a_host(tmp_path, "1")
    assert done.returncode == 0, done.stdout
    assert {"s", "."} <= set(progress(done))
