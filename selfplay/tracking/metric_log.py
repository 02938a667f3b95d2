"""`metrics.jsonl`: one JSON object a line, in the order in which things happened.

Every line has `time` (Unix seconds) and `stage`, and of a stage of the plan its `kind` and `round`. What else it has
says what it is:

metrics     {name: number or null}, with `step`; perhaps `histograms`, {name: {"edges": [...], "counts": [...]}}
table       the name of a file below `tables/` that was written just before; of a table that is made again every some
            steps of a training with `step`, and with `series`, the name that all of them share
done        {"seconds": ..., "counts": {...}} of a stage that ended
alarm       the name of an alarm, with `text`, a plain sentence
summary     the closing figures
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from selfplay.run.files import RunError
from selfplay.run.plan import Kind
from selfplay.run.shapes import Number, Seconds, Shape, fault_of
from verifiers.untrusted.files import open_file
from verifiers.untrusted.json_values import parse_json

METRICS_FILE = "metrics.jsonl"
TABLES_FOLDER = "tables"
OF_ROUNDS = (Kind.SELFPLAY, Kind.EVALUATION)
"""Kinds of stages that each round of self-play has one of."""
MEASURED = (Kind.COLD_START, Kind.EM)
"""Kinds of stages whose measures are points of the curves over rounds of EM; the cold start's are those of round 0."""
LATEST = 1e12
"""Unix seconds beyond which no line was written."""
MOST_STEPS = 1 << 53
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
    """Whose rounds they are: one of `OF_ROUNDS`, or `em`."""
    round: int
    metrics: dict[str, float]
    """With the kind before their names."""
    x: int
    """Of self-play the number of the line, else the round."""


def round_curves(number: int, line: MetricLine) -> RoundCurves | None:
    """The points that line `number` of a run adds to the curves over rounds; None where it has no part in any."""
    of_em = line.kind in MEASURED and line.step is None
    if not of_em and line.kind not in OF_ROUNDS:
        return None
    kind = str(Kind.EM) if of_em else line.kind
    metrics = {f"{kind}/{name}": value for name, value in line.metrics.items()}
    return RoundCurves(kind, line.round, metrics, number if kind == Kind.SELFPLAY else line.round)


def values_of(number: int, line: MetricLine) -> dict[str, Any]:
    """The numbers of line `number` for a tracker with one history: by stage, over rounds, and where they stand."""
    values: dict[str, Any] = {f"{line.stage}/{name}": value for name, value in line.metrics.items()}
    if (curves := round_curves(number, line)) is not None:
        values |= curves.metrics | {f"{curves.kind}/round": curves.round}
    return values if line.step is None else values | {f"{line.stage}/step": line.step}


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
        numbers = {_text(name): math.nan if value is None else float(value) for name, value in row["metrics"].items()}
        metrics = {name: value for name, value in numbers.items() if math.isfinite(value)}
        lost = tuple(name for name in numbers if name not in metrics)
        step = None if row["step"] is None else _count(row["step"])
        kind, number = _text(row.get("kind", "")), _count(row.get("round", 0))
        return MetricLine(_moment(row), _text(row["stage"]), step, metrics, lost, kind, number)
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError):
        return None


def alarm_line(row: Any) -> AlarmLine | None:
    """The alarm that a line's content is, if it is one."""
    try:
        return AlarmLine(_moment(row), _text(row["stage"]), _text(row["alarm"]), _text(row["text"]))
    except (ValueError, OverflowError, TypeError, KeyError):
        return None


def _text(value: Any) -> str:
    """Raises UnicodeEncodeError for half a character, which no tracker takes."""
    text = str(value)
    text.encode("utf-8")
    return text


def _moment(row: Any) -> float:
    moment = float(row["time"])
    if not abs(moment) <= LATEST:
        raise ValueError("no time")
    return moment


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= MOST_STEPS:
        raise ValueError("no number of a step or a round")
    return number


class _Histogram(Shape):
    edges: list[Number]
    counts: list[Number]

    @model_validator(mode="after")
    def _fits(self) -> _Histogram:
        if len(self.edges) != len(self.counts) + 1 or not self.counts:
            raise ValueError("has not one edge more than counts")
        return self


class _Done(Shape):
    seconds: Seconds
    counts: dict[str, Any]


class CopiedLine(Shape):
    """The part of other lines that trackers get a copy of."""

    stage: str
    kind: str = ""
    table: str | None = None
    series: str | None = None
    done: _Done | None = None
    alarm: str | None = None
    text: str = ""
    summary: dict[str, Any] | None = None


def histograms_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The histograms of a line that have the shape of any."""
    found = row.get("histograms")
    return {k: v for k, v in found.items() if not fault_of(v, _Histogram)} if isinstance(found, dict) else {}
