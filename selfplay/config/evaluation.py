"""The settings of evaluation, in a run and by `selfplay evaluate`: held-out problems, and suites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.rows import TaskField
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.section import MeasuredSampling, Name, SamplingSettings, Section
from selfplay.config.values.places import DataSetName, DownloadsFolder, LockFile, RowsFile

Style = Literal["auto", "chat", "raw"]
EVERY = "all"


class UserSuite(Section):
    """Problems of one's own: rows of a file, or of a data set, with an answer or tests each."""

    templates = {"solver_template": ("problem",)}

    name: Name
    """Its figures are called so."""
    file: RowsFile | None = None
    """A JSON lines, JSON, CSV or Parquet file."""
    dataset: DataSetName | None = None
    """A name that the `datasets` library loads, or a folder."""
    subset: str | None = None
    """dataset: its configuration, where it has several."""
    split: str = "test"
    """dataset: which split; slices such as `test[:100]` are understood."""
    revision: str | None = None
    """dataset: branch, tag or commit on the hub."""
    fields: dict[TaskField | Literal["id"], str] = {}
    """Columns that have other names: ours to theirs, as in `{problem: question}`."""
    verifier: str = "math"
    """Name of the verifier, or `module:Name` of a plug-in."""
    verifier_params: dict[str, Any] = {}
    """Parameters of the verifier."""
    solver_template: str = "{problem}\n\nReason step by step, and put the final answer within \\boxed{}."
    """The prompt; field: problem."""
    unlabelled: bool = False
    """Whether rows may have neither answer nor tests: what is said of those is not judged."""

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        if (self.file is None) == (self.dataset is None):
            raise ValueError("a suite has either `file` or `dataset`; set one of them")
        return self


class SuiteEvaluation(Section):
    """Suites on which the policy is measured as the run goes on; nothing of the run is chosen by them."""

    names: tuple[str, ...] = ()
    """Named suites, such as `aime24` or `livecodebench:2024-08-01..2025-02-01` (docs/reference/suites.md)."""
    own: tuple[UserSuite, ...] = ()
    """Suites of one's own."""
    data: DownloadsFolder | None = None
    """Folder of files that have been downloaded, which named suites are taken from rather than from the hub."""
    lock: LockFile | None = None
    """File that pins the suites by commit and content: those that it lacks are added, another content is refused."""
    every: Annotated[int, Field(ge=1)] = 1
    """Rounds from one measurement to the next, from the base on."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 16
    """Completions a problem."""
    sampling: MeasuredSampling = MeasuredSampling()
    """How they are drawn."""
    limit: Annotated[int | None, Field(ge=1)] = None
    """Only so many problems of each suite, the first ones."""
    incomplete: bool = False
    """Whether a named suite may have fewer problems, or more, than were published."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.names and not self.own:
            raise ValueError("names no suite; set `names` or `own`, or leave evaluation.suites out")
        names = [*self.names, *(suite.name for suite in self.own)]
        if len(set(names)) < len(names):
            raise ValueError("names a suite twice; each has one name")
        return self


class Evaluation(Section):
    """Held-out accuracy, before and after each round."""

    problems: Annotated[int, Field(ge=1)] = 400
    """Held-out problems of each domain."""
    split: Literal["heldout", "dev"] = "heldout"
    """`dev` is for choosing settings; figures come from `heldout`."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 4
    """k, completions a problem and temperature."""
    temperatures: tuple[Annotated[float, Field(gt=0, le=5)], ...] = (1.0, 0.6)
    """Sampling temperatures of avg@k and pass@k."""
    greedy: bool = True
    """Also one greedy completion a problem."""
    max_new_tokens: Annotated[int, Field(ge=1, le=131072)] = 4096
    """Longest completion, in tokens."""
    bootstrap: Annotated[int, Field(ge=100, le=100000)] = 2000
    """Resamples of the problems for the 95% intervals."""
    suites: SuiteEvaluation | None = None
    """Benchmarks, by name or of one's own, beside the held-out problems; none measures on no others."""

    @model_validator(mode="after")
    def _measures_each_once(self) -> Evaluation:
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(
                "evaluation.temperatures names one twice, which would draw the same completions again and count them "
                "as others; raise evaluation.samples for more of them"
            )
        return self

    def sampling_at(self, temperature: float) -> SamplingSettings:
        """How completions are drawn at a temperature, from the whole distribution."""
        return SamplingSettings(temperature=temperature, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """All that a person says of a model beside its place."""

    dtype: str = "auto"
    style: Style = "auto"
    rounds: str = EVERY
    """Of a run: `all`, `best`, `base`, or numbers such as `0,3`."""
    served: str | None = None
    """The model's name at an endpoint."""
    api_key_env: str | None = None
    revision: str | None = None
    yarn: float = 1.0
    """Factor by which the positions of a model on this machine are stretched."""


class Measurement(Section):
    """How models are measured."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """The one seed that all others derive from."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 4
    """k, completions a problem."""
    sampling: MeasuredSampling = MeasuredSampling()
    """How they are drawn."""
    yarn: Annotated[float, Field(ge=1, le=64)] = 1.0
    """Factor by which YaRN stretches the context of a model on this machine; 1 leaves it as it is."""
    bootstrap: Annotated[int, Field(ge=100, le=100000)] = 10000
    """Resamples of the problems for the 95% intervals."""
    engine: EngineSettings = EngineSettings()
    """The engine that completes, where the model is on this machine."""
    compute: ComputeSettings = ComputeSettings()
    """Devices and processes."""
    sandbox: SandboxSettings = SandboxSettings()
    """Untrusted programs."""

    @model_validator(mode="after")
    def _stretches_in_one_place(self) -> Measurement:
        if self.engine.yarn != 1:
            raise ValueError(f"engine.yarn is for the engine of a run; here set yarn={self.engine.yarn:g} instead")
        return self

    def deciding(self) -> dict[str, Any]:
        """The settings on which completions depend, as plain JSON; an evaluation has one value of each."""
        kept = self.model_dump(mode="json", include={"seed", "samples", "sampling"})
        kept |= {} if self.yarn == 1 else {"yarn": self.yarn}
        return kept | {"engine": self.engine.model_dump(mode="json", include={"kind", "args"})}
