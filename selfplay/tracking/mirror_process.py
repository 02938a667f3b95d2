"""The driver's side of a mirror: starts it, hears what it says, and ends it after a bounded wait."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

from sandbox.process.child import Child, ChildGone
from selfplay.tracking.metric_log import line_count

MIRROR_LOG = "mirrors.log"
PATIENCE_S = 40.0
"""Longest wait for a mirror at the end of a run; a tracker's own wait for its server is shorter."""
RETRY_S = 600.0
"""Pause before a tracker that failed is tried again."""
_LAST_S = 2.0


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

    def _start(self, lines_before: int) -> Child:
        with (self._run_path / MIRROR_LOG).open("ab") as log:
            # It has the last lines to pass on when the run has ended, however that went.
            return Child(
                "selfplay.tracking.mirror", (self._run_path, self._sink, lines_before), stderr=log, outlives=True
            )

    def _listen(self) -> None:
        while True:
            self._hear(self._process)
            if self._ending.wait(RETRY_S):
                return
            with self._starting:
                if self._ending.is_set():
                    return
                self._process.close()
                try:
                    # The server may have what this session wrote until now.
                    self._process = self._start(line_count(self._run_path))
                except OSError:
                    # No room for its log, say; the run itself will tell of that.
                    return

    def _hear(self, process: Child) -> None:
        """Passes on what a process says until it ends."""
        finished = False
        with contextlib.suppress(ChildGone):
            while True:
                line = process.line()
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
        # It may have ended already, and said why.
        with contextlib.suppress(ChildGone):
            self._process.write(b"failed\n" if failed else b"ended\n")
        self._process.end(PATIENCE_S)
        self._listener.join(_LAST_S)
        if not self._listener.is_alive():
            self._process.close()


def remedy(run_path: Path, sink: str) -> str:
    """The command that sends the missing rest later."""
    if sink == "wandb":
        return f"`selfplay track sync {run_path}` uploads the rest"
    return "the same command sends the rest"
