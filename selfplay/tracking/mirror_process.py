"""The driver's side of a mirror: starts it, hears what it says, and ends it after a bounded wait."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from selfplay.tracking.metric_log import line_count

MIRROR_LOG = "mirrors.log"
PATIENCE_S = 40.0
"""Longest wait for a mirror at the end of a run; a tracker's own wait for its server is shorter."""
RETRY_S = 600.0
"""Pause before a tracker that failed is tried again."""
PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class MirrorProcess:
    """Copies a run's files to one tracker, by a process; `lines_before` is what `metrics.jsonl` has already.

    Where the tracker fails, that is said once, and another process tries again while the run goes on.
    """

    def __init__(self, run_path: Path, sink: str, lines_before: int, say: Callable[[str], None]) -> None:
        self._run_path = run_path
        self._sink = sink
        self._say = say
        self._said = False
        self._ending = threading.Event()
        # Held while a process is started, so that the end of the run does not miss it.
        self._starting = threading.Lock()
        self._process = self._start(lines_before)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _start(self, lines_before: int) -> subprocess.Popen[bytes]:
        known = os.environ.get("PYTHONPATH")
        environment = os.environ | {"PYTHONPATH": PACKAGE_PARENT + (os.pathsep + known if known else "")}
        with (self._run_path / MIRROR_LOG).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "selfplay.tracking.mirror", str(self._run_path), self._sink, str(lines_before)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                # Ctrl-C is for the run; the mirror then has the last lines to pass on.
                start_new_session=True,
            )

    def _listen(self) -> None:
        while True:
            self._hear(self._process)
            if self._ending.wait(RETRY_S):
                return
            with self._starting:
                if self._ending.is_set():
                    return
                _reap(self._process)
                try:
                    # The server may have what this session wrote until now.
                    self._process = self._start(line_count(self._run_path))
                except OSError:
                    # No room for its log, say; the run itself will tell of that.
                    return

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """Passes on what a process says until it ends."""
        assert process.stdout is not None
        finished = False
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if "say" in told:
                self._tell(told["say"])
            finished = finished or "finished" in told
        if not finished:
            self._tell(
                f"{self._sink}: the copy is not complete (see {self._run_path / MIRROR_LOG}); "
                f"the run keeps everything, and {remedy(self._run_path, self._sink)}"
            )

    def _tell(self, sentence: str) -> None:
        if not self._said:
            self._said = True
            again = (
                ""
                if self._ending.is_set()
                else f"; it is tried again every {RETRY_S / 60:g} minutes while the run goes on"
            )
            self._say(sentence + again)

    def close(self, failed: bool) -> None:
        """Has the mirror pass on the last lines and end."""
        with self._starting:
            self._ending.set()
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


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Takes leave of a process that has ended."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        # What could not be written to it does not matter any more.
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def remedy(run_path: Path, sink: str) -> str:
    """What sends the missing rest later."""
    if sink == "wandb":
        return f"`selfplay track sync {run_path}` uploads the rest"
    return "the same command sends the rest"
