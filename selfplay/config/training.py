"""The settings of self-play training: its rounds, and the prompts that they learn from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfplay.config.rows import Rows
from selfplay.config.rules import ContinuedSFTRule, DPORule, GRPORule, PairFiles, RFTRule
from selfplay.config.section import (
    SamplingSettings,
    ScratchModel,
    Section,
    TrainerArguments,
)
from selfplay.config.teacher import SFTRule

ValidRule = Literal["thinking_not_empty", "no_cjk", "boxed_answer"]


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
