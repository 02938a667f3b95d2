"""What became of each prompt of a run, and why: `selfplay prompts`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfplay.records import Judgement, LabelledTask, Prompt, RecordError, Rollout, read_batches
from selfplay.run import RunError


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a prompt is, or where it was lost."""

    id: str
    domain: str
    stage: str
    """The last stage that has looked at it."""
    dropped: str
    """Why that stage dropped it; empty where it was kept."""
    problem: str
    """Empty where the completion held none."""


def fates(run: Path) -> Iterator[Fate]:
    """What became of every prompt, in the order in which they were made.

    Raises:
        RunError: the run has made no prompts yet.
        RecordError: a table is damaged.
    """
    made = _file(run, "synthesis", "prompts")
    if not made.exists():
        raise RunError(f"{run}: has made no prompts yet; run it up to there with `selfplay run ... --until synthesis`")
    curated = _rows(_file(run, "curation", "prompts"), Prompt)
    labelled = {task.prompt_id: task.dropped for task in _rows(_file(run, "labelling", "tasks"), LabelledTask)}
    curation_ended = _file(run, "curation", "prompts").exists()
    for prompt in _rows(made, Prompt):
        stage, dropped = "synthesis", prompt.dropped
        if not dropped and curation_ended:
            # The table of curation has every parsed prompt, in the same order.
            own = next(curated, None)
            if own is None or own.id != prompt.id:
                raise RecordError(f"{run}: the tables of synthesis and curation do not belong together; run it again")
            stage, dropped = "curation", own.dropped
            if not dropped and prompt.id in labelled:
                stage, dropped = "labelling", labelled[prompt.id]
        yield Fate(prompt.id, prompt.domain, stage, dropped, prompt.problem)


def find(run: Path, dropped: bool, reason: str, domain: str) -> Iterator[Fate]:
    """Those fates that are wanted.

    Args:
        run: the run directory.
        dropped: only prompts that were lost.
        reason: only those lost for it, by the beginning of what the funnel calls it; empty for any.
        domain: only those of one domain; empty for all.
    """
    for fate in fates(run):
        if (dropped or reason) and not fate.dropped:
            continue
        if fate.dropped.startswith(reason) and domain in ("", fate.domain):
            yield fate


def whole_story(run: Path, identifier: str) -> dict[str, Any]:
    """All that the run knows of one prompt: its text, its fate, what judges and solvers said, and its label.

    Raises:
        RunError: the run has no such prompt.
    """
    fate = next((fate for fate in fates(run) if fate.id == identifier), None)
    if fate is None:
        raise RunError(f"{run}: has no prompt {identifier!r}; `selfplay prompts {run} --dropped` lists those it lost")
    prompt = next(row for row in _rows(_file(run, "synthesis", "prompts"), Prompt) if row.id == identifier)
    story = asdict(prompt) | {"stage": fate.stage, "dropped": fate.dropped}
    said = [
        asdict(row) for row in _rows(_file(run, "curation", "judgements"), Judgement) if row.prompt_id == identifier
    ]
    solved = [asdict(row) for row in _rows(_file(run, "curation", "solutions"), Rollout) if row.task_id == identifier]
    label = [
        asdict(row) for row in _rows(_file(run, "labelling", "tasks"), LabelledTask) if row.prompt_id == identifier
    ]
    return story | {"judgements": said, "solutions": solved, "label": label[0] if label else None}


def _file(run: Path, stage: str, table: str) -> Path:
    return run / "stages" / stage / f"{table}.parquet"


def _rows(file: Path, record: type[Any]) -> Iterator[Any]:
    if file.exists():
        for batch in read_batches(file, record):
            yield from batch
