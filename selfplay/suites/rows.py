"""Rows of a suite as they are published: of files here, of a data set, or of files that the hub holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.values.places import ROW_FILES
from selfplay.run.hub import PATIENCE_S, offline_without_hub
from selfplay.seeds.row_files import Row, rows_of_file
from selfplay.seeds.rows import dataset_rows
from verifiers.untrusted.files import json_rows

LONGEST_LINE = 1 << 28
"""Most bytes of a line of LiveCodeBench's files, which hold all tests of a problem."""


class SuiteError(UserError):
    """A suite that cannot be used; the message names it, the place and the remedy."""


def rows_of_files(files: Iterable[Path], long: bool = False) -> Iterator[Row]:
    """The rows of files, one after the other.

    Args:
        files: CSV, Parquet, JSON lists or JSON lines.
        long: whether lines may be longer than those of people's own files.

    Raises:
        SuiteError: a file, or a row of it, cannot be read.
    """
    for file in files:
        if long and file.suffix == ".jsonl":
            yield from json_rows(file, SuiteError, "; if the file was cut off, download it again", LONGEST_LINE)
        else:
            yield from rows_of_file(file, SuiteError)


def rows_of_data_set(
    suite: str, name: str, subset: str | None, split: str, revision: str | None, remedy: str = ""
) -> Iterator[Row]:
    """The rows of one split of a data set.

    Args:
        suite: for messages.
        name: what the `datasets` library loads, or a folder.
        subset: its configuration, where it has several.
        split: which.
        revision: branch, tag or commit on the hub.
        remedy: goes on with the sentence that says to give a folder.

    Raises:
        SuiteError: the library cannot load it.
    """
    try:
        yield from dataset_rows(name, subset, split, revision, SuiteError)
    except UserError as error:
        raise SuiteError(f"{suite}: {error}{remedy}") from error


def commit_of(name: str, revision: str | None) -> str | None:
    """The commit that a revision of a data set means on the hub now; None for a folder, and where no hub says."""
    if Path(name).is_dir() or offline_without_hub():
        return None
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        found = HfApi().dataset_info(name, revision=revision, timeout=PATIENCE_S).sha
    except (OSError, HfHubHTTPError, HFValidationError, httpx.HTTPError, ValueError):
        return None
    return found or None


def hub_files(suite: str, name: str, files: Iterable[str], revision: str | None) -> list[Path]:
    """Files of a data set of the hub, downloaded unless they are here. Raises SuiteError where one cannot be had."""
    offline_without_hub()
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return [Path(hf_hub_download(name, file, repo_type="dataset", revision=revision)) for file in files]
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SuiteError(
            f"{suite}: {name} cannot be had from the hub ({reason}); download its files where there is a network, and "
            "give their folder with --data"
        ) from error


def is_row_file(file: Path) -> bool:
    """Whether a file's ending is one of those that are read."""
    return file.suffix in ROW_FILES


def column_text(where: str, row: Mapping[str, Any], *names: str) -> str:
    """The text of the first of some columns that a row has; numbers become texts. Raises SuiteError without one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return str(value)
    named = " or ".join(f"`{name}`" for name in dict.fromkeys(names))
    raise SuiteError(f"{where}: has no text in {named}; it has {', '.join(sorted(map(str, row)))[:200]}")
