"""Where prompts were lost between the model's completions and labelled tasks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from selfplay.records import LabelledTask, Prompt
from selfplay.report.run_tables import RunTables

MOST_REASONS = 30
UNACCOUNTED = "no row in the next table"


@dataclass(frozen=True, slots=True)
class Step:
    """How many prompts were left after a step, by domain, and why the others were not."""

    name: str
    counts: dict[str, int]
    lost: dict[str, int]
    """Rows lost at this step by reason, most first."""

    @property
    def total(self) -> int:
        """All domains together."""
        return sum(self.counts.values())


def prompt_funnel(tables: RunTables) -> list[Step]:
    """The steps that have been taken so far; none before the synthesis has ended."""
    if not tables.has("synthesis", "prompts"):
        return []
    made = tables.counts("synthesis", "prompts", Prompt)
    steps = [Step("made", _by_domain(made), {}), _step("parsed", made, _size(made))]
    if tables.has("curation", "prompts"):
        steps.append(_step("kept by curation", tables.counts("curation", "prompts", Prompt), steps[-1].total))
    if tables.has("labelling", "tasks"):
        steps.append(_step("labelled", tables.counts("labelling", "tasks", LabelledTask), steps[-1].total))
    return steps


def _step(name: str, rows: Counter[tuple[str, str]], before: int) -> Step:
    kept = Counter({key: count for key, count in rows.items() if not key[1]})
    lost: Counter[str] = Counter()
    for (_, reason), count in rows.items():
        if reason:
            lost[reason] += count
    if before > _size(rows):
        lost[UNACCOUNTED] = before - _size(rows)
    return Step(name, _by_domain(kept), _most_frequent(lost))


def _most_frequent(lost: Counter[str]) -> dict[str, int]:
    ranked = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(ranked[:MOST_REASONS])
    rest = ranked[MOST_REASONS:]
    if rest:
        shown[f"{len(rest)} other reasons"] = sum(count for _, count in rest)
    return shown


def _by_domain(rows: Counter[tuple[str, str]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (domain, _), count in rows.items():
        counts[domain] += count
    return dict(sorted(counts.items()))


def _size(rows: Counter[tuple[str, str]]) -> int:
    return sum(rows.values())
