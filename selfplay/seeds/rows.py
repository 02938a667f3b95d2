"""Rows of the user's seed problems, from JSON lines, Parquet or a data set, as plain values under our column names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, get_args

from selfplay.config.errors import UserError
from selfplay.config.seeds import DatasetSeeds, FileSeeds, SeedField, UserSeeds

COLUMNS: tuple[SeedField, ...] = tuple(name for part in get_args(SeedField) for name in get_args(part))
TASK = "task"
"""Column of a run's own tables that holds several of ours."""
LONGEST_ROW = 1 << 24
"""Most bytes of one row."""
BATCH = 256
"""Rows of a Parquet file or a data set that are held at once."""

Row = tuple[str, dict[str, Any]]
"""Where a row stands, for messages, and its values."""


class Digest(Protocol):
    """A hash that is being computed, as `hashlib` makes them."""

    def update(self, data: bytes, /) -> None:
        """Takes in more bytes."""
        ...


class SeedError(UserError):
    """Seed problems that cannot be used; the message names file, line, field and remedy."""


def file_rows(path: Path, settings: UserSeeds) -> Iterator[Row]:
    """The rows of a file: Parquet by its ending, else JSON lines.

    Raises:
        SeedError: the file or a row of it cannot be read.
    """
    rows = _parquet_rows(path, settings) if path.suffix == ".parquet" else json_rows(path)
    for where, row in rows:
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


def add_contents(digest: Digest, settings: UserSeeds) -> None:
    """Adds to a hash what the files contain that the settings name on this machine."""
    for file in _files(settings):
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)


def _files(settings: UserSeeds) -> list[Path]:
    if isinstance(settings, FileSeeds):
        return [Path(path) for path in (settings.train, settings.dev, settings.heldout) if path is not None]
    if isinstance(settings, DatasetSeeds) and Path(settings.name).is_dir():
        return sorted(file for file in Path(settings.name).rglob("*") if file.is_file())
    return []


def json_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSON lines file as they are. Raises SeedError where one is no object, or too long."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_ROW + 1):
            number += 1
            where = f"{path}, line {number}"
            if len(line) > LONGEST_ROW:
                raise SeedError(f"{where}: is longer than {LONGEST_ROW} bytes; shorten it")
            if line.strip():
                yield where, _object(line, where)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise SeedError(f"{where}: is not JSON in UTF-8 ({error})") from error
    if not isinstance(row, dict):
        raise SeedError(f"{where}: is not a JSON object")
    return row


def _parquet_rows(path: Path, settings: UserSeeds) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            columns = _ours(str(path), file.schema_arrow.names, settings.fields)
            for batch in file.iter_batches(BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield where, _bounded(where, row)
    except (OSError, LookupError, pa.ArrowException, UnicodeDecodeError) as error:
        raise SeedError(f"{path}: is not readable as Parquet after row {number} ({error})") from error


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
