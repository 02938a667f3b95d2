"""Reads and writes the typed tables of a run: an Arrow schema for each class of rows; durable, checked for damage."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selfplay.config.errors import RunStopped
from selfplay.run.files import whole_file
from verifiers.programs.task_rows import json_text, json_value
from verifiers.untrusted.files import demand_file

ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 1 << 22
"""Most rows of a table, and about the most bytes of them, that what reads or writes it in a stream holds in memory."""
UNREADABLE = (OSError, ValueError, OverflowError, LookupError, pa.ArrowException)
"""Errors of Arrow at a file that is damaged."""
DAMAGED = "delete it and run again"
RECORDS_AT_ONCE = 128
"""Most rows that are held as records: a list of numbers takes several times as much in Python as in Arrow."""

Record = TypeVar("Record", bound=Any)


class RecordError(RunStopped):
    """A table on disk is not what its name promises; the message names the file and the remedy."""


def schema_of(record: type[Any]) -> pa.Schema:
    """The Arrow schema of a record class, with its name and version in the metadata."""
    fields = [pa.field(name, _arrow_type(hint)) for name, hint in _hints(record).items()]
    metadata = {"record": record.__name__, "version": str(record.version)}
    return pa.schema(fields, metadata=metadata)


SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _arrow_type(hint: Any) -> pa.DataType:
    hint = _known(hint)
    if hint in SCALARS:
        return SCALARS[hint]
    if _is_json(hint):
        return pa.string()
    if typing.get_origin(hint) is tuple:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    return pa.struct([pa.field(name, _arrow_type(inner)) for name, inner in _hints(hint).items()])


@functools.cache
def _known(hint: Any) -> Any:
    """The type that a hint gives to values that are there."""
    if not isinstance(hint, types.UnionType):
        return hint
    return next(a for a in typing.get_args(hint) if a is not type(None))


@functools.cache
def _is_json(hint: Any) -> bool:
    """Whether values are any JSON values, or a tuple of such: a column of JSON texts holds them."""
    return hint is Any or hint == tuple[Any, ...]


def plain_row(row: Any) -> dict[str, Any]:
    """A row as its Arrow schema has it."""
    return {name: _plain(hint, getattr(row, name)) for name, hint in _hints(type(row)).items()}


def _plain(hint: Any, value: Any) -> Any:
    if value is None or (isinstance(value, str | int | float) and not _is_json(_known(hint))):
        return value
    known = _known(hint)
    if _is_json(known):
        return json_text(value)
    if typing.get_origin(known) is tuple:
        inner = typing.get_args(known)[0]
        return value if inner in SCALARS else [_plain(inner, item) for item in value]
    return plain_row(value)


def write_table(path: Path, record: type[Record], rows: Iterable[Record]) -> int:
    """Writes the rows as Parquet: to a temporary name first, so that `path` is whole or absent.

    The rows may come from a generator, which is read as the table is written.

    Returns:
        How many rows there are.
    """
    schema, count = schema_of(record), 0
    how = {"compression": "zstd", "write_page_checksum": True, "write_statistics": False}
    with whole_file(path) as file, pq.ParquetWriter(file, schema, **how) as writer:
        waiting, held = iter(rows), list[pa.Table]()
        while batch := list(itertools.islice(waiting, RECORDS_AT_ONCE)):
            count += len(batch)
            held.append(pa.Table.from_pylist([plain_row(row) for row in batch], schema=schema))
            if sum(map(len, held)) >= ROWS_AT_ONCE or sum(part.nbytes for part in held) >= BYTES_AT_ONCE:
                writer.write_table(pa.concat_tables(held))
                held.clear()
                _give_back()
        if held:
            writer.write_table(pa.concat_tables(held))
    return count


def write_arrow(path: Path, table: pa.Table) -> None:
    """Writes an Arrow table as Parquet, durably and atomically."""
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


def read_arrow(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a table of any record as an Arrow table: all columns, or some.

    Raises:
        RecordError: the file is damaged, or lacks a column.
    """
    demand_file(path, RecordError, DAMAGED)
    try:
        there = pq.read_schema(path).names
        if lacking := sorted(set(columns or ()) - set(there)):
            raise RecordError(f"{path}: has no column {lacking[0]}; it has {', '.join(there)}")
        return pq.read_table(path, columns=None if columns is None else list(columns))
    except UNREADABLE as error:
        raise RecordError(f"{path}: not a readable table ({error}); {DAMAGED}") from error


