"""Jobs of trainers, as types: one class for each trainer, and the place that the run decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfplay.config.compute import Sharding
from selfplay.config.domains import Domain
from selfplay.config.rules import CollapseGuard, GRPORule
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef

Router = Literal["frozen", "trained"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a training works, by which seed, and where it leaves the model."""

    device: str
    """`cpu` or `cuda`."""
    seed: int
    work: Path
    """TRL's output folder: checkpoints, the log, the tokens of the data set."""
    output: Path
    """The folder of the trained model."""
    rounding: Literal["nearest", "stochastic"] = "nearest"
    """How float32 weights become those of the engines' format."""
    sharding: Sharding = "none"
    """Whether each rank holds the whole model, or a part of it."""
    ranks: int = 0
    """Ranks that a global batch is meant for; a cluster that has lost nodes may have fewer. 0: as many as there are."""
    spared: tuple[str, ...] = ()
    """GPUs of this machine on which no rank is, as CUDA_VISIBLE_DEVICES names them."""
    offload: bool = False
    """Whether gradients and the optimiser's states lie in the host's memory."""
    sequence_ranks: int = 1
    """Ranks over which each sequence of an SFT is cut."""

    @property
    def is_sharded(self) -> bool:
        """Whether this process is one of several ranks among which a training is spread."""
        return self.sharding != "none" and int(os.environ.get("WORLD_SIZE", "1")) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerJob:
    """Shared by all trainings."""

    model: ModelRef
    """The model that it starts from; prompts go through its chat template where it has that style."""
    args: dict[str, Any]
    """Arguments of TRL's configuration class."""
    lora: dict[str, Any] | None = None
    """Arguments of peft's LoraConfig; None trains all weights."""
    router: Router = "frozen"
    """Whether the routers of a mixture of experts stay as they are."""
    keep_adapter: bool = False
    """Whether engines read a LoRA adapter beside its base; else they get a model into which it is merged."""

    @property
    def spares(self) -> int:
        """GPUs that the training needs beside its ranks."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTJob(TrainerJob):
    """Maximum likelihood on a table of `Example`."""

    examples: Path
    loss: Literal["completion", "all"] = "completion"
    """Tokens that count in the loss: the segments alone, or the prompt too."""
    heldout: Path | None = None
    """A table of `Example` on which it is measured what rounding costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DPOJob(TrainerJob):
    """Preferences, from a table of `Pair`."""

    pairs: Path
    collapse: CollapseGuard
    """When the training ends because chosen completions become unlikely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GRPOJob(TrainerJob):
    """Rolling out and learning in one loop, on a table of `PolicyTask`."""

    tasks: Path
    rule: GRPORule
    domains: Mapping[str, Domain]
    """Whose verifiers judge."""
    sandbox: SandboxSettings
    """Where they run programs."""
    store: Path
    """The run's store, which keeps verdicts."""
    shuffled: bool = False
    """Whether rewards are permuted: the control."""

    @property
    def spares(self) -> int:
        """GPUs of the server that rolls out."""
        return self.rule.own_gpus
