"""The recipe's settings of rows that people have: a file or a data set, and what its columns are called.

Importing it loads no heavy library. `selfplay.seeds.rows` reads what is named here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from selfplay.config.section import Section
from selfplay.config.values.places import DataSetName, RowsFile

TaskField = Literal[
    "problem",
    "answer",
    "tests",
    "entry_point",
    "language",
    "time_limit_s",
    "memory_mb",
    "float_tolerance",
    "tolerance_kind",
    "comparison",
    "checker",
]
"""Columns of a task, as rows of `selfplay verify` have them."""
RowField = Literal[TaskField, "concepts", "level", "rationale", "solution", "source"]
"""All columns of a problem."""
Fields = dict[RowField, str]
"""Columns that have other names: ours to theirs, as in `{problem: question}`."""


class FileRows(Section):
    """Rows of a file: CSV, a JSON array, JSON lines or Parquet, by its ending and its first character."""

    kind: Literal["file"]
    path: RowsFile
    """The file, relative to the recipe."""
    fields: Fields = {}
    """Columns that have other names: ours to theirs, as in `{problem: question}`."""

    @property
    def name(self) -> str:
        """The file."""
        return self.path


class Dataset(Section):
    """A data set that the `datasets` library loads."""

    kind: Literal["dataset"]
    name: DataSetName
    """Hub name such as `openai/gsm8k`, or a folder, relative to the recipe."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    revision: str | None = None
    """Branch, tag or commit on the hub; a commit keeps the rows from changing."""


class DatasetRows(Dataset):
    """Rows of a data set that the `datasets` library loads."""

    split: str = "train"
    """Which of its splits; slices such as `train[:90%]` are understood."""
    fields: Fields = {}
    """Columns that have other names: ours to theirs, as in `{problem: question}`."""


AnyRows = Annotated[FileRows | DatasetRows, Field(discriminator="kind")]


def _of_path(value: Any) -> Any:
    return {"kind": "file", "path": value} if isinstance(value, str) else value


Rows = Annotated[AnyRows, BeforeValidator(_of_path, json_schema_input_type=str | AnyRows)]
"""A path, or a file or a data set with the names of its columns."""
