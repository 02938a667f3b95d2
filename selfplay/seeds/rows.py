"""Rows of the user's seed problems, from JSON lines, Parquet or a data set, as plain values under our column names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from selfplay.config.errors import UserError
from selfplay.config.seeds import DatasetSeeds, FileSeeds, SeedField, UserSeeds
from verifiers.untrusted.files import LONGEST_ROW, Told, demand_file, json_rows

COLUMNS: tuple[SeedField, ...] = tuple(name for part in get_args(SeedField) for name in get_args(part))
TASK = "task"
"""Column of a run's own tables that holds several of ours."""
BATCH = 256
"""Rows of a Parquet file that are held at once."""
Columns = Callable[[list[str]], list[str]]

Row = tuple[str, dict[str, Any]]
"""Where a row stands, for messages, and its values."""


class SeedError(UserError):
    """Seed problems that cannot be used; the message names file, line, field and remedy."""


def file_rows(path: Path, settings: UserSeeds) -> Iterator[Row]:
    """The rows of a file: Parquet by its ending, else JSON lines.

    Raises:
        SeedError: the file or a row of it cannot be read.
    """
    for where, row in rows_of(path, lambda names: _ours(str(path), names, settings.fields)):
        yield where, renamed(where, row, settings.fields)


def dataset_rows(settings: DatasetSeeds, split: str) -> Iterator[Row]:
    """The rows of one split of a data set, of which only our columns are decoded.

    Raises:
        SeedError: the library cannot load it.
    """
    import datasets

    datasets.disable_progress_bars()
    where = f"{settings.name}, split {split}"
    try:
        table = datasets.load_dataset(settings.name, settings.subset, split=split, revision=settings.revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SeedError(
            f"{where}: the datasets library cannot load it ({reason}); give a hub name, or a folder of Parquet or "
            "JSON lines files"
        ) from error
    columns = _ours(where, table.column_names, settings.fields)
    for number, row in enumerate(table.select_columns(columns), 1):
        yield f"{where}, row {number}", renamed(where, _bounded(where, dict(row)), settings.fields)


def files_of(settings: UserSeeds) -> list[Path]:
    """The files on this machine that the settings name."""
    if isinstance(settings, FileSeeds):
        return [Path(path) for path in (settings.train, settings.dev, settings.heldout) if path is not None]
    if isinstance(settings, DatasetSeeds) and Path(settings.name).is_dir():
        return sorted(file for file in Path(settings.name).rglob("*") if file.is_file())
    return []


def rows_of(path: Path, columns: Columns | None = None, told: Told = SeedError) -> Iterator[Row]:
    """The rows of a file as they are: Parquet by its ending, else JSON lines.

    Args:
        path: the file.
        columns: of the columns of a Parquet file, those that are read; None for all.
        told: the error where the file, or a row of it, cannot be read.
    """
    return _parquet_rows(path, columns, told) if path.suffix == ".parquet" else json_rows(path, told, "", LONGEST_ROW)


def _parquet_rows(path: Path, columns: Columns | None, told: Told) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    demand_file(path, told)
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            wanted = columns(file.schema_arrow.names) if columns else None
            for batch in file.iter_batches(BATCH, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield where, _bounded(where, row)
    except (OSError, ValueError, OverflowError, LookupError, pa.ArrowException) as error:
        raise told(f"{path}: is not readable as Parquet after row {number} ({error})") from error


def _ours(where: str, columns: list[str], fields: Mapping[SeedField, str]) -> list[str]:
    """Those columns that hold something of ours, under their own names."""
    for name, theirs in fields.items():
        if theirs not in columns:
            raise SeedError(f"{where}: has no column {theirs!r}, which seeds.fields.{name} names; it has {columns}")
    wanted = [TASK, *(fields.get(name, name) for name in COLUMNS)]
    return list(dict.fromkeys(column for column in wanted if column in columns))


def _bounded(where: str, row: dict[str, Any]) -> dict[str, Any]:
    size = len(repr(row))
    if size > LONGEST_ROW:
        raise SeedError(f"{where}: is longer than {LONGEST_ROW} characters; shorten it")
    return row


def renamed(where: str, row: dict[str, Any], fields: Mapping[SeedField, str]) -> dict[str, Any]:
    """The row under our names; what is null counts as absent. Raises SeedError where a named column is missing."""
    task = row.get(TASK)
    row = row | task if isinstance(task, dict) else row
    for name, theirs in fields.items():
        if theirs not in row:
            raise SeedError(f"{where}: has no {theirs!r}, which seeds.fields.{name} names")
    found = {name: row.get(fields.get(name, name)) for name in COLUMNS}
    return {name: value for name, value in found.items() if value is not None}
