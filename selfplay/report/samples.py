"""A few problems of the run with everything known about them, and a few that were lost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from selfplay.records import LabelledTask, Prompt, Rollout
from selfplay.report.run_tables import RunTables, general_reasons

PROBLEMS = 12
ROLLOUTS = 4
TESTS = 3
LOST = 8
LONGEST_TEXT = 4000
"""Characters shown of one text; the tables have the whole."""

BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDDEN = re.compile(f"[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\ufeff\u200b{BIDI_CONTROLS}]")


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled problem, its prompt's origin, and some rollouts."""

    task: dict[str, Any]
    prompt: dict[str, Any] | None
    rollouts: list[dict[str, Any]]
    source: str
    """The stage that the rollouts come from."""


def visible(value: object, longest: int = LONGEST_TEXT) -> str:
    """Text as it is, but cut when long, and with codes for characters that hide or reorder others."""
    text = str(value)
    cut = f" … ({len(text) - longest} more characters)" if len(text) > longest else ""
    return HIDDEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text[:longest]) + cut


def problem_samples(tables: RunTables) -> list[Sample]:
    """Problems spread evenly over the labelled tasks of each domain; none before labelling has ended."""
    if not tables.has("labelling", "tasks"):
        return []
    domains = sorted({domain for domain, _ in tables.counts("labelling", "tasks", LabelledTask)})
    each = max(1, PROBLEMS // max(1, len(domains)))
    ids = [id_ for domain in domains for id_ in tables.spread("labelling", "tasks", LabelledTask, domain, each)][
        :PROBLEMS
    ]
    tasks = {row["id"]: row for row in tables.rows("labelling", "tasks", LabelledTask, "id", ids)}
    prompts = _prompts(tables, [task["prompt_id"] for task in tasks.values()])
    rollouts, source = _rollouts(tables, ids)
    return [
        Sample(
            tasks[id_],
            prompts.get(tasks[id_]["prompt_id"]),
            _varied([r for r in rollouts if r["task_id"] == id_]),
            source,
        )
        for id_ in ids
    ]


def lost_samples(tables: RunTables) -> list[tuple[str, str, str]]:
    """For each of some reasons: the domain, the reason, and the first completion or problem lost by it."""
    lost: list[tuple[str, str, str]] = []
    for stage, shown in (("synthesis", "completion"), ("curation", "problem")):
        if tables.has(stage, "prompts"):
            ids = _first_of_each_reason(tables, stage)
            rows = tables.rows(stage, "prompts", Prompt, "id", ids)
            lost += [(row["domain"], row["dropped"], row[shown]) for row in rows]
    return lost[:LOST]


def _prompts(tables: RunTables, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not tables.has("curation", "prompts"):
        return {}
    return {row["id"]: row for row in tables.rows("curation", "prompts", Prompt, "id", ids)}


def _rollouts(tables: RunTables, ids: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    places = [(stage, "rollouts") for stage in reversed(tables.stages("selfplay_"))]
    for stage, table in (*places, ("labelling", "completions")):
        if tables.has(stage, table):
            rows = tables.rows(stage, table, Rollout, "task_id", ids)
            if rows:
                return rows, stage
    return [], ""


def _varied(rollouts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One rollout of each verdict first, so that a rare one is seen."""
    first = {rollout["passed"]: rollout for rollout in reversed(rollouts)}
    chosen = [first[passed] for passed in (True, False, None) if passed in first]
    others = [rollout for rollout in rollouts if not any(rollout is one for one in chosen)]
    return (chosen + others)[:ROLLOUTS]


def _first_of_each_reason(tables: RunTables, stage: str) -> list[str]:
    table = tables.columns(stage, "prompts", Prompt, ["id", "dropped"])
    table = table.set_column(1, "dropped", general_reasons(table["dropped"]))
    lost = table.filter(pc.not_equal(table["dropped"], ""))
    firsts = lost.group_by("dropped", use_threads=False).aggregate([("id", "first")])
    return [str(id_) for id_ in firsts["id_first"].to_pylist()[:LOST]]
