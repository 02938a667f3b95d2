"""The trackers that a run can be copied to, and whether what they need is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from selfplay.config.errors import UserError
from selfplay.config.tracking import Tracking
from selfplay.run.files import read_json, write_json
from selfplay.tracking.metric_log import MetricLine

EXTRAS = {"tensorboard": "tracking.tensorboard", "trackio": "tracking.trackio"}
"""Packages of extras, by name, and the field that asks for each."""


class TrackerMissing(UserError):
    """The recipe names a tracker that is not installed; the message names the field and the remedy."""


class Sink(Protocol):
    """Takes the lines of one run, each with its number in `metrics.jsonl`, in order."""

    def has_all(self, count: int) -> bool:
        """Whether the copy is known to have the first `count` lines, so that it need not be opened for them."""

    def start(self) -> int:
        """Opens the copy; returns the number of the first line that it lacks."""

    def metrics(self, number: int, line: MetricLine, histograms: Mapping[str, Any]) -> None:
        """Takes the metrics of a line; `histograms` are by name."""

    def table(self, number: int, name: str, file: Path) -> None:
        """Takes a table."""

    def done(self, number: int, stage: str, done: Mapping[str, Any]) -> None:
        """Hears that a stage ended."""

    def alarm(self, number: int, name: str, text: str) -> None:
        """Takes an alarm."""

    def summary(self, number: int, summary: Mapping[str, Any]) -> None:
        """Takes the closing figures."""

    def flush(self, count: int) -> None:
        """All of the first `count` lines were given; called now and then."""

    def finish(self, failed: bool) -> None:
        """Closes the copy. Raises when not everything has arrived."""


class NotingSink:
    """A copy on this disk, with a note beside it of how many lines it has; what it has no place for is left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note = folder / "mirror.json"

    def has_all(self, count: int) -> bool:
        """Whether that was noted."""
        return self._lines() >= count

    def _lines(self) -> int:
        return int(read_json(self._note)["lines"]) if self._note.exists() else 0

    def table(self, number: int, name: str, file: Path) -> None:
        """Takes none."""

    def summary(self, number: int, summary: Mapping[str, Any]) -> None:
        """Takes none."""

    def flush(self, count: int) -> None:
        """Notes how far the copy is."""
        write_json(self._note, {"lines": count})


def wanted_sinks(settings: Tracking) -> list[str]:
    """The names of the trackers that get a copy."""
    wanted = {
        "wandb": settings.wandb.mode != "disabled",
        "tensorboard": settings.tensorboard,
        "trackio": settings.trackio is not None,
    }
    return [name for name, yes in wanted.items() if yes]


def check_trackers(settings: Tracking) -> None:
    """Raises:
    TrackerMissing: a package is not installed.
    """
    for name in wanted_sinks(settings):
        if name in EXTRAS and importlib.util.find_spec(name) is None:
            raise TrackerMissing(
                f"{EXTRAS[name]}: {name} is not installed; run `pip install 'promptcot[{name}]'`, or take the field out"
            )
