"""Reads and writes the typed tables of a run: an Arrow schema for each class of rows; durable, checked for damage."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import types
import typing
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selfplay.run.files import whole_file

ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 1 << 25
"""Most rows of a table, and about the most bytes of them, that what reads or writes it in a stream holds in memory."""
RECORDS_AT_ONCE = 256
"""Most rows that are held as records: a list of numbers takes several times as much in Python as in Arrow."""

Record = TypeVar("Record", bound=Any)


class RecordError(ValueError):
    """A table on disk is not what its name promises; the message names the file and the remedy."""


def schema_of(record: type[Any]) -> pa.Schema:
    """The Arrow schema of a record class, with its name and version in the metadata."""
    hints = typing.get_type_hints(record)
    fields = [pa.field(f.name, _arrow_type(hints[f.name])) for f in dataclasses.fields(record)]
    metadata = {"record": record.__name__, "version": str(record.version)}
    return pa.schema(fields, metadata=metadata)


def _arrow_type(hint: Any) -> pa.DataType:
    scalars = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in scalars:
        return scalars[hint]
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return _arrow_type(next(a for a in arguments if a is not type(None)))
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    inner = typing.get_type_hints(hint)
    return pa.struct([pa.field(f.name, _arrow_type(inner[f.name])) for f in dataclasses.fields(hint)])


def write_table(path: Path, record: type[Record], rows: Iterable[Record]) -> None:
    """Writes the rows as Parquet: to a temporary name first, so that `path` is whole or absent.

    The rows may come from a generator, which is read as the table is written.
    """
    schema = schema_of(record)
    with whole_file(path) as file, _writer(file, schema) as writer:
        waiting, held = iter(rows), list[pa.Table]()
        while batch := list(itertools.islice(waiting, RECORDS_AT_ONCE)):
            held.append(pa.Table.from_pylist([to_row(row) for row in batch], schema=schema))
            if sum(map(len, held)) >= ROWS_AT_ONCE or sum(part.nbytes for part in held) >= BYTES_AT_ONCE:
                writer.write_table(pa.concat_tables(held))
                held.clear()
        if held:
            writer.write_table(pa.concat_tables(held))


def to_row(record: Any) -> dict[str, Any]:
    """A record as plain values; unlike `dataclasses.asdict`, it copies no list of numbers."""
    return {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_row(value)
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return [to_row(item) for item in value]
    return value


def write_arrow(path: Path, table: pa.Table) -> None:
    """Writes an Arrow table as Parquet, durably and atomically."""
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def _writer(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)


def read_table(path: Path, record: type[Record]) -> list[Record]:
    """Reads rows back.

    Raises:
        RecordError: the file is damaged, or holds another record or another version of it.
    """
    return [row for batch in read_batches(path, record) for row in batch]


def read_batches(path: Path, record: type[Record], only_kept: bool = False) -> Iterator[list[Record]]:
    """Reads rows back, `RECORDS_AT_ONCE` or fewer at a time.

    Args:
        path: the table.
        record: what its rows are.
        only_kept: leaves out the rows whose `dropped` says why.

    Raises:
        RecordError: as for `read_table`.
    """
    for table in read_columns(path, record):
        kept = table.filter(pc.equal(table["dropped"], "")) if only_kept else table
        for batch in kept.to_batches(max_chunksize=RECORDS_AT_ONCE):
            yield [_from_plain(record, row) for row in batch.to_pylist()]


def read_columns(path: Path, record: type[Any], names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Reads some columns, or all, as Arrow tables of `ROWS_AT_ONCE` or fewer rows, as they were written together.

    Raises:
        RecordError: as for `read_table`.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _demand(path, record, file.schema_arrow)
            missing = file.metadata.num_rows
            columns = None if names is None else list(names)
            for group in range(file.metadata.num_row_groups):
                for batch in file.iter_batches(ROWS_AT_ONCE, [group], columns):
                    missing -= batch.num_rows
                    yield pa.Table.from_batches([batch])
            # Heads of pages have no checksum: damage there may hide rows.
            if missing:
                raise OSError(f"{missing} rows are missing")
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not a readable table ({error}); delete it and run again") from error


def _demand(path: Path, record: type[Any], schema: pa.Schema) -> None:
    metadata = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (schema.metadata or {}).items()}
    found = (metadata.get("record"), metadata.get("version"))
    if found != (record.__name__, str(record.version)):
        raise RecordError(
            f"{path}: holds {found[0]} version {found[1]}, but this code reads {record.__name__} version "
            f"{record.version}; start a new run directory or use the code version that wrote it"
        )
    # The file's own description has no checksum: damage there may rename a column, or change its type.
    if not schema.equals(schema_of(record)):
        raise RecordError(
            f"{path}: not a readable table (its columns are not those of {found[0]}); delete it and run again"
        )


@functools.cache
def _hints(record: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _from_plain(record: type[Record], row: dict[str, Any]) -> Record:
    hints = _hints(typing.cast(Any, record))
    made: Record = record(**{name: _value(hints[name], value) for name, value in row.items()})
    return made


def _value(hint: Any, value: Any) -> Any:
    if value is None or not isinstance(value, list | dict):
        return value
    if isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, item) for item in value)
    return _from_plain(hint, value)