def _give_back() -> None:
    """Has Arrow's allocator return what it keeps of freed memory, which else adds up to tens of megabytes."""
    pa.default_memory_pool().release_unused()


def read_table(path: Path, record: type[Record]) -> list[Record]:
    """Reads rows back.

    Raises:
        RecordError: the file is damaged, or holds another record or another version of it.
    """
    return [row for batch in read_batches(path, record) for row in batch]


def read_batches(
    path: Path, record: type[Record], only_kept: bool = False, leave_out: Collection[str] = ()
) -> Iterator[list[Record]]:
    """Reads rows back, `RECORDS_AT_ONCE` or fewer at a time.

    Args:
        only_kept: leaves out the rows whose `dropped` says why.
        leave_out: fields that stay at their defaults, so that their columns need not be read.

    Raises:
        RecordError: as for `read_table`.
    """
    names = [name for name in _hints(record) if name not in leave_out]
    for table in read_columns(path, record, names):
        kept = table.filter(pc.equal(table["dropped"], "")) if only_kept else table
        for batch in kept.to_batches(max_chunksize=RECORDS_AT_ONCE):
            try:
                yield [typed_row(record, row) for row in batch.to_pylist()]
            except ValueError as error:
                raise RecordError(f"{path}: holds what is not JSON ({error}); delete it and run again") from error


def read_rows(
    path: Path, record: type[Record], only_kept: bool = False, leave_out: Collection[str] = ()
) -> Iterator[Record]:
    """Reads rows back one by one, in a stream; arguments and errors are those of `read_batches`."""
    return itertools.chain.from_iterable(read_batches(path, record, only_kept, leave_out))


def read_values(path: Path, record: type[Any], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of some fields, row by row, in a stream. Raises RecordError as `read_table` does."""
    for batch in read_columns(path, record, names):
        yield from zip(*(batch[name].to_pylist() for name in names), strict=True)


def read_plain(
    path: Path, record: type[Any], names: Sequence[str] | None = None, only: tuple[str, Sequence[str]] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows as their Arrow schema has them, in a stream: all columns, or some.

    Args:
        only: a column and values, for only those rows in which it has one of these.

    Raises:
        RecordError: as for `read_table`.
    """
    for batch in read_columns(path, record, names):
        if only is not None:
            column, values = only
            yield from batch.filter(pc.is_in(batch[column], value_set=pa.array(values, pa.string()))).to_pylist()
        else:
            yield from batch.to_pylist()


def read_columns(path: Path, record: type[Any], names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Reads some columns, or all, as Arrow tables of `ROWS_AT_ONCE` or fewer rows, as they were written together.

    Raises:
        RecordError: as for `read_table`.
    """
    demand_file(path, RecordError, DAMAGED)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _demand(path, record, file.schema_arrow)
            missing = file.metadata.num_rows
            columns = None if names is None else list(names)
            for group in range(file.metadata.num_row_groups):
                for batch in file.iter_batches(ROWS_AT_ONCE, [group], columns, use_threads=False):
                    missing -= batch.num_rows
                    yield pa.Table.from_batches([batch])
                _give_back()
            # Heads of pages have no checksum: damage there may hide rows.
            if missing:
                raise OSError(f"{missing} rows are missing")
    except UNREADABLE as error:
        raise RecordError(f"{path}: not a readable table ({error}); {DAMAGED}") from error


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


def _field_types(record: Any) -> dict[str, Any]:
    """The type of each field, in order."""
    hints = typing.get_type_hints(record)
    return {field.name: hints[field.name] for field in dataclasses.fields(record)}


_hints: Callable[[Any], dict[str, Any]] = functools.cache(_field_types)


def typed_row(record: type[Record], row: Mapping[str, Any]) -> Record:
    """The inverse of `plain_row`. Raises ValueError where a text that should be JSON is none."""
    hints = _hints(record)
    made: Record = record(**{name: _value(hints[name], value) for name, value in row.items()})
    return made


def _value(hint: Any, value: Any) -> Any:
    if value is None or hint is str or not isinstance(value, str | list | dict):
        return value
    known = _known(hint)
    if _is_json(known):
        found = json_value(str(value))
        return found if known is Any else tuple(found)
    if isinstance(value, list):
        inner = typing.get_args(known)[0]
        return tuple(value) if inner in SCALARS else tuple(_value(inner, item) for item in value)
    return typed_row(known, value) if isinstance(value, dict) else value
