"""Runs the command line as a user does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.yaml")


def command(*arguments: str | Path) -> list[str]:
    """The `selfplay` command of this checkout."""
    return [sys.executable, "-m", "selfplay", *map(str, arguments)]


def environment() -> dict[str, str]:
    """The environment of a user with no network: nothing may be asked of a hub."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def selfplay(*arguments: str | Path, cwd: Path = ROOT, timeout: float = 500) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )


def products(run: Path) -> dict[str, str]:
    """A hash of every table and of all weights that the stages made, by path."""
    found = {}
    for file in sorted((run / "stages").rglob("*")):
        name = str(file.relative_to(run))
        if file.suffix == ".parquet":
            found[name] = hashlib.sha256(str(pq.read_table(file).to_pylist()).encode()).hexdigest()
        elif file.suffix == ".safetensors":
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, needs_sandbox: None) -> Path:
    """A small run that was never interrupted."""
    run = tmp_path_factory.mktemp("finished") / "run"
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    (run / "stdout.txt").write_text(done.stdout)
    return run


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sums as a user's suite."""
    file = tmp_path_factory.mktemp("suite") / "sums.jsonl"
    rows = [{"id": f"s{n}", "problem": f"Tom has {n} apples and gets {n}.", "answer": str(2 * n)} for n in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="session")
def other_arm(finished: Path, suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run by another rule, on two workers at once, and measured on a suite; its other stages are taken."""
    run = tmp_path_factory.mktemp("other_arm") / "run"
    suites = {"own": [{"name": "sums", "file": str(suite)}], "samples": 2, "sampling": {"max_new_tokens": 32}}
    settings = ["training.algorithm=dpo", "training.rounds=1", "compute.workers=2"]
    measured = f"evaluation.suites={json.dumps(suites)}"
    done = selfplay("run", SMALL, *settings, measured, "--run-dir", run, "--reuse", finished)
    assert done.returncode == 0, done.stderr
    return run
