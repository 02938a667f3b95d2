"""Rows of files, as they are: CSV, JSON arrays, JSON lines and Parquet, all within bounds."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from verifiers.untrusted import files
from verifiers.untrusted.files import Told, demand_file, json_rows, open_file, read_json
from verifiers.untrusted.json_values import parse_json
from verifiers.untrusted.shown import shown

BATCH = 256
"""Rows of a Parquet file that are held at once."""
TEXT_FILES = (".csv", ".tsv")
NUMBERS = ("time_limit_s", "memory_mb", "float_tolerance")
"""Columns of ours that are no texts."""
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
    if ending in TEXT_FILES:
        return _csv_rows(path, told)
    return _array_rows(path, told) if _is_array(path, told) else json_rows(path, told, "", files.LONGEST_ROW)


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
        if not isinstance(row, dict):
            raise told(f"{where}: is not a JSON object")
        yield where, bounded(where, row, told)


def _csv_rows(path: Path, told: Told) -> Iterator[Row]:
    """The rows of a CSV file with a header; an empty cell is one without a value."""
    lines = _text_lines(path, told)
    first = next(lines, "")
    comma = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
    # The module's limit is one for the whole process; the lines themselves are bounded.
    csv.field_size_limit(files.LONGEST_ROW)
    reader = csv.reader(chain([first], lines), delimiter=comma, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header) or len(set(header)) < len(header):
            raise told(f"{shown(path)}, line 1: names no column, or one twice; the first line of a CSV file names each")
        for cells in reader:
            where = f"{shown(path)}, line {reader.line_num}"
            if len(cells) > len(header):
                raise told(f"{where}: has {len(cells)} cells, but line 1 names {len(header)} columns; quote the texts")
            if any(cell.strip() for cell in cells):
                texts = (cell if cell.strip() else None for cell in cells)
                yield where, dict(zip_longest(header, texts))
    except csv.Error as error:
        raise told(f"{shown(path)}, line {reader.line_num}: is not CSV ({error}); quote texts with commas") from error


def _text_lines(path: Path, told: Told) -> Iterator[str]:
    """All lines, blank ones too, since a quoted text may have some."""
    with open_file(path, told) as file:
        number = 0
        while line := file.readline(files.LONGEST_ROW + 1):
            number += 1
            if len(line) > files.LONGEST_ROW:
                raise told(f"{shown(path)}, line {number}: is longer than {files.LONGEST_ROW} bytes; shorten it")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise told(f"{shown(path)}, line {number}: is not UTF-8 ({error.reason}); save it as UTF-8") from error


def of_texts(where: str, row: dict[str, Any], told: Told) -> dict[str, Any]:
    """A row of CSV, under our names, with lists and numbers where its cells say them.

    Concepts are a JSON list, or stand between semicolons.
    """
    found = dict(row)
    for name in (name for name in (*NUMBERS, "concepts") if name in row):
        if name == "concepts" and not row[name].lstrip().startswith("["):
            found[name] = [concept.strip() for concept in row[name].split(";") if concept.strip()]
            continue
        try:
            found[name] = parse_json(row[name], finite=False)
        except ValueError as error:
            raise told(f"{where}: `{name}` {error}") from error
    return found


def _parquet_rows(path: Path, told: Told, columns: Columns | None) -> Iterator[Row]:
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
                    yield where, bounded(where, row, told)
    except (OSError, ValueError, OverflowError, LookupError, pa.ArrowException) as error:
        raise told(f"{path}: is not readable as Parquet after row {number} ({error})") from error


def bounded(where: str, row: dict[str, Any], told: Told) -> dict[str, Any]:
    """The row, if it is not too long."""
    if len(repr(row)) > files.LONGEST_ROW:
        raise told(f"{where}: is longer than {files.LONGEST_ROW} characters; shorten it")
    return row
