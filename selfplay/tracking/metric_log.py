"""`metrics.jsonl`: one JSON object a line, in the order in which things happened.

Every line has `time` (Unix seconds) and `stage`, and of a stage of the plan its `kind` and `round`. What else it has
says what it is:

metrics     {name: number or null}, with `step`; perhaps `histograms`, {name: {"edges": [...], "counts": [...]}}
table       the name of a file below `tables/` that was written just before
done        {"seconds": ..., "counts": {...}} of a stage that ended
alarm       the name of an alarm, with `text`, a plain sentence
summary     the closing figures
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError
from selfplay.run.plan import Kind
from verifiers.untrusted.files import open_file
from verifiers.untrusted.json_values import parse_json

METRICS_FILE = "metrics.jsonl"
TABLES_FOLDER = "tables"
OF_ROUNDS = (Kind.SELFPLAY, Kind.EVALUATION)
"""Kinds of stages that each round has one of."""
ROUND_REWARD = "rollouts/reward"
"""The mean reward of rollouts that were all drawn before a round's training."""


@dataclass(frozen=True, slots=True)
class MetricLine:
    """The metrics of one line."""

    time: float
    """Unix seconds."""
    stage: str
    step: int | None
    metrics: dict[str, float]
    """Those that are finite numbers."""
    not_finite: tuple[str, ...] = ()
    """The names of the others."""
    kind: str = ""
    """Of the stage."""
    round: int = 0


@dataclass(frozen=True, slots=True)
class RoundCurves:
    """Points of the curves that go through all rounds: the metrics of `selfplay_2` as those of `selfplay`."""

    kind: str
    """Of the stage: one of `OF_ROUNDS`."""
    round: int
    metrics: dict[str, float]
    """With the kind before their names."""
    x: int
    """Of evaluations the round, else the number of the line."""


def round_curves(number: int, line: MetricLine) -> RoundCurves | None:
    """The points that line `number` of a run adds to the curves over rounds; None where it has no part in any."""
    if line.kind not in OF_ROUNDS:
        return None
    metrics = {f"{line.kind}/{name}": value for name, value in line.metrics.items()}
    return RoundCurves(line.kind, line.round, metrics, line.round if line.kind == Kind.EVALUATION else number)


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm that was raised."""

    time: float
    """Unix seconds."""
    stage: str
    name: str
    text: str


def line_count(run_path: Path) -> int:
    """How many lines there are."""
    file = run_path / METRICS_FILE
    if not file.exists():
        return 0
    with open_file(file, RunError) as lines:
        return sum(1 for _ in lines)


class Follower:
    """Reads the whole lines of a growing file, each once, with its number."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = 0
        self.count = 0

    def new(self) -> Iterator[tuple[int, Any]]:
        """(number, content) of the lines that were added; None for what is no JSON."""
        if not self._file.exists():
            return
        with open_file(self._file, RunError) as handle:
            handle.seek(self._position)
            for line in handle:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                self.count += 1
                yield self.count - 1, _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return None


def metric_line(row: Any) -> MetricLine | None:
    """The metrics of a line's content, if it has any. In a file, what is no finite number is null."""
    try:
        numbers = {name: math.nan if value is None else float(value) for name, value in row["metrics"].items()}
        metrics = {name: value for name, value in numbers.items() if math.isfinite(value)}
        lost = tuple(name for name in numbers if name not in metrics)
        step = None if row["step"] is None else int(row["step"])
        kind, number = str(row.get("kind", "")), int(row.get("round", 0))
        return MetricLine(float(row["time"]), str(row["stage"]), step, metrics, lost, kind, number)
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError):
        return None


def alarm_line(row: Any) -> AlarmLine | None:
    """The alarm that a line's content is, if it is one."""
    try:
        return AlarmLine(float(row["time"]), str(row["stage"]), str(row["alarm"]), str(row["text"]))
    except (ValueError, OverflowError, TypeError, KeyError):
        return None
