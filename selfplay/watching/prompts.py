"""The fate of each prompt of a run, in all its rounds, and why: `selfplay prompts`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfplay.run.directory import read_recipe
from selfplay.run.files import RunError
from selfplay.run.records import Judgement, LabelledTask, Prompt, Rollout
from selfplay.run.tables import RecordError
from selfplay.watching.rounds import PromptRound, prompt_rounds, table_file, table_rows


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a prompt is, or where it was lost."""

    id: str
    domain: str
    round: int
    """The round that it was made for."""
    stage: str
    """The last stage that has looked at it."""
    dropped: str
    """Why that stage dropped it; empty where it was kept."""
    problem: str
    """Empty where the completion held none."""


def fates(run: Path, number: int | None = None) -> Iterator[Fate]:
    """The fate of every prompt, in the order in which they were made.

    Args:
        number: only prompts made for this round; None for all.

    Raises:
        RunError: the run has made no prompts yet, or none for that round.
        RecordError: a table is damaged.
    """
    rounds = prompt_rounds(run, number)
    if not rounds and not read_recipe(run).synthesises:
        raise RunError(f"{run}: makes no prompts of its own: its recipe trains on given ones")
    if not rounds:
        raise RunError(f"{run}: has made no prompts yet; run it up to there with `selfplay run ... --until synthesis`")
    for own in rounds:
        yield from _fates_of(run, own)


def _fates_of(run: Path, own: PromptRound) -> Iterator[Fate]:
    curated = table_rows(table_file(run, own.curation, "prompts"), Prompt)
    curation_ended = table_file(run, own.curation, "prompts").exists()
    labelled = _labels(run, own)
    for prompt in table_rows(table_file(run, own.synthesis, "prompts"), Prompt):
        stage, dropped = own.synthesis, prompt.dropped
        if not dropped and curation_ended:
            # The table of curation has every parsed prompt, in the same order.
            row = next(curated, None)
            if row is None or row.id != prompt.id:
                raise RecordError(
                    f"{run}: the tables of {own.synthesis} and {own.curation} do not belong together; run it again"
                )
            stage, dropped = own.curation, row.dropped
            if not dropped and own.labelled and prompt.id in labelled:
                stage, dropped = own.labelled, labelled[prompt.id]
        yield Fate(prompt.id, prompt.domain, own.number, stage, dropped, prompt.problem)


def _labels(run: Path, own: PromptRound) -> dict[str, str]:
    """Why the newest labelling dropped each prompt; empty for those that it kept."""
    if own.labelled is None:
        return {}
    return {row.prompt_id: row.dropped for row in table_rows(table_file(run, own.labelled, "tasks"), LabelledTask)}


def find(run: Path, dropped: bool, reason: str, domain: str, number: int | None = None) -> Iterator[Fate]:
    """Those fates that are wanted.

    Args:
        reason: only those lost for it, by the beginning of what the funnel calls it; empty for any.
        domain: only those of one domain; empty for all.
        number: only those made for one round; None for all.
    """
    for fate in fates(run, number):
        if (dropped or reason) and not fate.dropped:
            continue
        if fate.dropped.startswith(reason) and domain in ("", fate.domain):
            yield fate


def whole_story(run: Path, identifier: str) -> dict[str, Any]:
    """All that the run knows of one prompt: its text, its fate, what judges and solvers said, and its newest label.

    Raises:
        RunError: the run has no such prompt.
    """
    fate = next((fate for fate in fates(run) if fate.id == identifier), None)
    if fate is None:
        raise RunError(f"{run}: has no prompt {identifier!r}; `selfplay prompts {run} --dropped` lists those it lost")
    [own] = prompt_rounds(run, fate.round)
    [prompt] = _of(run, own.synthesis, "prompts", Prompt, "id", identifier)
    labels = _of(run, own.labelled, "tasks", LabelledTask, "prompt_id", identifier) if own.labelled else []
    return prompt | {
        "round": fate.round,
        "stage": fate.stage,
        "dropped": fate.dropped,
        "judgements": _of(run, own.curation, "judgements", Judgement, "prompt_id", identifier),
        "solutions": _of(run, own.curation, "solutions", Rollout, "task_id", identifier),
        "label": labels[0] if labels else None,
    }


def _of(run: Path, stage: str, table: str, record: type[Any], column: str, value: str) -> list[dict[str, Any]]:
    rows = table_rows(table_file(run, stage, table), record)
    return [asdict(row) for row in rows if getattr(row, column) == value]
