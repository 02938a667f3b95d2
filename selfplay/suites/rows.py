"""Rows of a suite as they are published: of a file, of a data set, or of files that the hub holds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.seeds.rows import Row, rows_of
from verifiers.untrusted.files import LONGEST_ROW, json_rows, lines_of, read_json

LONGEST_LINE = 1 << 28
"""Most bytes of a line of LiveCodeBench's files, which hold all tests of a problem."""
ENDINGS = (".jsonl", ".parquet", ".csv", ".json")


class SuiteError(UserError):
    """A suite that cannot be used; the message names it, the place and the remedy."""


def file_rows(path: Path) -> Iterator[Row]:
    """The rows of a file: Parquet, CSV or a JSON list by its ending, else JSON lines.

    Raises:
        SuiteError: the file, or a row of it, cannot be read.
    """
    if path.suffix == ".csv":
        return _csv_rows(path)
    if path.suffix == ".json":
        return _list_rows(path)
    if path.suffix == ".parquet":
        return rows_of(path, None, SuiteError)
    return json_rows(path, SuiteError, "; if the file was cut off, download it again", LONGEST_LINE)


def _list_rows(path: Path) -> Iterator[Row]:
    content = read_json(path, SuiteError, "give a JSON list of objects, or JSON lines")
    if not isinstance(content, list):
        raise SuiteError(f"{path}: holds no JSON list; give a list of objects, or JSON lines")
    for number, row in enumerate(content, 1):
        if not isinstance(row, dict):
            raise SuiteError(f"{path}, item {number}: is not a JSON object")
        yield f"{path}, item {number}", row


def _csv_rows(path: Path) -> Iterator[Row]:
    def lines() -> Iterator[str]:
        for number, line in lines_of(path, LONGEST_ROW, SuiteError):
            try:
                # A spreadsheet marks the beginning of its files.
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise SuiteError(f"{path}, line {number}: is not UTF-8 text; save it as such") from error

    csv.field_size_limit(LONGEST_ROW)
    reader = csv.DictReader(lines(), strict=True)
    try:
        for number, row in enumerate(reader, 1):
            where = f"{path}, row {number}"
            if None in row or None in row.values():
                raise SuiteError(f"{where}: has another number of columns than the first line; mend it")
            yield where, dict(row)
    except csv.Error as error:
        raise SuiteError(f"{path}, line {reader.line_num}: is not CSV ({error}); mend it") from error


def dataset_rows(where: str, name: str, subset: str | None, split: str, revision: str | None) -> Iterator[Row]:
    """The rows of one split of a data set.

    Args:
        where: the suite, for messages.
        name: what the `datasets` library loads, or a folder.
        subset: its configuration, where it has several.
        split: which.
        revision: branch, tag or commit on the hub.

    Raises:
        SuiteError: the library cannot load it.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        rows: Iterable[Any] = datasets.load_dataset(name, subset, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SuiteError(
            f"{where}: the datasets library cannot load {name}, split {split} ({reason}); download it where there is a "
            "network, and give its folder with --data"
        ) from error
    for number, row in enumerate(rows, 1):
        yield f"{name}, split {split}, row {number}", dict(row)


def hub_files(where: str, name: str, files: Iterable[str], revision: str | None) -> list[Path]:
    """Files of a data set of the hub, downloaded unless they are here. Raises SuiteError where one cannot be had."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return [Path(hf_hub_download(name, file, repo_type="dataset", revision=revision)) for file in files]
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SuiteError(
            f"{where}: {name} cannot be had from the hub ({reason}); download its files where there is a network, and "
            "give their folder with --data"
        ) from error
