"""What a run has logged, as tests look at it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfplay.tracking.metric_log import METRICS_FILE, AlarmLine, Follower, MetricLine, alarm_line, metric_line


def read_lines(run_path: Path) -> list[Any]:
    """Every whole line; None for one that is no JSON."""
    return [row for _, row in Follower(run_path / METRICS_FILE).new()]


def read_metrics(run_path: Path) -> list[MetricLine]:
    """The metrics of a run; lines that are no whole record of any are passed over."""
    return [line for row in read_lines(run_path) if (line := metric_line(row)) is not None]


def read_alarms(run_path: Path) -> list[AlarmLine]:
    """The alarms of a run, in the order in which they were raised."""
    return [line for row in read_lines(run_path) if (line := alarm_line(row)) is not None]


def latest_by_step(lines: Iterable[MetricLine], stage: str, metric: str) -> list[tuple[int, float]]:
    """A metric's curve over the steps of a stage; of a stage begun twice, the last attempt counts."""
    curve = {
        line.step: line.metrics[metric]
        for line in lines
        if line.stage == stage and line.step is not None and metric in line.metrics
    }
    return sorted(curve.items())
