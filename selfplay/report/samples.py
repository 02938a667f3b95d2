"""A few problems of the run with everything known about them, and a few that were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from selfplay.report.run_tables import RunTables, general_reasons
from selfplay.run.plan import Kind
from selfplay.run.records import LabelledTask, Prompt, Rollout
from selfplay.run.tables import typed_row
from verifiers.model import Task

PROBLEMS = 24
ROLLOUTS = 4
TESTS = 3
LOST = 8
LONGEST_TEXT = 4000
"""Characters shown of one text; the tables have the whole."""

OUTCOMES = {True: "passed", False: "failed", None: "unchecked"}
"""Names of verdicts, by which the page filters samples."""
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_HIDDEN = [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0xFEFF, 0x200B, *map(ord, BIDI_CONTROLS)]
_SHOWN_HIDDEN = {code: f"⟨U+{code:04X}⟩" for code in _HIDDEN}


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A labelled task, its prompt's origin, and some rollouts."""

    labelled: dict[str, Any]
    task: Task
    round: int
    """The round that its prompt was made for."""
    prompt: dict[str, Any] | None
    rollouts: list[dict[str, Any]]
    source: str
    """The stage that the rollouts come from."""

    @property
    def outcomes(self) -> str:
        """`passed`, `failed` and `unchecked`, as far as a rollout has that verdict."""
        known = {rollout["passed"] for rollout in self.rollouts}
        return " ".join(name for passed, name in OUTCOMES.items() if passed in known)


def visible(value: object, longest: int = LONGEST_TEXT) -> str:
    """Text as it is, but cut when long, and with codes for characters that hide or reorder others."""
    text = str(value)
    cut = f" … ({len(text) - longest} more characters)" if len(text) > longest else ""
    return text[:longest].translate(_SHOWN_HIDDEN) + cut


def problem_samples(tables: RunTables) -> list[ShownSample]:
    """Problems spread evenly over the tasks of each domain, of all rounds; none before labelling has ended."""
    rounds = {own.labelled: own for own in tables.prompt_rounds() if own.labelled}
    domains = sorted({d for stage in rounds for d, _ in tables.counts(stage, "tasks", LabelledTask)})
    each = max(1, PROBLEMS // max(1, len(domains)))
    spread = [tables.spread(list(rounds), "tasks", LabelledTask, domain, each) for domain in domains]
    chosen = [found for some in spread for found in some][:PROBLEMS]
    tasks: dict[str, dict[str, Any]] = {}
    prompts: dict[str, dict[str, Any]] = {}
    for stage, own in rounds.items():
        ids = [id_ for at, id_ in chosen if at == stage]
        rows = tables.rows(stage, "tasks", LabelledTask, "id", ids)
        tasks |= {row["id"]: row for row in rows}
        prompts |= _prompts(tables, own.curation, [row["prompt_id"] for row in rows])
    rollouts = _rollouts(tables, [stage for own in rounds.values() for stage in own.labellings], list(tasks))
    nothing = ("", list[dict[str, Any]]())
    return [
        ShownSample(
            tasks[id_],
            typed_row(Task, tasks[id_]["task"]),
            rounds[stage].number,
            prompts.get(tasks[id_]["prompt_id"]),
            _varied(rollouts.get(id_, nothing)[1]),
            rollouts.get(id_, nothing)[0],
        )
        for stage, id_ in chosen
    ]


def lost_samples(tables: RunTables) -> list[tuple[str, str, str]]:
    """For each of some reasons: the domain, the reason, and the first completion or problem lost by it."""
    lost: list[tuple[str, str, str]] = []
    known: set[str] = set()
    for own in tables.prompt_rounds():
        for stage, shown in ((own.synthesis, "completion"), (own.curation, "problem")):
            if tables.has(stage, "prompts"):
                firsts = {id_: why for why, id_ in _first_of_each_reason(tables, stage).items() if why not in known}
                rows = tables.rows(stage, "prompts", Prompt, "id", list(firsts))
                lost += [(row["domain"], row["dropped"], row[shown]) for row in rows]
                known |= set(firsts.values())
    return lost[:LOST]


def _prompts(tables: RunTables, stage: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not tables.has(stage, "prompts"):
        return {}
    return {row["id"]: row for row in tables.rows(stage, "prompts", Prompt, "id", ids)}


def _rollouts(
    tables: RunTables, labellings: Sequence[str], ids: Sequence[str]
) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Each task's completions in the newest round that has some, or else the newest votes on it, and their stage."""
    places = [(stage, "rollouts") for stage in reversed(tables.stages(Kind.SELFPLAY))]
    found: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    for stage, table in (*places, *((stage, "completions") for stage in reversed(labellings))):
        left = [id_ for id_ in ids if id_ not in found]
        for row in tables.rows(stage, table, Rollout, "task_id", left) if tables.has(stage, table) else ():
            found.setdefault(row["task_id"], (stage, []))[1].append(row)
    return found


def _varied(rollouts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One rollout of each verdict first, so that a rare one is seen."""
    first = {rollout["passed"]: rollout for rollout in reversed(rollouts)}
    chosen = [first[passed] for passed in (True, False, None) if passed in first]
    others = [rollout for rollout in rollouts if not any(rollout is one for one in chosen)]
    return (chosen + others)[:ROLLOUTS]


def _first_of_each_reason(tables: RunTables, stage: str) -> dict[str, str]:
    """The id of the first prompt that was lost by each of some reasons."""
    table = tables.columns(stage, "prompts", Prompt, ["id", "dropped"])
    table = table.set_column(1, "dropped", general_reasons(table["dropped"]))
    lost = table.filter(pc.not_equal(table["dropped"], ""))
    firsts = lost.group_by("dropped", use_threads=False).aggregate([("id", "first")])
    pairs = zip(firsts["dropped"].to_pylist(), firsts["id_first"].to_pylist(), strict=True)
    return dict(list(pairs)[:LOST])
