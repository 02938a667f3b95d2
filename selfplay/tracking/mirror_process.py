"""The driver's side of a mirror: starts it, hears what it says, and ends it after a bounded wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

MIRROR_LOG = "mirrors.log"
PATIENCE_S = 40.0
"""Longest wait for a mirror at the end of a run; a tracker's own wait for its server is shorter."""
PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class MirrorProcess:
    """One process that copies a run's files to one tracker; `lines_before` is what `metrics.jsonl` has already."""

    def __init__(self, run_path: Path, sink: str, lines_before: int, say: Callable[[str], None]) -> None:
        self._run_path = run_path
        self._sink = sink
        self._say = say
        self._finished = False
        known = os.environ.get("PYTHONPATH")
        environment = os.environ | {"PYTHONPATH": PACKAGE_PARENT + (os.pathsep + known if known else "")}
        with (run_path / MIRROR_LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "selfplay.tracking.mirror", str(run_path), sink, str(lines_before)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                # Ctrl-C is for the run; the mirror then has the last lines to pass on.
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "say" in said:
                self._say(said["say"])
            self._finished = self._finished or "finished" in said
        if not self._finished:
            self._say(
                f"{self._sink}: the copy is not complete (see {self._run_path / MIRROR_LOG}); "
                f"the run keeps everything, and {remedy(self._run_path, self._sink)}"
            )

    def close(self, failed: bool) -> None:
        """Has the mirror pass on the last lines and end."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write(b"failed\n" if failed else b"ended\n")
            self._process.stdin.close()
        except BrokenPipeError:
            # It has ended already, and said why.
            self._process.stdin = None
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # wandb's own process holds the pipe a moment longer.
        self._listener.join(2.0)


def remedy(run_path: Path, sink: str) -> str:
    """What sends the missing rest later."""
    if sink == "wandb":
        return f"`selfplay track sync {run_path}` uploads the rest"
    return "the same command sends the rest"
