"""Whether the engine that rolls out has the trainer's weights: both say how likely the same few tokens are.

A sync that fails says nothing: an engine that kept its old output head, its old experts or no adapter goes on writing
fluent text, and the training goes wrong slowly. So after every sync the log-probabilities of the last tokens of some
prompts are asked of both. In float32 they agree to about 1e-5. In bfloat16 both round, each in its own way, and the
mean over the tokens is looked at; besides, an engine whose answers stay the same to the last bit while the trainer's
change has not heard of the step at all. How far the two are apart on the tokens of a batch is for the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from selfplay.config.errors import UserError

SEQUENCES = 4
TOKENS = 48
"""Of a prompt's end, at most: a probe holds the logits of all its tokens at once."""
MOVED = 1e-3
"""Nats by which the trainer's answers have changed on average where an engine's must have changed, too."""
FLOAT32_BOUND = 1e-4
ROUNDED_BOUND = 0.1

TokenIds = Sequence[Sequence[int]]
Logprobs = list[list[float]]
Scores = Callable[[TokenIds], Logprobs]
"""Gives the log-probability of each token of some sequences but the first, nats."""


class StaleEngine(UserError):
    """The engine that rolls out does not have the trainer's weights; the message names what to look at."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How far two engines may differ on the same tokens."""

    nats: float
    of: Literal["largest", "mean"]

    @classmethod
    def between(cls, exact: bool, nats: float | None = None) -> Bound:
        """The bound where both compute in float32, or not; `nats` is a recipe's own."""
        if exact:
            return cls(nats or FLOAT32_BOUND, "largest")
        return cls(nats or ROUNDED_BOUND, "mean")


@dataclass(frozen=True, slots=True)
class ProbeGap:
    """Differences of two sets of log-probabilities of the same tokens, nats."""

    largest: float
    mean: float

    @classmethod
    def of(cls, ours: Logprobs, theirs: Logprobs) -> ProbeGap:
        """Compares; a NaN anywhere makes both infinite."""
        pairs = [(a, b) for mine, yours in zip(ours, theirs, strict=True) for a, b in zip(mine, yours, strict=True)]
        apart = [math.inf if math.isnan(a - b) else abs(a - b) for a, b in pairs]
        return cls(max(apart), sum(apart) / len(apart))

    def within(self, bound: Bound) -> bool:
        """Whether it is small enough."""
        return (self.largest if bound.of == "largest" else self.mean) <= bound.nats


class WeightProbe:
    """Compares a trainer with its engine after each sync."""

    def __init__(self, sequences: TokenIds, bound: Bound) -> None:
        """
        Args:
            sequences: token ids, of which at least one has two.
            bound: how far the two may differ.
        """
        self.sequences = [list(ids)[-TOKENS:] for ids in sequences if len(ids) > 1][:SEQUENCES]
        if not self.sequences:
            raise ValueError("a probe has a sequence of two tokens or more")
        self.bound = bound
        self._before: tuple[Logprobs, Logprobs] | None = None
        self._kept = False

    def compare(self, network: Any, scores: Scores) -> ProbeGap:
        """Asks both; where training is spread over ranks, all must come here."""
        return self.heard(logprobs_of(network, self.sequences), scores(self.sequences))

    def heard(self, trainer: Logprobs, engine: Logprobs) -> ProbeGap:
        """Takes in what both said, and remembers it for the next time."""
        before, self._before = self._before, (trainer, engine)
        self._kept = False
        if before is not None and engine == before[1]:
            self._kept = ProbeGap.of(trainer, before[0]).mean > MOVED
        return ProbeGap.of(trainer, engine)

    def agrees(self, found: ProbeGap) -> bool:
        """Whether the engine has the trainer's weights, by the last comparison."""
        return found.within(self.bound) and not self._kept

    def fault(self, network: Any, found: ProbeGap, step: int) -> StaleEngine:
        """The error for an engine that does not agree; all ranks must come here."""
        likely = "it answers as before the last step; " if self._kept else self._without_adapter(network)
        return StaleEngine(
            f"training.grpo.rollouts: vLLM does not have the trainer's weights: after the sync at step {step} the "
            f"log-probabilities of the same tokens differ by up to {found.largest:.3g} nats, {found.mean:.3g} on "
            f"average ({self.bound.nats:g} are allowed for the {self.bound.of}); {likely}look at {suspects(network)}; "
            "with training.grpo.rollouts: transformers the run goes on from its last checkpoint"
        )

    def _without_adapter(self, network: Any) -> str:
        """A part of the sentence, where the engine answers as the base does, without the adapter that is trained."""
        if self._before is None or not hasattr(network, "disable_adapter"):
            return ""
        with network.disable_adapter():
            bare = logprobs_of(network, self.sequences)
        near = ProbeGap.of(bare, self._before[1]).within(self.bound)
        return "it answers as the base without its adapter; " if near else ""


