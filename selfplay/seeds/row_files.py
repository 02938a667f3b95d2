"""Rows of files, as they are: JSON arrays, JSON lines and Parquet, and CSV by its own module, all within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selfplay.seeds.csv_files import TEXT_FILES, csv_rows
from verifiers.untrusted import files
from verifiers.untrusted.files import Told, demand_file, json_rows, open_file, read_json, storable_object
from verifiers.untrusted.shown import shown

BATCH = 256
"""Rows of a Parquet file that are held at once."""
FORMS = "; write one JSON object a line, or a JSON array, CSV or Parquet in a file that ends in .json, .csv or .parquet"
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
Columns = Callable[[list[str]], list[str]]
Row = tuple[str, dict[str, Any]]
"""Where a row stands, for messages, and its values."""


def rows_of_file(path: Path, told: Told, columns: Columns | None = None) -> Iterator[Row]:
    """The rows of a file as they are: CSV and Parquet by their endings, a JSON array by its bracket, else JSON lines.

    Args:
        told: the error where the file, or a row of it, cannot be read.
        columns: of the columns of a Parquet file, those that are read; None for all.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _parquet_rows(path, told, columns)
    if ending in SPREADSHEETS:
        raise told(f"{shown(path)}: is a spreadsheet; save it as CSV, which Excel calls 'CSV UTF-8'")
    if ending in TEXT_FILES:
        return csv_rows(path, told)
    return _array_rows(path, told) if _is_array(path, told) else json_rows(path, told, FORMS, files.LONGEST_ROW)


def _is_array(path: Path, told: Told) -> bool:
    with open_file(path, told) as file:
        while block := file.read(1 << 12):
            if text := block.strip():
                return text.startswith(b"[") and path.suffix.lower() == ".json"
    return False


def _array_rows(path: Path, told: Told) -> Iterator[Row]:
    rows = read_json(path, told, "write JSON lines or Parquet where it is large", finite=False)
    for number, row in enumerate(rows, 1):
        where = f"{shown(path)}, row {number}"
        yield where, bounded(where, storable_object(row, where, told, FORMS), told)


def _parquet_rows(path: Path, told: Told, columns: Columns | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    demand_file(path, told)
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise told(f"{shown(path)}: has the column {shown(twice[0], 80)!r} twice; keep one of them")
            wanted = columns(names) if columns else None
            for batch in file.iter_batches(BATCH, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield where, bounded(where, row, told)
    except (OSError, ValueError, OverflowError, LookupError, pa.ArrowException) as error:
        reason = shown(" ".join(str(error).split()))
        raise told(
            f"{shown(path)}: is not readable as Parquet after row {number} ({reason}); write it again, or as JSON lines"
        ) from error


def bounded(where: str, row: dict[str, Any], told: Told) -> dict[str, Any]:
    """The row, if it is not too long."""
    if len(repr(row)) > files.LONGEST_ROW:
        raise told(f"{where}: is longer than {files.LONGEST_ROW} characters; shorten it")
    return row
