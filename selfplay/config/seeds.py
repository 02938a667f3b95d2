"""The recipe's settings of seed problems: where they come from. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from selfplay.config.rows import Dataset, DatasetRows, Fields, FileRows, Rows
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


class UserSeeds(Section):
    """Shared by files and data sets of problems. Training on them needs `problem` and `answer` or `tests` alone.

    Synthesis needs concepts, levels and rationales as well, unless `cold_start` has annotators.
    """

    fields: Fields = {}
    """Columns of all splits that have other names: ours to theirs, as in `{problem: question}`."""
    level: Annotated[str | None, Field(min_length=1)] = None
    """Difficulty level of the problems that name none."""
    answers: Literal["required", "optional"] = "required"
    """Whether a training problem must have an answer or tests; a held-out one always must."""


class FileSeeds(UserSeeds):
    """The user's own problems: a file for each split, or a data set, with the columns that `fields` lists."""

    kind: Literal["file"]
    train: Rows
    """Training problems: a path relative to the recipe, or `{kind: file, path: ..., fields: ...}`, or
    `{kind: dataset, name: ..., split: ..., fields: ...}`."""
    heldout: Rows | None = None
    """Held-out problems, likewise; none holds back a share of the training problems."""
    heldout_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The share that is held back where `heldout` names nothing: chosen by content, so always the same problems."""
    dev: Rows | None = None
    """Development problems, likewise."""

    def rows(self, split: str) -> FileRows | DatasetRows | None:
        """Where the rows of a split are, under which names; None for a split that is not there."""
        own: FileRows | DatasetRows | None = getattr(self, split)
        return own if own is None else own.model_copy(update={"fields": self.fields | own.fields})


class DatasetSplit(Section):
    """One split of a data set, where its columns have names of their own."""

    split: str
    """The split; slices such as `train[:90%]` are understood."""
    fields: Fields = {}
    """Columns that have other names: ours to theirs, as in `{problem: question}`."""


def _of_split(value: Any) -> Any:
    return {"split": value} if isinstance(value, str) else value


SplitName = Annotated[DatasetSplit, BeforeValidator(_of_split, json_schema_input_type=str | DatasetSplit)]


class DatasetSeeds(Dataset, UserSeeds):
    """Problems from a data set that the `datasets` library loads."""

    train: SplitName = DatasetSplit(split="train")
    """Split of the training problems, such as `train[:90%]`; or `{split: ..., fields: ...}`."""
    heldout: SplitName = DatasetSplit(split="test")
    """Split of the held-out problems, likewise."""
    dev: SplitName | None = None
    """Split of the development problems, likewise."""

    def rows(self, split: str) -> DatasetRows | None:
        """Where the rows of a split are, under which names; None for a split that is not there."""
        own: DatasetSplit | None = getattr(self, split)
        if own is None:
            return None
        return DatasetRows(
            kind="dataset",
            name=self.name,
            subset=self.subset,
            revision=self.revision,
            split=own.split,
            fields=self.fields | own.fields,
        )


Seeds = Annotated[QuickstartSeeds | ProceduralSeeds | FileSeeds | DatasetSeeds, Field(discriminator="kind")]
