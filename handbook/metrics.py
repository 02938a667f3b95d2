"""`reference/metrics.md`: every name that a run logs, from `metrics.yaml`; a test holds it to what a run logs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from handbook.markdown import code, page, table

FILE = Path(__file__).with_name("metrics.yaml")
INTRODUCTION = """A run appends its metrics to `RUN/metrics.jsonl`. W&B, TensorBoard and trackio get copies, under
`STAGE/NAME` ([trackers](../how-to/trackers.md)). In names, `DOMAIN` is one of the recipe's domains, `COMPONENT` a
part of a composite verifier, `STATUS` a status of verdicts, `K` a number of completions, and `T` a temperature."""


class Metric(BaseModel):
    """A name, what it means, and what is wrong when it moves."""

    model_config = ConfigDict(extra="forbid")
    name: str
    means: str
    wrong: str = ""


class Group(BaseModel):
    """Metrics that are logged by the same stages."""

    model_config = ConfigDict(extra="forbid")
    title: str
    about: str
    metrics: list[Metric]


def groups() -> list[Group]:
    """All of them, in the order of the page."""
    return [Group.model_validate(group) for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))]


def pattern(name: str) -> re.Pattern[str]:
    """What logged names a name of the page stands for."""
    parts = re.split(r"(DOMAIN|COMPONENT|STATUS|SUITE|REASON|ANNOTATOR|\bK\b|\bT\b)", name)
    return re.compile("".join(r"[^@]+?" if i % 2 else re.escape(part) for i, part in enumerate(parts)))


def unknown(names: set[str]) -> set[str]:
    """Those of the logged names that the page doesn't have."""
    known = [pattern(metric.name) for group in groups() for metric in group.metrics]
    plain = {name: name.removeprefix("prompt-model/").removeprefix("rationale-model/") for name in names}
    return {name for name, bare in plain.items() if not any(one.fullmatch(bare) for one in known)}


def metrics_page() -> str:
    """The page."""
    parts = []
    for group in groups():
        rows = [(code(metric.name), metric.means, metric.wrong) for metric in group.metrics]
        parts.append(f"## {group.title}\n\n{group.about}\n\n" + table(("metric", "means", "when it moves"), rows))
    return page("Metrics", "`handbook/metrics.yaml`", INTRODUCTION, *parts)
