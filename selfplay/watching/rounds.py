"""The rounds in which a run made prompts, and where their tables are.

The first round's stages are `synthesis`, `curation` and `labelling`; those of round N end in `_N`. Where a later round
only labels prompts again, its `labelling_N` or `relabelling_N` belongs to the round that made them: the newest counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError
from selfplay.run.tables import read_batches

STAGE = re.compile(r"(synthesis|labelling|relabelling)(?:_([1-9][0-9]*))?")
TABLES = {"synthesis": "prompts", "labelling": "tasks", "relabelling": "tasks"}


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

    Args:
        run: the run directory.
        number: only this round.

    Raises:
        RunError: the run has made prompts, but not for round `number`.
    """
    found: dict[str, list[int]] = {kind: [] for kind in TABLES}
    for folder in (run / "stages").glob("*"):
        named = STAGE.fullmatch(folder.name)
        if named and (folder / f"{TABLES[named[1]]}.parquet").exists():
            found[named[1]].append(int(named[2] or 1))
    made = sorted(found["synthesis"])
    votes = sorted((at, kind) for kind in ("labelling", "relabelling") for at in found[kind])
    rounds = []
    for place, first in enumerate(made):
        last = made[place + 1] - 1 if place + 1 < len(made) else math.inf
        own = tuple(stage_name(kind, at) for at, kind in votes if first <= at <= last)
        rounds.append(PromptRound(first, stage_name("synthesis", first), stage_name("curation", first), own))
    if number is None or not rounds:
        return rounds
    if number not in made:
        known = ", ".join(map(str, made))
        raise RunError(f"--round {number}: {run} has made no prompts for it; it has for {known}")
    return [one for one in rounds if one.number == number]


def stage_name(kind: str, number: int) -> str:
    """The name of a round's stage of that kind."""
    return kind if number == 1 else f"{kind}_{number}"


def table_file(run: Path, stage: str, table: str) -> Path:
    """Where a stage has a table."""
    return run / "stages" / stage / f"{table}.parquet"


def table_rows(file: Path, record: type[Any], only_kept: bool = False) -> Iterator[Any]:
    """The rows of a table one by one, in a stream; none where it has not been written.

    Raises:
        RecordError: it is damaged.
    """
    if file.exists():
        for batch in read_batches(file, record, only_kept):
            yield from batch
