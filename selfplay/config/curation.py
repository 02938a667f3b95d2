"""The recipe's settings of curation: which prompts are dropped, and why. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from selfplay.config.annotation import AnnotatorEngine
from selfplay.config.rows import Dataset
from selfplay.config.section import Name, SamplingSettings, Section
from selfplay.config.values.places import RowsFile

Share = Annotated[float, Field(gt=0, le=1)]
Criterion = Literal["format", "accuracy", "difficulty", "concepts", "solvability"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


class FileBenchmark(Section):
    """Problems of a file that no prompt may contain."""

    kind: Literal["file"]
    path: RowsFile
    """CSV, JSON, JSON lines or Parquet, relative to the recipe."""
    column: str = "problem"
    """Where the problem stands in a row."""


class DatasetBenchmark(Dataset):
    """Problems of a data set, loaded by the `datasets` library, that no prompt may contain."""

    split: str = "test"
    """Which of its splits."""
    column: str = "problem"
    """Where the problem stands in a row."""


Benchmark = Annotated[FileBenchmark | DatasetBenchmark, Field(discriminator="kind")]


class PromptJudge(Section):
    """A model that reads prompts and scores them."""

    engine: AnnotatorEngine
    """The model that answers."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.0, max_new_tokens=1024)
    """How its answers are drawn."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How much it counts under the rule `weighted`."""


class Judging(Section):
    """Scores by models over a rubric, each criterion from 0 to `levels`."""

    judges: Annotated[dict[Name, PromptJudge], Field(min_length=1)]
    """Who judges, by name."""
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)] = CRITERIA
    """Criteria that are scored; a prompt that fails `difficulty` is dropped as a level mismatch."""
    levels: Annotated[int, Field(ge=1, le=100)] = 5
    """Greatest score."""
    rule: Literal["unanimous", "weighted"] = "unanimous"
    """`unanimous`: every judge gives the threshold or more on every criterion; `weighted`: their weighted mean does."""
    threshold: Annotated[float, Field(gt=0)] = 4.0
    """Least score of each criterion."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 2
    """Answers of a judge that cannot be read before it counts as silent; a silent judge is no consent."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Judging:
        if self.threshold > self.levels:
            raise ValueError(f"threshold is {self.threshold:g}, but no score is above levels, {self.levels}")
        return self


class PromptSolver(Section):
    """A model that solves prompts."""

    engine: AnnotatorEngine
    """The model that answers."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.7)
    """How its completions are drawn."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 1
    """Completions a prompt."""


class Solving(Section):
    """Keeps problems whose solvers agree on an answer; where answers are programs, labelling finds that out."""

    solvers: Annotated[dict[Name, PromptSolver], Field(min_length=1)]
    """Who solves, by name."""
    min_agreement: Share = 0.5
    """Least share of all completions that give the commonest answer; one without an answer counts against it."""
    min_solvers: Annotated[int, Field(ge=1)] = 1
    """Least number of solvers that give it at least once."""
    max_pass_rate: Share = 1.0
    """Greatest share of completions that give it: problems that every solver finds every time are too easy below 1."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Solving:
        total = sum(solver.samples for solver in self.solvers.values())
        if total < 2:
            raise ValueError("one completion agrees with itself; name more solvers, or give them more samples")
        if self.min_solvers > len(self.solvers):
            raise ValueError(f"min_solvers is {self.min_solvers}, but there are only {len(self.solvers)} solvers")
        if self.max_pass_rate < self.min_agreement:
            raise ValueError("max_pass_rate is below min_agreement, which leaves no prompt")
        return self


class Curation(Section):
    """Gates between a parsed prompt and a usable one; what they drop stays in the table with the reason."""

    near_duplicate_jaccard: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Two prompts, of one round or of two, whose word sets overlap more than this are duplicates; 1 turns it off."""
    near_duplicate_words: Literal["all", "long"] = "all"
    """Of a set: `all`, numbers and marks too; `long`, as the authors': four letters or more, no digit, not common."""
    bands: Annotated[int, Field(ge=1, le=512)] = 100
    """LSH bands; bands x band_rows MinHash permutations are used."""
    band_rows: Annotated[int, Field(ge=1, le=64)] = 4
    """Rows of each LSH band; 2 where the overlap is below about 0.4."""
    decontamination_ngram: Annotated[int, Field(ge=0, le=64)] = 13
    """Texts that share this many consecutive words with a held-out problem are dropped; 0 turns all of it off."""
    decontamination_characters: Annotated[float, Field(ge=0, le=1)] = 0.75
    """So are those that hold this share of a problem's runs of 16 letters and digits, or a shorter problem as sentences
    of their own; 0 leaves both out."""
    decontamination_lcs: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Shared words count only where the longest common subsequence is at least this share of the shorter text."""
    decontamination_spares_seed_wording: bool = False
    """Runs of words that the training seeds contain too are no evidence of a leak: for seeds made from templates."""
    benchmarks: dict[Name, Benchmark] = {}
    """Further problems that nothing trained on may contain, by name; held-out problems always belong to them."""
    min_words: Annotated[int, Field(ge=0)] = 4
    """Shortest problem, in words."""
    max_words: Annotated[int, Field(ge=1)] = 2000
    """Longest problem, in words."""
    drop: tuple[Literal["truncated", "proof", "answer_in_statement"], ...] = ()
    """Statements that break off, that ask for a proof, or that tell their answer."""
    language: Annotated[str, Field(pattern="^[a-z]{2}$")] | None = None
    """ISO 639-1 code, such as en, of the language that problems must be in; none takes all."""
    scripts: tuple[str, ...] = ()
    """Unicode scripts, such as Latin and Greek, outside of which no letter may lie; none takes all."""
    judging: Judging | None = None
    """Scores by models; none asks no judge."""
    solving: Solving | None = None
    """Agreement among solvers; none leaves that to labelling."""
