"""The settings of self-play training: one section for each update rule."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfplay.config.rows import Rows
from selfplay.config.section import (
    SamplingSettings,
    ScratchModel,
    Section,
    Supervision,
    TrainerArguments,
    refuse_pickles,
)
from selfplay.config.teacher import SFTRule
from selfplay.config.values.places import PairsFile

ValidRule = Literal["thinking_not_empty", "no_cjk", "boxed_answer"]


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


class PromptPool(Section):
    """Which prompts a round learns from, and where each round's come from."""

    arm: Literal["synthetic_only", "mixed", "external"] = "synthetic_only"
    """`mixed` adds external prompts, such as yours, to the synthesised ones; `external` has no synthesis at all."""
    each_round: Literal["reuse", "relabel", "resynthesise"] = "reuse"
    """Rounds after the first: the same prompts; the same, labelled and filtered anew by the last round's policy; or
    new prompts, curated, labelled and filtered."""
    external: dict[str, Rows] = {}
    """External prompts by domain, in the format of seeds: a path relative to the recipe, or a file or data set with
    `fields`, as for seeds; none takes the training seeds."""
    external_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """`mixed`: share of a round's prompts that are external (paper: 33% to 61% in sets of both)."""
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a round's prompts that earlier rounds trained on, from the second round on."""

    @model_validator(mode="after")
    def _fits(self) -> PromptPool:
        if self.arm == "mixed" and self.external_share + self.replay >= 1:
            raise ValueError(
                f"external_share {self.external_share:g} and replay {self.replay:g} leave no room for new prompts"
            )
        if self.arm == "external" and self.each_round != "reuse":
            raise ValueError(f"arm: external has no prompts to {self.each_round}; set each_round to reuse")
        if self.external and self.arm == "synthetic_only":
            raise ValueError("external names files, but arm is synthetic_only; set arm to mixed or external")
        return self


