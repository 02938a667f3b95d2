"""Problems that no prompt may contain: files and data sets that the recipe names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfplay.config.curation import Benchmark, Curation, FileBenchmark
from selfplay.run.files import contents_hash
from selfplay.seeds.row_files import Row, rows_of_file
from selfplay.seeds.rows import SeedError, dataset_rows


def benchmark_problems(settings: Curation) -> dict[str, dict[str, str]]:
    """The problems of each benchmark, by `row N` as they come.

    Raises:
        SeedError: one cannot be read, lacks its column, or is empty.
    """
    found = {}
    for name, benchmark in settings.benchmarks.items():
        where = f"curation.benchmarks.{name}"
        rows = enumerate(_rows(where, benchmark), 1)
        found[name] = {f"row {number}": _text(where, benchmark, number, row) for number, (_, row) in rows}
        if not found[name]:
            raise SeedError(f"{where}: has no rows; name another split or file")
    return found


def benchmark_contents(settings: Curation) -> str:
    """A hash of the files of benchmarks on this machine; empty where none is named."""
    files: list[Path] = []
    for benchmark in settings.benchmarks.values():
        place = Path(benchmark.path if isinstance(benchmark, FileBenchmark) else benchmark.name)
        files += sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    return contents_hash(files) if files else ""


def _text(where: str, benchmark: Benchmark, number: int, row: dict[str, Any]) -> str:
    text = row.get(benchmark.column)
    if not isinstance(text, str):
        columns = sorted(row)[:12]
        raise SeedError(
            f"{where}.column: row {number} has no text in {benchmark.column!r}; it has {columns}: name the one with "
            "the problem"
        )
    return text


def _rows(where: str, benchmark: Benchmark) -> Iterator[Row]:
    def told(sentence: str) -> SeedError:
        return SeedError(f"{where}: {sentence}")

    def own(names: list[str]) -> list[str]:
        return [benchmark.column] if benchmark.column in names else names

    if isinstance(benchmark, FileBenchmark):
        return rows_of_file(Path(benchmark.path), told, own)
    return dataset_rows(benchmark.name, benchmark.subset, benchmark.split, benchmark.revision, told, own)
