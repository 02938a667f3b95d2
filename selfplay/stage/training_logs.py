"""Follows the logs of trainings that go on, and tells each step once, whatever sessions a training takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from selfplay.run.directory import Stage
from selfplay.tracking.metric_log import METRICS_FILE, Follower, metric_line


class ProgressListener(Protocol):
    """Hears of progress and of metrics."""

    def stage(self, name: str, index: int, total: int, done: bool) -> None:
        """Stage `index` of `total` begins, or is done already."""

    def begin(self, description: str, total: int) -> None:
        """A piece of work of `total` items begins."""

    def advance(self, count: int) -> None:
        """Some of its items are done."""

    def note(self, text: str) -> None:
        """Something that a person should know at once."""

    def log(self, stage: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Metrics of a stage."""

    def table(self, stage: str, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows of a stage that people look at."""


class TrainingLogs:
    """Follows the log files of running trainings and passes new lines on.

    A training that goes on from a checkpoint takes the steps after it once more. What was told of them stays, and they
    are not told again; what the session before could not tell any more is told now.

    Args:
        prefixes: the beginnings of the names of each training's metrics; nothing unless they are given.
    """

    def __init__(
        self,
        stage: Stage,
        files: Sequence[Path],
        names: Sequence[str],
        listener: ProgressListener,
        together: bool,
        prefixes: Sequence[str] = (),
    ) -> None:
        self._stage = stage
        self._files = list(zip(files, names, strict=True))
        self._prefixes = dict(zip(names, prefixes, strict=True)) if prefixes else dict.fromkeys(names, "")
        self._followers = {file: Follower(file) for file in files}
        self._done = dict.fromkeys(files, 0)
        self._listener = listener
        self._begun: set[Path] = set()
        self._together = together
        earlier = [
            (name, line) for file, name in self._files for _, line in self._followers[file].new() if _is_log(line)
        ]
        self._told = self._told_before(earlier)
        for name, line in earlier:
            self._log(name, line)

    def __call__(self) -> None:
        """Reads what was appended since the last call."""
        for file, name in self._files:
            for _, line in self._followers[file].new():
                self._tell(file, name, line)

    def _told_before(self, earlier: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, int]:
        """The last step of each metric that the run has told of this training."""
        logged: dict[str, int] = {}
        for name, line in earlier:
            for metric in line["metrics"]:
                logged[self._prefixes[name] + metric] = max(line["step"], logged.get(self._prefixes[name] + metric, -1))
        if not logged:
            return {}
        told: dict[str, int] = {}
        for _, row in Follower(self._stage.folder.parent.parent / METRICS_FILE).new():
            found = metric_line(row)
            if found is not None and found.stage == self._stage.name and found.step is not None:
                for metric in (*found.metrics, *found.not_finite):
                    told[metric] = max(found.step, told.get(metric, -1))
        # An earlier attempt, of other settings, may have come further than this one.
        return {metric: min(step, told.get(metric, -1)) for metric, step in logged.items()}

    def _tell(self, file: Path, name: str, line: dict[str, Any]) -> None:
        self._begin(file, line["of"])
        self._listener.advance(max(0, line["step"] - self._done[file]))
        self._done[file] = line["step"]
        self._log(name, line)

    def _log(self, name: str, line: Mapping[str, Any]) -> None:
        """Tells the metrics of a step, less those that were told of it before."""
        prefix, step = self._prefixes[name], line["step"]
        metrics = {prefix + metric: value for metric, value in line["metrics"].items()}
        new = {metric: value for metric, value in metrics.items() if step > self._told.get(metric, -1)}
        self._told.update({metric: step for metric in new if metric in self._told})
        if new:
            self._listener.log(self._stage.name, new, step)

    def _begin(self, file: Path, steps: int) -> None:
        """One bar for trainings side by side, with the steps of all of them."""
        if self._begun == set(self._side_by_side(file)):
            return
        self._begun = set(self._side_by_side(file))
        names = " and ".join(other for place, other in self._files if place in self._begun)
        self._listener.begin(f"{self._stage.name}: training {names}", steps * len(self._begun))

    def _side_by_side(self, file: Path) -> list[Path]:
        return [place for place, _ in self._files] if self._together else [file]


def _is_log(line: Any) -> bool:
    """Whether it is a line of metrics at a step; another may be torn, or of an earlier version."""
    return isinstance(line, dict) and isinstance(line.get("metrics"), dict) and isinstance(line.get("step"), int)
