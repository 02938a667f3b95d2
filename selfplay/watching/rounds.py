"""The rounds in which a run made prompts, and where their tables are.

Where a later round only labels prompts again, its labelling or relabelling belongs to the round that made them: the
newest counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError
from selfplay.run.plan import Kind, read_plan, stage_name
from selfplay.run.tables import read_rows

TABLES = {Kind.SYNTHESIS: "prompts", Kind.LABELLING: "tasks", Kind.RELABELLING: "tasks"}


@dataclass(frozen=True, slots=True)
class PromptRound:
    """The stages that the prompts of one round of self-play went through."""

    number: int
    """The round that the prompts were made for, from 1."""
    synthesis: str
    curation: str
    """It may not have ended."""
    labellings: tuple[str, ...]
    """Those that have labelled these prompts, the oldest first; each has a row for all of them."""

    @property
    def labelled(self) -> str | None:
        """The stage with the newest labels; None where there are none yet."""
        return self.labellings[-1] if self.labellings else None


def prompt_rounds(run: Path, number: int | None = None) -> list[PromptRound]:
    """The rounds that have made prompts, in order; none before the first synthesis has ended.

    Raises:
        RunError: the run has made prompts, but not for round `number`.
    """
    written = [
        stage for stage in read_plan(run).of_kind(*TABLES) if table_file(run, stage.name, TABLES[stage.kind]).exists()
    ]
    made = [stage.round for stage in written if stage.kind is Kind.SYNTHESIS]
    rounds = []
    for place, first in enumerate(made):
        last = made[place + 1] - 1 if place + 1 < len(made) else math.inf
        own = (stage for stage in written if stage.kind is not Kind.SYNTHESIS and first <= stage.round <= last)
        names = tuple(stage.name for stage in own)
        synthesis, curation = stage_name(Kind.SYNTHESIS, first), stage_name(Kind.CURATION, first)
        rounds.append(PromptRound(first, synthesis, curation, names))
    if number is None or not rounds:
        return rounds
    if number not in made:
        known = ", ".join(map(str, made))
        raise RunError(f"--round {number}: {run} has made no prompts for it; it has for {known}")
    return [one for one in rounds if one.number == number]


def table_file(run: Path, stage: str, table: str) -> Path:
    """Where a stage has a table."""
    return run / "stages" / stage / f"{table}.parquet"


def table_rows(file: Path, record: type[Any], only_kept: bool = False) -> Iterator[Any]:
    """The rows of a table one by one, in a stream; none where it has not been written.

    Raises:
        RecordError: it is damaged.
    """
    return read_rows(file, record, only_kept) if file.exists() else iter(())
