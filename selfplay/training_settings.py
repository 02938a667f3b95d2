"""The settings of self-play training: one section for each update rule."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from selfplay.settings import SamplingSettings, Section, TrainerArguments


class UpdateRule(Section):
    """What every update rule has."""

    prompts: Annotated[int, Field(ge=0)] = 0
    """Prompts a round; 0 takes all labelled ones."""
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Only prompts whose label has at least this share of the votes (on top of labelling.min_agreement)."""
    args: TrainerArguments = {}
    """Arguments of TRL's configuration class."""


class GRPORule(UpdateRule):
    """Group-relative policy optimisation; `args` are those of TRL's GRPOConfig, which also says how many rollouts."""


class DPORule(UpdateRule):
    """Direct preference optimisation on pairs of rollouts; `args` are those of TRL's DPOConfig."""

    rollouts: Annotated[int, Field(ge=2, le=1024)] = 8
    """Completions a prompt."""
    pairs_per_prompt: Annotated[int, Field(ge=1)] = 4
    """Most pairs of one prompt."""


class RFTRule(UpdateRule):
    """Iterative SFT on verified rollouts; `args` are those of TRL's SFTConfig."""

    rollouts: Annotated[int, Field(ge=2, le=1024)] = 8
    """Completions a prompt."""
    samples_per_prompt: Annotated[int, Field(ge=1)] = 1
    """Most verified completions of one prompt, the most frequent text first."""


class ContinuedSFTRule(Section):
    """A control: further training on the seeds' worked solutions; `args` are those of TRL's SFTConfig."""

    args: TrainerArguments = {}
    """Arguments of TRL's configuration class."""


class TrainingSettings(Section):
    """Self-play: what updates the policy, and for how long. Each rule keeps its own settings."""

    algorithm: Literal["grpo", "dpo", "rft", "continued_sft"] = "grpo"
    """The rule in use."""
    rounds: Annotated[int, Field(ge=0, le=1000)] = 2
    """Self-play rounds, each from the policy of the last."""
    rewards: Literal["verified", "shuffled"] = "verified"
    """`shuffled` permutes the rewards between completions: a control that must not gain."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How rollouts are drawn."""
    lora: dict[str, Any] | None = None
    """Arguments of peft's LoraConfig; none trains all weights."""
    grpo: GRPORule = GRPORule()
    """Settings of grpo."""
    dpo: DPORule = DPORule()
    """Settings of dpo."""
    rft: RFTRule = RFTRule()
    """Settings of rft."""
    continued_sft: ContinuedSFTRule = ContinuedSFTRule()
    """Settings of the control."""

    @property
    def rule_args(self) -> TrainerArguments:
        """TRL's arguments of the rule in use."""
        args: TrainerArguments = getattr(self, self.algorithm).args
        return args
