"""The settings of each update rule but SFT from a teacher: GRPO, DPO, rejection sampling, and the control."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfplay.config.section import Section, Supervision, TrainerArguments, refuse_pickles
from selfplay.config.values.places import PairsFile


class UpdateRule(Section):
    """The settings of every update rule."""

    prompts: Annotated[int, Field(ge=0)] = 0
    """Prompts a round; 0 takes all labelled ones."""
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Only prompts whose label has at least this share of the votes (on top of labelling.min_agreement)."""
    args: TrainerArguments = {}
    """Arguments of TRL's configuration class."""


class RolloutEngine(Section):
    """How vLLM rolls out within grpo; TRL's own settings of it, `vllm_...`, stand in grpo's `args`."""

    args: dict[str, Any] = {}
    """Arguments of vLLM's EngineArgs beside those that TRL sets, such as enforce_eager or hf_overrides."""
    probe_bound: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    """Nats by which vLLM and the trainer may differ after a sync on the same tokens: in float32 at most on any, else on
    average; null: 1e-4 in float32, else 0.1."""
    adapter: Literal["merged", "alone"] = "merged"
    """How an adapter (training.lora) reaches vLLM: merged into the base, all of whose weights are sent at each sync, or
    alone, beside a base that stays, by vLLM's own LoRA kernels; alone is for rollouts: vllm."""
    sync_timeout_s: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """Longest sync of the weights, in seconds, after which the run ends."""
    gpus: Annotated[int, Field(ge=1, le=64)] = 1
    """rollouts: server: GPUs of the server's own, this machine's last; the others train meanwhile. On a CPU it is a
    process beside the workers."""
    supervision: Supervision = Supervision()
    """rollouts: server: when it is started again."""

    def spread(self, name: str) -> int:
        """An argument of `args` that says over how many a model, or its prompts, are spread."""
        value = self.args.get(name, 1)
        return value if isinstance(value, int) and value > 0 else 1

    @model_validator(mode="after")
    def _weights_come_from_safetensors(self) -> RolloutEngine:
        refuse_pickles(self.args)
        return self


