"""`RUN/progress.json`: where a run is at this moment, for those who look from another terminal."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from selfplay.config.values.secrets import struck
from selfplay.run.files import RunError, read_json

FILE = "progress.json"
INTERVAL_S = 1.0
"""Least time between two writings."""
RECENT_S = 120.0
"""How far back the rate looks."""


class ProgressFile:
    """Written at most once a second, and not flushed to disk: after a power cut nobody needs it."""

    def __init__(self, run_path: Path) -> None:
        self._file = run_path / FILE
        self._content: dict[str, Any] = {}
        self._recent: deque[tuple[float, int]] = deque()
        self._written = float("-inf")

    def stage(self, name: str, index: int, stages: int) -> None:
        """A stage begins."""
        self._content = {"stage": name, "index": index, "stages": stages, "stage_began": time.time()}
        self._write()

    def begin(self, work: str, total: int | None) -> None:
        """A piece of work begins."""
        self._content |= {"work": work, "total": total, "done": 0, "pieces": 0, "work_began": time.time(), "rate": None}
        self._recent.clear()
        self._write()

    def advance(self, count: int) -> None:
        """Some of it is done. What is told of first counts for nothing in the rate: earlier sessions have done it."""
        if "done" not in self._content:
            return
        now = time.monotonic()
        self._content["done"] += count
        # Shards: endpoints answer one by one, and what was found done comes first, all at once.
        self._content["pieces"] += bool(self._recent) and count > 1
        self._recent.append((now, self._content["done"]))
        while len(self._recent) > 2 and now - self._recent[0][0] > RECENT_S:
            self._recent.popleft()
        (began, before) = self._recent[0]
        if now - began >= INTERVAL_S:
            self._content["rate"] = (self._content["done"] - before) / (now - began)
        if now - self._written >= INTERVAL_S or self._content["done"] == self._content["total"]:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        # Whether others can look on is no reason to stop: a disk that is full stops the run where it matters.
        with contextlib.suppress(OSError):
            _put(self._file, self._content)


def note_ending(run_path: Path, why: str) -> None:
    """Leaves the sentence that a session ended with, for those who look from elsewhere, until the next one goes on."""
    file = run_path / FILE
    try:
        known = read_json(file)
    except RunError:
        known = {}
    content = known | {"ended": struck(why)}
    try:
        _put(file, content)
    except OSError:
        # A disk that is full has no room for one more file, but where this one is.
        with contextlib.suppress(OSError), file.open("r+", encoding="utf-8") as open_file:
            open_file.write(json.dumps(content))
            open_file.truncate()


def _put(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_name(f".{FILE}.partial")
    partial.write_text(struck(json.dumps(content | {"written": time.time()})), encoding="utf-8")
    partial.replace(file)