class Selection(Section):
    """Which round's policy is the run's, by accuracy on development problems."""

    problems: Annotated[int, Field(ge=1)] = 200
    """Development problems of each domain."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 4
    """Completions a problem."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 1.0
    """Sampling temperature; 0 is greedy, for which one sample is enough."""
    patience: Annotated[int | None, Field(ge=1)] = None
    """Rounds in a row without a better policy that end the run; none runs all rounds."""
    min_gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A round is better by this: accuracy, averaged over domains, above the best so far by more than this."""


class TrainingSettings(Section):
    """Self-play: what updates the policy, and for how long. Each rule keeps its own settings."""

    algorithm: Literal["grpo", "dpo", "rft", "sft", "continued_sft"] = "grpo"
    """The rule in use."""
    rounds: Annotated[int, Field(ge=0, le=1000)] = 2
    """Self-play rounds, each from the policy of the last."""
    pool: PromptPool = PromptPool()
    """Which prompts the rounds learn from."""
    selection: Selection | None = None
    """Early stopping, and the choice of the best round; none takes the last."""
    push_to_hub: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")] = None
    """`user/name` on the hub to which the policy is pushed at the end, as a private model; none pushes nothing."""
    thinking: Literal["optional", "required"] = "optional"
    """Whether dpo and rft take only completions that think, for models that always should."""
    valid: tuple[ValidRule, ...] = ()
    """Further demands on completions and traces: `thinking_not_empty`; `no_cjk`, where that is not the language;
    `boxed_answer`, where answers are no programs."""
    rewards: Literal["verified", "shuffled"] = "verified"
    """`shuffled` permutes the rewards between completions: a control that must not gain."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How rollouts are drawn; what grpo.args say of it themselves comes before."""
    lora: dict[str, Any] | None = None
    """Arguments of peft's LoraConfig; none trains all weights."""
    grpo: GRPORule = GRPORule()
    """Settings of grpo."""
    dpo: DPORule = DPORule()
    """Settings of dpo."""
    rft: RFTRule = RFTRule()
    """Settings of rft."""
    sft: SFTRule = SFTRule()
    """Settings of SFT from a teacher."""
    continued_sft: ContinuedSFTRule = ContinuedSFTRule()
    """Settings of the control."""

    @property
    def rule_args(self) -> TrainerArguments:
        """TRL's arguments of the rule in use."""
        args: TrainerArguments = getattr(self, self.algorithm).args
        return args

    @property
    def needs_prompts(self) -> bool:
        """Whether the rule in use learns from prompts of the run, synthesised or external."""
        return self.pair_files is None and (self.algorithm != "sft" or self.sft.teacher is not None)

    @property
    def pair_files(self) -> PairFiles | None:
        """The files of pairs that the rule in use learns from, if it does."""
        return self.dpo.files if self.algorithm == "dpo" else None

    @property
    def needs_labels(self) -> bool:
        """Whether the rule in use needs the answers or tests of its prompts."""
        if self.algorithm == "sft":
            return self.sft.teacher is not None and self.sft.answers == "labels"
        return self.pair_files is None

    @property
    def scratch_teacher(self) -> ScratchModel | None:
        """The teacher that the run trains first, if it does."""
        teacher = self.sft.teacher if self.algorithm == "sft" else None
        return teacher.engine if teacher is not None and isinstance(teacher.engine, ScratchModel) else None

    @model_validator(mode="after")
    def _rollouts_can_differ(self) -> TrainingSettings:
        if not self.rounds or self.algorithm not in ("grpo", "dpo") or self.pair_files is not None:
            return self
        own = self.rule_args if self.algorithm == "grpo" else {}
        for name, greedy, remedy in (("temperature", 0, "1.0 say"), ("top_k", 1, "0 say"), ("min_p", 1, "0 say")):
            if own.get(name, getattr(self.sampling, name)) == greedy:
                raise ValueError(
                    f"sampling.{name} is {greedy}, so that all rollouts of a prompt are the same and {self.algorithm} "
                    f"has nothing to compare; set it to {remedy}"
                )
        return self

    @model_validator(mode="after")
    def _adapter_can_go_alone(self) -> TrainingSettings:
        if self.algorithm != "grpo" or self.grpo.vllm.adapter != "alone":
            return self
        if self.lora is None:
            raise ValueError("grpo.vllm.adapter: alone sends an adapter, and lora is not set; set it, or take merged")
        given = {name: self.lora.get(name) for name in ("modules_to_save", "use_dora", "bias", "target_parameters")}
        given["target_modules"] = "lm_head" in (self.lora.get("target_modules") or ())
        for name, value in given.items():
            if value not in (None, False, "none"):
                raise ValueError(f"lora.{name} is nothing that vLLM takes alone; set grpo.vllm.adapter to merged")
        return self

    @model_validator(mode="after")
    def _has_rewards_to_shuffle(self) -> TrainingSettings:
        if self.rewards == "shuffled" and self.algorithm in ("sft", "continued_sft"):
            raise ValueError(
                f"rewards: shuffled permutes the verdicts of rollouts, and {self.algorithm} has none; take grpo, dpo "
                "or rft, or leave rewards out"
            )
        return self

    @model_validator(mode="after")
    def _has_verdicts(self) -> TrainingSettings:
        if self.rewards == "shuffled" and self.pair_files is not None:
            raise ValueError("pairs of dpo.files have no verdicts to shuffle; leave rewards out, or take out dpo.files")
        return self

    @model_validator(mode="after")
    def _has_a_teacher(self) -> TrainingSettings:
        if self.algorithm == "sft" and self.sft.teacher is None and self.sft.files is None:
            raise ValueError("algorithm: sft learns from a teacher; set sft.teacher, or sft.files for traces you have")
        if self.algorithm == "sft" and self.sft.teacher is None and self.sft.answers != "unverified":
            raise ValueError(
                f"sft.answers: {self.sft.answers} needs sft.teacher; traces of files are taken as they are"
            )
        return self
