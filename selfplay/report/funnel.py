"""Where the prompts of all rounds were lost between the model's completions and labelled tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfplay.report.run_tables import RunTables
from selfplay.run.records import LabelledTask, Prompt
from selfplay.watching.rounds import PromptRound

MOST_REASONS = 30
UNACCOUNTED = "no row in the next table"
AHEAD = "not there yet"
"""Why the prompts of a round are not counted that has not come to a step which an earlier one has taken."""

Key = tuple[str, str]
"""(domain, reason to drop; empty for kept rows)."""
Rows = Counter[Key]


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many prompts were left after a step, by domain, and why the others were not."""

    name: str
    counts: dict[str, int]
    lost: dict[str, int]
    """Rows lost at this step by reason, most first."""

    @property
    def total(self) -> int:
        """All domains together."""
        return sum(self.counts.values())


def prompt_funnel(tables: RunTables, rounds: Sequence[PromptRound] | None = None) -> list[FunnelStep]:
    """The steps that have been taken so far; none before the synthesis has ended.

    Args:
        tables: of the run.
        rounds: whose prompts are counted, all together; None for all.
    """
    rounds = tables.prompt_rounds() if rounds is None else rounds
    if not rounds:
        return []
    made = {own.number: tables.counts(own.synthesis, "prompts", Prompt) for own in rounds}
    everything = sum(made.values(), Counter[Key]())
    steps = [FunnelStep("made", _by_domain(everything), {})]
    left = {number: rows.total() for number, rows in made.items()}
    curated = {
        own.number: tables.counts(own.curation, "prompts", Prompt)
        for own in rounds
        if tables.has(own.curation, "prompts")
    }
    labelled = {own.number: tables.counts(own.labelled, "tasks", LabelledTask) for own in rounds if own.labelled}
    for name, rows in (("parsed", made), ("kept by curation", curated), ("labelled", labelled)):
        if not rows:
            break
        steps.append(_step(name, rows, left))
        left = {number: _kept(rows[number]).total() if number in rows else 0 for number in left}
    return steps


def _step(name: str, rows: Mapping[int, Rows], before: Mapping[int, int]) -> FunnelStep:
    """A step of all rounds together.

    Args:
        name: of the step.
        rows: how many rows there are of each domain and reason, by round.
        before: how many prompts the step before has left, by round; a round may not have come any further.
    """
    kept: Rows = Counter()
    lost: Counter[str] = Counter()
    for number, left in before.items():
        if number not in rows:
            lost[AHEAD] += left
            continue
        kept += _kept(rows[number])
        for (_, reason), count in rows[number].items():
            if reason:
                lost[reason] += count
        lost[UNACCOUNTED] += max(0, left - rows[number].total())
    return FunnelStep(name, _by_domain(kept), _most_frequent(+lost))


def _kept(rows: Rows) -> Rows:
    return Counter({key: count for key, count in rows.items() if not key[1]})


def _most_frequent(lost: Counter[str]) -> dict[str, int]:
    ranked = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(ranked[:MOST_REASONS])
    rest = ranked[MOST_REASONS:]
    if rest:
        shown[f"{len(rest)} other reasons"] = sum(count for _, count in rest)
    return shown


def _by_domain(rows: Rows) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for (domain, _), count in rows.items():
        counts[domain] += count
    return dict(sorted(counts.items()))
