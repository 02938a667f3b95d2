"""Runs of the small recipe in processes of their own, and where they are."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from selfplay.run.plan import read_plan
from tests.e2e.conftest import SMALL, command, environment

PATIENCE_S = 900.0
"""Long enough for a machine that does other things, too."""


class Session:
    """One `selfplay run`; what it says goes to a file."""

    def __init__(self, run: Path, *options: str | Path) -> None:
        self.run = run
        run.parent.mkdir(parents=True, exist_ok=True)
        self._said = run.with_name(f"{run.name}.stderr")
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                command("run", SMALL, "--run-dir", run, *options),
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    @property
    def goes_on(self) -> bool:
        """Whether the command has not ended."""
        return self.process.poll() is None

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Waits until something is so, or the command has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while self.goes_on and not condition():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def interrupt(self, how: signal.Signals) -> int:
        """Sends a signal; returns the exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    @property
    def said(self) -> str:
        """What it said so far."""
        return self._said.read_text()


def begin_at(finished: Path, run: Path, stage: str) -> None:
    """Copies a finished run as it was when a stage was about to begin, without the store."""
    names = read_plan(finished).names
    for name in names[: names.index(stage)]:
        shutil.copytree(finished / "stages" / name, run / "stages" / name)
    for name in ("recipe.json", "plan.json"):
        shutil.copy(finished / name, run)


def progress(run: Path) -> tuple[int, int, int]:
    """Grows whenever a run gets on: bytes of metrics, finished shards, finished stages."""
    metrics = run / "metrics.jsonl"
    shards, stages = run.glob("store/shards/*/*.parquet"), run.glob("stages/*/manifest.json")
    return (metrics.stat().st_size if metrics.exists() else 0, len(list(shards)), len(list(stages)))


def current_stage(run: Path) -> str:
    """The stage that a run is in, or was in when it ended."""
    try:
        return str(json.loads((run / "progress.json").read_text())["stage"])
    except (OSError, ValueError, KeyError):
        return ""
