"""Rows as people have them, under our column names: the one reader of files and data sets that a recipe names.

`rows_of` reads what `selfplay.config.rows` describes, as plain values; what a row means is for the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from selfplay.config.errors import UserError
from selfplay.config.rows import DatasetRows, FileRows, RowField
from selfplay.run.hub import offline_without_hub
from selfplay.seeds.csv_files import TEXT_FILES, of_texts
from selfplay.seeds.row_files import Columns, Row, bounded, rows_of_file
from verifiers.untrusted.files import Told
from verifiers.untrusted.shown import quoted

COLUMNS: tuple[RowField, ...] = get_args(RowField)
NOTHING: Mapping[Sequence[RowField], str] = {}
TASK = "task"
"""Column of a run's own tables that holds several of ours."""


class SeedError(UserError):
    """Rows that cannot be used; the message names file, line, field and remedy."""


class Unreachable(SeedError):
    """No hub answers."""


def rows_of(
    source: FileRows | DatasetRows, told: Told = SeedError, needed: Mapping[Sequence[RowField], str] = NOTHING
) -> Iterator[Row]:
    """The rows of a file or a data set, each with its place and its values under our names; nulls are left out.

    Args:
        source: where they are, and what their columns are called.
        told: the error where they cannot be read.
        needed: columns of which one each must be there, if only empty, as `("answer", "tests")`, with a second remedy.

    Raises:
        SeedError: they cannot be read, or a column that `fields` names is not there; of another `told` what it makes.
        Unreachable: the data set is not on this machine, and no hub answers.
    """

    def ours(columns: list[str]) -> list[str]:
        found = _ours(source.name, columns, source.fields, told)
        if TASK not in columns:
            _demand_columns(source.name, columns, source.fields, told, needed)
        return found

    if isinstance(source, FileRows):
        found = rows_of_file(Path(source.path), told, ours)
    else:
        found = dataset_rows(source.name, source.subset, source.split, source.revision, told, ours)
    texts = isinstance(source, FileRows) and source.path.lower().endswith(TEXT_FILES)
    for where, row in found:
        ours_alone = renamed(where, row, source.fields, told)
        if TASK not in row:
            _demand_columns(where, row, source.fields, told, needed)
        yield where, of_texts(where, ours_alone, told) if texts else ours_alone


def dataset_rows(
    name: str,
    subset: str | None,
    split: str,
    revision: str | None,
    told: Told = SeedError,
    columns: Columns | None = None,
) -> Iterator[Row]:
    """The rows of one split of a data set as they are; of its columns only those that `columns` chooses are decoded.

    Raises:
        Unreachable: it is not on this machine, and no hub answers.
        SeedError: the library cannot load it; of another `told` what it makes.
    """
    if not Path(name).is_dir():
        offline_without_hub()
    import datasets

    datasets.disable_progress_bars()
    where = f"{name}, split {split}"
    try:
        table = datasets.load_dataset(name, subset, split=split, revision=revision)
    except ConnectionError as error:
        raise Unreachable(
            f"{where}: is not on this machine, and no hub answers; download it first, or give a folder or a file"
        ) from error
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise told(
            f"{where}: the datasets library cannot load it ({reason}); give a hub name, or a folder of Parquet, CSV or "
            "JSON lines files"
        ) from error
    wanted = columns(table.column_names) if columns else table.column_names
    for number, row in enumerate(table.select_columns(wanted), 1):
        place = f"{where}, row {number}"
        yield place, bounded(place, dict(row), told)


def files_of(sources: Iterable[FileRows | DatasetRows | None]) -> list[Path]:
    """The files on this machine that these are read from."""
    found: list[Path] = []
    for source in sources:
        if isinstance(source, FileRows):
            found.append(Path(source.path))
        elif source is not None and Path(source.name).is_dir():
            found += sorted(file for file in Path(source.name).rglob("*") if file.is_file())
    return list(dict.fromkeys(found))


def _ours(where: str, columns: list[str], fields: Mapping[RowField, str], told: Told) -> list[str]:
    """Those columns that hold something of ours, under their own names."""
    for name, theirs in fields.items():
        if theirs not in columns:
            raise told(
                f"{where}: has no column {theirs!r}, which fields.{name} names; it has {columns}: set fields.{name} to "
                "one of these"
            )
    wanted = [TASK, *(fields.get(name, name) for name in COLUMNS)]
    return list(dict.fromkeys(column for column in wanted if column in columns))


def _demand_columns(
    where: str,
    columns: Collection[str],
    fields: Mapping[RowField, str],
    told: Told,
    needed: Mapping[Sequence[RowField], str],
) -> None:
    for names, remedy in needed.items():
        if not any(fields.get(name, name) in columns for name in names):
            raise told(
                f"{where}: has no column {' or '.join(f'`{name}`' for name in names)}; it has {sorted(columns)}: say "
                f"in the fields of the seeds what yours is called, as in fields: {{{names[0]}: NAME}}{remedy}"
                f"{_rows_within(columns)}"
            )


def _rows_within(columns: Collection[str]) -> str:
    """The remedy where a file is one object that holds its rows, as `{"data": [...]}`, to stand after others."""
    values = columns.items() if isinstance(columns, Mapping) else ()
    inner = [name for name, value in values if isinstance(value, list) and value and isinstance(value[0], dict)]
    return f"; or, if the rows are in {quoted(inner[0], 40)}, write that list alone" if inner else ""


def renamed(where: str, row: dict[str, Any], fields: Mapping[RowField, str], told: Told = SeedError) -> dict[str, Any]:
    """The row under our names; what is null counts as absent. Raises `told` where a named column is missing."""
    task = row.get(TASK)
    row = row | task if isinstance(task, dict) else row
    for name, theirs in fields.items():
        if theirs not in row:
            raise told(
                f"{where}: has no {theirs!r}, which fields.{name} names; it has {sorted(row)}: set fields.{name} to "
                "one of these"
            )
    found = {name: row.get(fields.get(name, name)) for name in COLUMNS}
    return {name: value for name, value in found.items() if value is not None}
