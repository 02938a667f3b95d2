"""Problems that no prompt may contain: files and data sets that the recipe names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfplay.config.curation import Benchmark, Curation, DatasetBenchmark, FileBenchmark
from selfplay.seeds.rows import SeedError

LONGEST_ROW = 1 << 24


class Unreachable(SeedError):
    """No hub answers."""


def benchmark_problems(settings: Curation) -> dict[str, dict[str, str]]:
    """The problems of each benchmark, by `row N` as they come.

    Raises:
        SeedError: one cannot be read, lacks its column, or is empty.
    """
    found = {}
    for name, benchmark in settings.benchmarks.items():
        where = f"curation.benchmarks.{name}"
        rows = _file(where, benchmark) if isinstance(benchmark, FileBenchmark) else _dataset(where, benchmark)
        found[name] = {f"row {number}": _text(where, benchmark, number, row) for number, row in enumerate(rows, 1)}
        if not found[name]:
            raise SeedError(f"{where}: has no rows; name another split or file")
    return found


def benchmark_contents(settings: Curation) -> str:
    """A hash of the files of benchmarks on this machine; empty where none is named."""
    files: list[Path] = []
    for benchmark in settings.benchmarks.values():
        place = Path(benchmark.path if isinstance(benchmark, FileBenchmark) else benchmark.name)
        files += sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            with file.open("rb") as handle:
                while chunk := handle.read(1 << 20):
                    digest.update(chunk)
    return digest.hexdigest() if files else ""


def _text(where: str, benchmark: Benchmark, number: int, row: Any) -> str:
    text = row.get(benchmark.column) if isinstance(row, dict) else None
    if not isinstance(text, str):
        columns = sorted(row)[:12] if isinstance(row, dict) else type(row).__name__
        raise SeedError(
            f"{where}.column: row {number} has no text in {benchmark.column!r}; it has {columns}: name the one with "
            "the problem"
        )
    return text


def _file(where: str, benchmark: FileBenchmark) -> Iterator[Any]:
    path = Path(benchmark.path)
    if path.suffix == ".parquet":
        yield from _parquet(where, path, benchmark.column)
        return
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_ROW + 1):
            number += 1
            if len(line) > LONGEST_ROW:
                raise SeedError(f"{where}: {path}, line {number} is longer than {LONGEST_ROW} bytes; shorten it")
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise SeedError(f"{where}: {path}, line {number} is not JSON ({error})") from error


def _parquet(where: str, path: Path, column: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for batch in file.iter_batches(1024, columns=[column] if column in names else names):
                yield from batch.to_pylist()
    except (OSError, LookupError, pa.ArrowException) as error:
        raise SeedError(f"{where}: {path} is not readable as Parquet ({error})") from error


def _dataset(where: str, benchmark: DatasetBenchmark) -> Iterator[Any]:
    import datasets

    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            benchmark.name, benchmark.subset, split=benchmark.split, revision=benchmark.revision
        )
    except ConnectionError as error:
        raise Unreachable(
            f"{where}: {benchmark.name} is not on this machine and no hub answers; download it first, or give a folder"
        ) from error
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SeedError(
            f"{where}: the datasets library cannot load {benchmark.name}, split {benchmark.split} ({reason}); give a "
            "hub name, or a folder of Parquet or JSON lines files"
        ) from error
    if benchmark.column in rows.column_names:
        rows = rows.select_columns([benchmark.column])
    yield from rows
