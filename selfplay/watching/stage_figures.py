"""Figures of a finished stage's tables: agreement, pass rates, failures by reason, and a few rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selfplay.run.plan import Kind
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.tables import read_plain
from selfplay.watching.rollout_tables import closing_rollouts

FEWEST_LABELS = 20
"""Labels of a domain below which the most frequent one says nothing."""
BINS = 20
TABLE_ROWS = 500
NO_ANSWER = "no label"
LABELLINGS = (Kind.LABELLING, Kind.RELABELLING)

Shape = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class StageFigures:
    """Figures that are logged when a stage ends."""

    metrics: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Shape] = field(default_factory=dict)
    tables: dict[str, tuple[list[str], list[list[Any]]]] = field(default_factory=dict)
    """Columns and rows by name."""


def stage_figures(folder: Path, kind: Kind) -> StageFigures:
    """The figures of a stage of that kind, from those of its tables that are known here.

    Raises:
        RecordError: a table is damaged.
    """
    found = StageFigures()
    if kind is Kind.OWN:
        # Its tables are none of ours, whatever they are called.
        return found
    if kind in LABELLINGS and (folder / "tasks.parquet").exists():
        _labels(folder / "tasks.parquet", folder.name, found)
    if (folder / "rollouts.parquet").exists():
        _rollouts(folder / "rollouts.parquet", folder.name, found)
    return found


def _labels(file: Path, stage: str, found: StageFigures) -> None:
    names = ["domain", "problem", "answer", "tests", "agreement", "pass_rate", "dropped"]
    answers: dict[str, Counter[str]] = {}
    agreements: dict[str, list[float]] = {}
    rates: list[float] = []
    shown: list[list[Any]] = []
    for row in read_plain(file, LabelledTask, ["domain", "task", "agreement", "pass_rate", "dropped"]):
        task = row["task"]
        if len(shown) < TABLE_ROWS:
            columns = row | {"problem": task["problem"], "answer": task["answer"], "tests": len(task["tests"])}
            shown.append([columns[name] for name in names])
        if row["agreement"] is not None:
            agreements.setdefault(row["domain"], []).append(row["agreement"])
        rates += [] if row["pass_rate"] is None else [row["pass_rate"]]
        if task["answer"] is not None and not row["dropped"].startswith("label"):
            answers.setdefault(row["domain"], Counter())[task["answer"]] += 1
    for domain, values in agreements.items():
        found.metrics[f"agreement/{domain}"] = sum(values) / len(values)
    for domain, counts in answers.items():
        if counts.total() >= FEWEST_LABELS:
            found.metrics[f"top_answer_share/{domain}"] = counts.most_common(1)[0][1] / counts.total()
    if rates:
        found.histograms["pass_rate"] = histogram(rates)
    if agreements:
        found.histograms["agreement"] = histogram([value for values in agreements.values() for value in values])
    found.tables[f"prompts_{stage}"] = (names, shown)


def _rollouts(file: Path, stage: str, found: StageFigures) -> None:
    outcomes: dict[tuple[str, str], list[bool | None]] = {}
    rewards: dict[tuple[str, str], set[float]] = {}
    statuses: dict[str, Counter[str]] = {}
    for row in read_plain(file, Rollout, ["task_id", "domain", "mode", "passed", "reward", "status"]):
        group = (row["task_id"], row["mode"])
        outcomes.setdefault(group, []).append(row["passed"])
        if row["reward"] is not None:
            rewards.setdefault(group, set()).add(row["reward"])
        counts = statuses.setdefault(row["domain"], Counter())
        counts["not_checked" if row["passed"] is None else row["status"]] += 1
    for domain, counts in statuses.items():
        for status, count in counts.items():
            found.metrics[f"rollouts/{'' if status == 'not_checked' else 'status/'}{status}/{domain}"] = (
                count / counts.total()
            )
        found.metrics.setdefault(f"rollouts/not_checked/{domain}", 0.0)
    known = [[passed for passed in group if passed is not None] for group in outcomes.values() if len(group) > 1]
    rates = [sum(group) / len(group) for group in known if group]
    if rates:
        found.histograms["pass_rate"] = histogram(rates)
        # One alone, such as a greedy completion, varies from nothing.
        several = [values for group, values in rewards.items() if len(outcomes[group]) > 1]
        found.metrics["rollouts/zero_variance_share"] = sum(len(values) < 2 for values in several) / max(
            len(several), 1
        )
    found.tables[f"rollouts_{stage}"] = closing_rollouts(file)


def histogram(values: Sequence[float]) -> Shape:
    """Counts of shares between 0 and 1, with the edges of their bins."""
    counts, edges = np.histogram(np.clip(values, 0, 1), bins=BINS, range=(0, 1))
    return {"edges": [round(float(edge), 6) for edge in edges], "counts": [int(count) for count in counts]}
