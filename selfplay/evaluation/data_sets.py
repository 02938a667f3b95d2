"""Sets of problems that analyses are of: files of rows, the prompts that a run has kept, and a run's seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.run.plan import Kind, read_plan
from selfplay.run.records import Prompt, Seed
from selfplay.run.tables import read_rows
from selfplay.seeds.row_files import rows_of_file
from selfplay.suites.rows import SuiteError

SEEDS = " (seeds)"
"""Behind the name of a run, where its seeds are meant."""
TRAIN = "train"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Problems, and of each the concepts that it was made of; empty where nobody names any."""

    texts: list[str]
    concepts: list[tuple[str, ...]]


def is_run(place: Path) -> bool:
    """Whether a path is a run directory."""
    return (place / "recipe.json").exists()


def read_set(place: Path, column: str, concepts: str) -> DataSet:
    """A data set: the rows of a file, or the prompts that a run's curation kept.

    Args:
        place: the file, or the run.
        column: of a file, the one with the problem.
        concepts: of a file, the one with a list of concepts; rows without it have none.

    Raises:
        SuiteError: the file has no such column, or no rows; the run has no prompts yet.
        RunError, RecordError: the run is damaged.
    """
    if is_run(place):
        kept = list(_prompts(place))
        if not kept:
            raise SuiteError(f"{place}: {_why_none(place)}")
        return DataSet([row.problem for row in kept], [row.concepts for row in kept])
    found = DataSet([], [])
    for where, row in rows_of_file(place, SuiteError):
        if not isinstance(row.get(column), str):
            columns = ", ".join(sorted(map(str, row)))[:200]
            raise SuiteError(f"{where}: has no text in `{column}`; name the column with --column; it has {columns}")
        found.texts.append(row[column])
        found.concepts.append(_listed(where, row, concepts))
    if not found.texts:
        raise SuiteError(f"{place}: has 0 rows; give another file")
    return found


def _why_none(run: Path) -> str:
    if any(read_plan(run).of_kind(Kind.CURATION)):
        return "has kept no prompts yet; wait for its curation, or give a file"
    return "makes no prompts of its own: its recipe trains on given ones; give their file"


def seeds_of(run: Path) -> DataSet:
    """The seeds that a run learns to write problems from.

    Raises:
        SuiteError: it has none yet.
        RunError, RecordError: the run is damaged.
    """
    rows = [row for table in _seed_tables(run) for row in read_rows(table, Seed)]
    if not rows:
        raise SuiteError(f"{run}: has no seeds yet; wait for its first stage, or leave out --seeds")
    return DataSet([row.problem for row in rows], [row.concepts for row in rows])


def _seed_tables(run: Path) -> list[Path]:
    """The training seeds of each domain, with the concepts that annotators found, where there are any."""
    plan = read_plan(run)
    for kind in (Kind.ANNOTATION, Kind.SEEDS):
        folders = [run / "stages" / stage.name for stage in plan.of_kind(kind)]
        if tables := sorted(table for folder in folders for table in folder.glob(f"*-{TRAIN}.parquet")):
            return tables
    return []


def _listed(where: str, row: Mapping[str, Any], column: str) -> tuple[str, ...]:
    given: Any = row.get(column)
    if given in (None, ""):
        return ()
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise SuiteError(f"{where}: `{column}` must be a list of texts; name another column with --concepts")
    return tuple(given)


def _prompts(run: Path) -> Iterator[Prompt]:
    for stage in read_plan(run).of_kind(Kind.CURATION):
        table = run / "stages" / stage.name / "prompts.parquet"
        if table.exists():
            yield from read_rows(table, Prompt, only_kept=True)
