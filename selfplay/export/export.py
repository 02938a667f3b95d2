"""Writes a run's prompts as a data set: a folder that `datasets` loads, or the same on the hub."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.export.card import write_card
from selfplay.export.hub import push_folder
from selfplay.export.layouts import OF_ROUNDS, Ending, Layout, Row, RowSource, ending_of
from selfplay.export.rollout_pairs import PAIRS, ROLLOUTS, stages_with
from selfplay.run.directory import read_recipe, read_run
from selfplay.run.files import RunError
from selfplay.run.plan import Kind, stage_name
from selfplay.run.tables import ROWS_AT_ONCE

ROWS_A_FILE = 500_000
HUB = "hub:"


def export_prompts(
    run: Path,
    to: str,
    layouts: Sequence[Layout],
    ending: Ending = "parquet",
    chat: bool = False,
    private: bool = True,
    license_: str = "",
    number: int | None = None,
    demanded: bool = False,
) -> tuple[str, dict[Layout, int]]:
    """Exports a run whose curation has ended.

    Args:
        to: a folder that is new or empty, or `hub:user/name`.
        layouts: which (see `selfplay.export.layouts`); those without rows are left out.
        ending: of the data files, where the layout leaves it open.
        chat: whether prompts and completions of the policy are lists of messages rather than texts.
        private: whether a new data set on the hub is seen by its owner only.
        license_: for the card, as the hub names it; empty says nothing.
        number: only prompts made for this round, and what came of them; None for all rounds.
        demanded: whether each layout was asked for by name, so that none may be without rows.

    Returns:
        Where it is, and the rows of each layout.

    Raises:
        RunError: there is nothing to export yet, a layout that was asked for has no rows, or the folder is in use.
        RecordError: a table is damaged.
        HubError: the hub did not take it.
    """
    recipe = read_run(run)
    source = RowSource(run, read_recipe(run), chat, number)
    if not source.rounds and not set(layouts) <= OF_ROUNDS:
        raise RunError(f"{run}: {_why_none(run, number)}")
    _refuse_empty(source, layouts, demanded)
    if not to.startswith(HUB):
        folder = Path(to)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder}: is in use; give a folder that is new or empty")
        return str(folder), _write(source, folder, recipe, layouts, ending, license_)
    with tempfile.TemporaryDirectory(prefix="selfplay-export-") as scratch:
        counts = _write(source, Path(scratch), recipe, layouts, ending, license_)
        return push_folder(Path(scratch), to.removeprefix(HUB), private), counts


def _refuse_empty(source: RowSource, layouts: Sequence[Layout], demanded: bool) -> None:
    """Raises RunError where nothing, or less than what was asked for by name, would be written."""
    empty = [layout for layout in layouts if next(source.rows(layout), None) is None]
    if empty and (demanded or len(empty) == len(layouts)):
        raise RunError(f"{source.run}: {empty[0]} would be empty: {_why_empty(source, empty[0])}")


def _why_empty(source: RowSource, layout: Layout) -> str:
    """The reason for which a layout without rows has none."""
    if layout in OF_ROUNDS:
        return _no_pairs(source)
    if layout == "dropped":
        return "nothing was lost"
    if next(source.rows("generator"), None) is None:
        return f"curation kept no prompt; `selfplay prompts {source.run} --dropped` says why"
    if not any(own.labelled for own in source.rounds):
        return f"nothing is labelled yet; run it on with `selfplay run ... --run-dir {source.run}`"
    if next(source.labelled(), None) is None:
        lost = Counter(task.dropped.split(" (")[0] for task in source.tasks.values())
        reasons = ", ".join(f"{reason}: {count}" for reason, count in lost.most_common(3))
        return f"no prompt has a label that may be trained on ({reasons})"
    return "no completion agreed with its label or passed its verifier"


def _no_pairs(source: RowSource) -> str:
    if source.recipe.training.rewards == "shuffled":
        return "training.rewards is shuffled, so that its verdicts say nothing of what is right"
    if not stages_with(source.run, ROLLOUTS, PAIRS):
        rule = source.recipe.training.algorithm
        return f"no round has rollouts ({rule} makes {'none' if 'sft' in rule else 'them in its rounds'})"
    return "no prompt has both a right and a wrong rollout that are valid (training.thinking, training.valid)"


def _write(
    source: RowSource, folder: Path, recipe: Row, layouts: Sequence[Layout], ending: Ending, license_: str
) -> dict[Layout, int]:
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[Layout, int] = {}
    for layout in layouts:
        written = _write_layout(source, folder / layout, layout, ending_of(layout, ending))
        if written:
            counts[layout] = written
    write_card(folder, source, recipe, counts, ending, license_)
    return counts


def _write_layout(source: RowSource, folder: Path, layout: Layout, ending: Ending) -> int:
    schema, rows = source.schema(layout), source.rows(layout)
    total, number = 0, 0
    while first := list(islice(rows, ROWS_AT_ONCE)):
        # Only now: a layout without rows leaves no folder.
        folder.mkdir(exist_ok=True)
        batches = _batches(first, rows)
        file = folder / f"train-{number:05d}.{ending}"
        total += _parquet(file, schema, batches) if ending == "parquet" else _jsonl(file, batches)
        number += 1
    return total


def _batches(first: list[Row], rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows of one file."""
    yield first
    left = ROWS_A_FILE - len(first)
    while left > 0 and (batch := list(islice(rows, min(left, ROWS_AT_ONCE)))):
        left -= len(batch)
        yield batch


def _parquet(file: Path, schema: pa.Schema, batches: Iterator[list[Row]]) -> int:
    total = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            total += len(batch)
    return total


def _jsonl(file: Path, batches: Iterator[list[Row]]) -> int:
    total = 0
    with file.open("w", encoding="utf-8") as lines:
        for batch in batches:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch)
            total += len(batch)
    return total


def _why_none(run: Path, number: int | None) -> str:
    """Why a run has no curated prompts, and what is there for the asking instead."""
    if read_recipe(run).synthesises:
        stage = stage_name(Kind.CURATION, number or 1)
        return f"has no curated prompts yet; run it up to there with `selfplay run ... --until {stage}`"
    others = " or ".join(f"--layout {name}" for name in sorted(OF_ROUNDS))
    return (
        f"makes no prompts of its own: its recipe trains on given ones; {others} exports what its rounds made of them"
    )