def logprobs_of(network: Any, sequences: TokenIds) -> Logprobs:
    """The log-probability of each token but the first under a network, without dropout; one pass for all sequences."""
    longest = max(len(ids) for ids in sequences)
    device = next(network.parameters()).device
    # What stands behind a sequence is not seen by it.
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in sequences], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in sequences], device=device)
    with torch.no_grad(), _evaluating(network):
        logits = network(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    found = logits.gather(2, ids[:, 1:, None]).squeeze(2) - logits.logsumexp(2)
    return [row[: len(sequence) - 1] for row, sequence in zip(found.tolist(), sequences, strict=True)]


@contextmanager
def _evaluating(network: Any) -> Iterator[None]:
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def suspects(network: Any) -> str:
    """The classes of a network's parameters that syncs are known to lose, for a person to look at."""
    config = network.config
    names = [name for name, _ in network.named_parameters()]
    found = []
    if getattr(config, "tie_word_embeddings", False):
        found.append("the output head, which is tied to the embeddings")
    if experts := next((name for name in names if ".experts" in name), ""):
        found.append(f"the experts, which are packed ({experts})")
    if adapter := next((name for name in names if ".lora_" in name), ""):
        found.append(f"the adapter, which is merged for a sync ({adapter})")
    return ", ".join(found) or f"the names and shapes of all parameters, of which {names[0]} is the first"


def mismatch(output: dict[str, Any], config: Any) -> torch.Tensor:
    """Sums over this rank's tokens, or completions, to be added up over all ranks.

    Args:
        output: of TRL's `_generate_and_score_completions`, whose mask holds the tokens in the loss.
        config: TRL's GRPOConfig.

    Returns:
        [4]: the divergences of all tokens, by the estimator exp(d) - 1 - d of KL(engine || trainer), where d is the
        trainer's log-probability less the engine's (http://joschu.net/blog/kl-approx.html); how many tokens; importance
        ratios that TRL clips or masks; how many ratios.
    """
    mask = output["completion_mask"].bool()
    apart = (output["old_per_token_logps"] - output["sampling_per_token_logps"]).nan_to_num(nan=0.0)
    apart = torch.where(mask, apart, 0.0)
    divergence = torch.where(mask, apart.exp() - 1 - apart, 0.0).sum()
    if config.vllm_importance_sampling_mode.startswith("sequence"):
        ratios, counted = apart.sum(dim=1).exp(), mask.any(dim=1)
    else:
        ratios, counted = apart.exp(), mask
    least, most = config.vllm_importance_sampling_clip_min, config.vllm_importance_sampling_clip_max
    outside = torch.zeros_like(counted)
    if least is not None:
        outside |= ratios < least
    if most is not None:
        outside |= ratios > most
    return torch.stack([divergence, mask.sum(), (outside & counted).sum(), counted.sum()]).float()


def shares(sums: torch.Tensor) -> dict[str, float]:
    """The metrics of what was summed up."""
    divergence, tokens, clipped, ratios = (float(value) for value in sums)
    return {
        "sampling/kl": divergence / max(tokens, 1.0),
        "sampling/clip_share": clipped / max(ratios, 1.0),
    }
