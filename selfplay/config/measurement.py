"""Settings of `selfplay evaluate`: how models are asked, and on what. Importing it loads no heavy library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.config.sandbox import SandboxSettings
from selfplay.config.section import MeasuredSampling, Section

Style = Literal["auto", "chat", "raw"]
EVERY = "all"


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
