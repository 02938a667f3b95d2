"""A digest of a run's metrics for `selfplay status` and the report: gathered line by line as they come, so that looking
again costs little, and that a long run's need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfplay.run.plan import Kind
from selfplay.tracking.metric_log import (
    METRICS_FILE,
    ROUND_REWARD,
    AlarmLine,
    Follower,
    MetricLine,
    alarm_line,
    histograms_of,
    metric_line,
)

RIGHT = ("correct", "accepted", "passed")
"""Statuses of rollouts that passed."""
Shares = dict[tuple[str, str], float]
"""By domain and status."""


@dataclass(slots=True)
class MetricDigest:
    """The metrics of a run by now; `read` takes in what was added since it was called last."""

    run_path: Path
    keeps: Callable[[str], bool] | None = None
    """Tells of which metrics `curves` has all steps, beside the reward; None of none."""
    last: MetricLine | None = None
    of_stage: dict[str, MetricLine] = field(default_factory=dict)
    """The last line of each stage."""
    rewards: dict[str, dict[int, float]] = field(default_factory=dict)
    """The reward by stage and step; of a step taken twice, the last attempt counts."""
    round_rewards: dict[str, float] = field(default_factory=dict)
    """That of rollouts which were all drawn before training, by stage."""
    heldout: dict[str, dict[str, float]] = field(default_factory=dict)
    """By evaluation and metric."""
    statuses: dict[str, Shares] = field(default_factory=dict)
    """The outcomes of a stage's rollouts."""
    curves: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    """By stage, metric and step; of a step taken twice, the last attempt counts."""
    pass_rates: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By stage the histogram of its tasks' pass rates, as it was logged; only with `keeps`."""
    alarms: list[AlarmLine] = field(default_factory=list)
    _follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self._follower = Follower(self.run_path / METRICS_FILE)

    def read(self) -> None:
        """Reads the whole lines that were added."""
        for _, row in self._follower.new():
            line, alarm = metric_line(row), alarm_line(row)
            if line is not None:
                self._take(line)
                self._keep(line, row)
            elif alarm is not None:
                self.alarms.append(alarm)

    def reward(self, stage: str) -> list[float]:
        """The reward of a stage over its steps, or the one of its rollouts."""
        curve = self.rewards.get(stage, {})
        alone = [self.round_rewards[stage]] if stage in self.round_rewards else []
        return [curve[step] for step in sorted(curve)] or alone

    def _keep(self, line: MetricLine, row: Any) -> None:
        if self.keeps is None:
            return
        if line.step is not None:
            curves = self.curves.setdefault(line.stage, {})
            for name, value in line.metrics.items():
                if self.keeps(name):
                    curves.setdefault(name, {})[line.step] = value
        if (shape := histograms_of(row).get("pass_rate")) is not None:
            self.pass_rates[line.stage] = shape

    def _take(self, line: MetricLine) -> None:
        self.last = self.of_stage[line.stage] = line
        if line.step is not None and "reward" in line.metrics:
            self.rewards.setdefault(line.stage, {})[line.step] = line.metrics["reward"]
        if ROUND_REWARD in line.metrics:
            self.round_rewards[line.stage] = line.metrics[ROUND_REWARD]
        if line.step is not None and line.kind == Kind.EVALUATION:
            self.heldout[line.stage] = line.metrics
        shares = _statuses(line)
        if shares:
            self.statuses[line.stage] = shares


def _statuses(line: MetricLine) -> Shares:
    found = {}
    for name, value in line.metrics.items():
        parts = name.split("/")
        if parts[:2] == ["rollouts", "status"] and len(parts) == 4:
            found[parts[3], parts[2]] = value
        elif parts[:2] == ["rollouts", "not_checked"] and len(parts) == 3:
            found[parts[2], "not checked"] = value
    return found
