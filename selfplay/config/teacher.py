"""The recipe's settings of SFT from a teacher: whose traces, which are kept. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfplay.config.annotation import LocalEngine, OpenAIEngine
from selfplay.config.section import SamplingSettings, ScratchModel, Section, TrainerArguments
from selfplay.config.values.places import TracesFile

TeacherEngine = Annotated[LocalEngine | OpenAIEngine | ScratchModel, Field(discriminator="kind")]


class Teacher(Section):
    """A model that solves the prompts, for the policy to learn from (paper section 4.2)."""

    engine: TeacherEngine
    """The model that answers; `scratch` is a tiny model that the run trains first, as its base."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0, max_new_tokens=16384)
    """How its traces are drawn."""
    traces: Annotated[int, Field(ge=1, le=1024)] = 1
    """Completions a prompt."""


class TraceFiles(Section):
    """Traces that somebody made before: CSV, JSON, JSON lines or Parquet, a prompt and a completion a row."""

    paths: Annotated[tuple[TracesFile, ...], Field(min_length=1)]
    """The files, relative to the recipe."""
    problem: str = "problem"
    """Column of the problem, which goes through the domain's solver_template; or a column `prompt`, taken as it is."""
    completion: str = "completion"
    """Column of the trace: `<think>…</think>` and an answer, or GPT-OSS channels, which are converted."""
    domain: str | None = None
    """Domain of the rows that name none; none takes the only one."""


class SFTRule(Section):
    """SFT on traces of a teacher; `args` are those of TRL's SFTConfig, `packing` among them."""

    teacher: Teacher | None = None
    """Who solves the run's prompts; none takes the traces from `files` alone."""
    files: TraceFiles | None = None
    """Traces made before, in place of a teacher's or beside them."""
    prompts: Annotated[int, Field(ge=0)] = 0
    """Prompts a round that the teacher solves; 0 takes all."""
    answers: Literal["unverified", "vote", "labels"] = "unverified"
    """`vote` keeps traces that agree with the majority of the teacher's; `labels` those that pass the run's labels."""
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.5
    """For `vote`: smallest share of a prompt's traces that the winner needs."""
    traces_per_prompt: Annotated[int, Field(ge=1)] = 1
    """Most traces of one prompt that are learnt from."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Longest prompt and trace together, in tokens of the policy's tokenizer; none sets no limit."""
    args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig."""

    @model_validator(mode="after")
    def _votes_can_differ(self) -> SFTRule:
        if self.answers == "vote" and self.teacher is not None and self.teacher.traces < 2:
            raise ValueError("answers: vote needs several traces a prompt; raise teacher.traces, to 4 say")
        return self