class GRPORule(UpdateRule):
    """Group-relative policy optimisation; `args` are those of TRL's GRPOConfig, or AsyncGRPOConfig where `trainer` is
    async_grpo, which also says how many rollouts."""

    trainer: Literal["grpo", "async_grpo"] = "grpo"
    """TRL's trainer. grpo is GRPOTrainer, with all that is said here. async_grpo is AsyncGRPOTrainer, whose arguments
    are then the `args`: on GPUs with FlashAttention, with rollouts: server and a max_staleness of 1 or more."""
    rollouts: Literal["transformers", "vllm", "server"] = "transformers"
    """The engine of its rollouts; vllm shares the trainer's device, and sleeps on a GPU while the trainer steps; server
    is vLLM in a process, and on GPUs, of its own, which the run starts, watches and ends."""
    vllm: RolloutEngine = RolloutEngine()
    """How vLLM rolls out, where it does."""
    max_staleness: Annotated[int, Field(ge=0, le=64)] = 0
    """rollouts: server: syncs by which the trainer may be ahead of the weights that wrote a completion; 1 draws the
    next batch while the trainer steps on this one; more is for trainer: async_grpo."""
    top_up: Annotated[float, Field(ge=0, le=16)] = 0.0
    """Most further rollouts of a generation batch, as a share of it, that replace groups which all pass or all fail;
    0 learns from the batch as it is."""
    token_budget: Annotated[int, Field(ge=0)] = 0
    """Completion tokens after which a round's training ends, also before `args` would end it; 0 sets no budget."""
    reward_threads: Annotated[int, Field(ge=1, le=1024)] = 64
    """Most completions that one rank's verifiers judge at a time, where a verifier has no workers of its own."""
    reward_timeout_s: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Longest wait for the verdicts of one batch, in seconds; rollouts without one by then teach nothing."""

    @model_validator(mode="after")
    def _trainer_fits(self) -> GRPORule:
        if self.trainer == "grpo":
            if self.max_staleness > 1:
                raise ValueError(
                    f"max_staleness: is {self.max_staleness}, but trainer: grpo draws one batch ahead; set it to 1, or "
                    "trainer to async_grpo"
                )
            return self
        faults = {
            f"rolls out by a server alone, and rollouts is {self.rollouts}; set that to server": (
                self.rollouts != "server"
            ),
            "learns from completions of older weights, and max_staleness is 0; raise that to 1 or more": (
                not self.max_staleness
            ),
            "takes completions as they come, and so has no batch to top up; set top_up to 0": bool(self.top_up),
            "ends by args.max_steps or num_train_epochs; set token_budget to 0": bool(self.token_budget),
        }
        if fault := next((fault for fault, holds in faults.items() if holds), ""):
            raise ValueError(f"trainer: async_grpo {fault}, or set trainer to grpo")
        return self

    @model_validator(mode="after")
    def _ahead_has_a_server(self) -> GRPORule:
        if self.max_staleness and self.rollouts != "server":
            raise ValueError(
                "max_staleness: 1 draws a batch while the trainer steps, on GPUs of its own; set rollouts to server, "
                "or drop it"
            )
        if self.max_staleness and self.args.get("vllm_importance_sampling_correction") is False:
            raise ValueError(
                "max_staleness: 1 learns from completions of older weights, which args.vllm_importance_sampling_"
                "correction corrects for; drop that argument, or max_staleness"
            )
        return self

    @model_validator(mode="after")
    def _adapter_has_a_sync(self) -> GRPORule:
        if self.vllm.adapter == "alone" and self.rollouts != "vllm":
            raise ValueError(
                f"vllm.adapter: alone is for rollouts: vllm, but rollouts is {self.rollouts}; set it to merged"
            )
        return self

    @property
    def own_gpus(self) -> int:
        """GPUs of a server that rolls out, where there are any."""
        return self.vllm.gpus if self.rollouts == "server" else 0

    def ranks(self, workers: int, gpus_each: int) -> int:
        """Of so many workers with so many GPUs each, those that train beside a server on their GPUs."""
        return workers - math.ceil(self.own_gpus / gpus_each)


class CollapseGuard(Section):
    """Ends a DPO training whose chosen completions become unlikely; the last checkpoint before that is kept."""

    drop: Annotated[float | None, Field(gt=0)] = 1.0
    """Largest fall of the chosen completions' log-probability, nats a token, against the round's first policy."""
    window: Annotated[int, Field(ge=1, le=1000)] = 4
    """Lines of the training's log (`args.logging_steps`) over which the fall is averaged."""


class PairFiles(Section):
    """Pairs that somebody made before: CSV, JSON, JSON lines or Parquet, a prompt and two completions a row."""

    paths: Annotated[tuple[PairsFile, ...], Field(min_length=1)]
    """The files, relative to the recipe."""
    prompt: str = "prompt"
    """Column of the policy's prompt, taken as it is: a text, or a list of one message."""
    chosen: str = "chosen"
    """Column of the better completion, likewise."""
    rejected: str = "rejected"
    """Column of the worse completion, likewise."""
    domain: str | None = None
    """Domain of the rows that name none; none takes the only one."""


class DPORule(UpdateRule):
    """Direct preference optimisation on pairs of rollouts; `args` are those of TRL's DPOConfig."""

    rollouts: Annotated[int, Field(ge=2, le=1024)] = 8
    """Completions a prompt."""
    pairs_per_prompt: Annotated[int, Field(ge=1)] = 4
    """Most pairs of one prompt."""
    files: PairFiles | None = None
    """Pairs made before: rounds learn from these, and roll out nothing."""
    collapse: CollapseGuard = CollapseGuard()
    """When the training is ended because right completions become unlikely; `drop: null` never ends it."""


class RFTRule(UpdateRule):
    """Iterative SFT on verified rollouts; `args` are those of TRL's SFTConfig."""

    rollouts: Annotated[int, Field(ge=2, le=1024)] = 8
    """Completions a prompt."""
    samples_per_prompt: Annotated[int, Field(ge=1)] = 1
    """Most verified completions of one prompt, the most frequent text first."""
    bands: Annotated[int, Field(ge=0, le=64)] = 0
    """Balance by difficulty: pass rates are cut into so many bands, none of which gets more than an even share of all
    samples; 0 takes the samples as they come."""


class ContinuedSFTRule(Section):
    """A control: further training on the seeds' worked solutions; `args` are those of TRL's SFTConfig."""

    args: TrainerArguments = {}
    """Arguments of TRL's configuration class."""
