"""The recipe's settings of seed problems: where they come from. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from selfplay.config.section import Section


class MadeSeeds(Section):
    """Shared by problems that are generated."""

    train: Annotated[int, Field(ge=1)] = 3000
    """Number of training seeds."""
    dev: Annotated[int, Field(ge=0)] = 0
    """Number of development problems."""
    heldout: Annotated[int, Field(ge=0)] = 400
    """Number of held-out problems."""


class QuickstartSeeds(MadeSeeds):
    """Procedural problems shipped with this project (math: word problems; code: programs on lists)."""

    kind: Literal["quickstart"]
    grammar: Literal["math", "code"]
    """Which generator to use."""
    slip_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of worked solutions with one deliberate slip, so that the base can but often doesn't."""


class ProceduralSeeds(MadeSeeds):
    """Problems made by a `reasoning-gym` generator (extra `procedural`)."""

    kind: Literal["reasoning_gym"]


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
SeedField = TaskField | Literal["concepts", "level", "rationale", "solution", "source"]
"""All columns of a seed problem."""


class UserSeeds(Section):
    """Shared by files and data sets of problems. Only `problem` is needed where `cold_start` has annotators."""

    fields: dict[SeedField, str] = {}
    """Columns that have other names: ours to theirs, as in `{problem: question}`."""
    level: Annotated[str | None, Field(min_length=1)] = None
    """Difficulty level of the problems that name none."""
    answers: Literal["required", "optional"] = "required"
    """Whether a training problem must have an answer or tests; a held-out one always must."""

    @property
    def source_name(self) -> str:
        """The source of problems that name none."""
        return "file"


class FileSeeds(UserSeeds):
    """The user's own seed problems: JSON lines or Parquet, with the columns that `fields` lists."""

    kind: Literal["file"]
    train: str
    """Path of the training seeds, relative to the recipe."""
    heldout: str
    """Path of the held-out problems, relative to the recipe."""
    dev: str | None = None
    """Path of the development problems, relative to the recipe."""


class DatasetSeeds(UserSeeds):
    """Seed problems from a data set that the `datasets` library loads."""

    kind: Literal["dataset"]
    name: str
    """Hub name such as `openai/gsm8k`, or a folder, relative to the recipe."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    revision: str | None = None
    """Branch, tag or commit on the hub; a commit keeps the problems from changing."""
    train: str = "train"
    """Split of the training seeds; slices such as `train[:90%]` are understood."""
    heldout: str = "test"
    """Split of the held-out problems."""
    dev: str | None = None
    """Split of the development problems."""

    @property
    def source_name(self) -> str:
        """The data set."""
        return self.name


Seeds = Annotated[QuickstartSeeds | ProceduralSeeds | FileSeeds | DatasetSeeds, Field(discriminator="kind")]
