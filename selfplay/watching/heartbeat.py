"""A line every half minute for those who read a log instead of a terminal: the work, how far it is, what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

EVERY_S = 30.0
_SHOWN = ("reward", "loss")
"""Metrics that a line tells, the first of these that a stage has."""


class Heartbeat:
    """Says where a run is whenever `every_s` seconds went by without a word, from a thread of its own.

    Args:
        say: hears a line; may be called from the thread.
        every_s: seconds between two lines.
    """

    def __init__(self, say: Callable[[str], None], every_s: float = EVERY_S) -> None:
        self._say = say
        self._every_s = every_s
        self._over = threading.Event()
        self._label = ""
        self._work = ""
        self._total: int | None = None
        self._done = 0
        self._begun = 0.0
        self._spoken = time.monotonic()
        self._figure = ""

    def start(self) -> None:
        """Begins to watch the time."""
        threading.Thread(target=self._watch, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Says nothing any more."""
        self._over.set()

    def stage(self, label: str) -> None:
        """A stage began, of which the caller has told; empty where none goes on."""
        self._label, self._figure = label, ""
        self.begin("", None)
        self._spoken = time.monotonic()

    def begin(self, work: str, total: int | None) -> None:
        """A piece of work of the stage began; None where nobody knows how much there is."""
        self._work, self._total, self._done, self._begun = work, total, 0, time.monotonic()

    def advance(self, count: int) -> None:
        """So much more of it is done."""
        self._done += count

    def hear(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Metrics of a step, of which the line tells the most telling."""
        named = {name.rsplit("/", 1)[-1]: value for name, value in metrics.items()}
        for name in _SHOWN:
            if step is not None and name in named:
                self._figure = f"step {step}, {name} {named[name]:.3g}"
                return

    def line(self) -> str:
        """The line, in words."""
        parts = [self._work] if self._work else []
        if self._total:
            parts.append(f"{self._done} of {self._total}{self._left()}")
        return "  ".join((self._label, ", ".join([*parts, *([self._figure] if self._figure else [])]) or "goes on"))

    def _left(self) -> str:
        if not self._done or self._total is None:
            return ""
        seconds = (time.monotonic() - self._begun) / self._done * max(0, self._total - self._done)
        return f" (about {seconds / 60:.0f} min left)" if seconds >= 60 else f" (about {seconds:.0f} s left)"

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._every_s)):
            if self._label and time.monotonic() - self._spoken >= self._every_s:
                self._spoken = time.monotonic()
                self._say(self.line())
