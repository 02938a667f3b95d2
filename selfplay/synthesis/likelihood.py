"""Likelihoods of rationales and problems: R(c,x,z), and bounds on log p(x|c) (docs/explanation/method.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.base import Sample, ScoringRequest, Segment
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.records import Seed

Kind = Literal["sum", "mean", "information_gain"]


@dataclass(frozen=True, slots=True)
class Joint:
    """The two terms of log p(z, x | c), in nats, and their numbers of tokens."""

    log_p_rationale: float
    log_p_problem: float
    rationale_tokens: int
    problem_tokens: int

    @property
    def total(self) -> float:
        """log p(z, x | c)."""
        return self.log_p_rationale + self.log_p_problem

    def reward(self, kind: Kind, rationale_weight: float = 1.0, log_p_problem_alone: float = 0.0) -> float:
        """R(c, x, z), in nats.

        Args:
            kind: `sum` adds log p(x|z,c) and the weighted log p(z|c); `mean` divides each by its number of tokens
                first; `information_gain` is log p(x|z,c) - log p(x|c).
            rationale_weight: the weight of log p(z|c), 1 in the paper.
            log_p_problem_alone: log p(x|c) of the same prompt model, for `information_gain`.
        """
        if kind == "information_gain":
            return self.log_p_problem - log_p_problem_alone
        if kind == "sum":
            return rationale_weight * self.log_p_rationale + self.log_p_problem
        per_token = self.log_p_rationale / self.rationale_tokens
        return rationale_weight * per_token + self.log_p_problem / self.problem_tokens


def joint(engine: ShardedEngine, recipe: Recipe, items: Sequence[tuple[Seed, Segment]]) -> list[Joint]:
    """log p(z|c) and log p(x|z,c) of rationale blocks, from one forward pass each; never of c."""
    requests = [
        ScoringRequest(for_prompt_model(recipe, seed), (block, formats.problem_block(seed.problem)))
        for seed, block in items
    ]
    return [Joint(z[0], x[0], z[1], x[1]) for z, x in (tuple(scores) for scores in engine.score_with_lengths(requests))]


def without_rationale(engine: ShardedEngine, recipe: Recipe, seeds: Sequence[Seed]) -> list[float]:
    """log p(x|c) of the same prompt model when the problem is asked for directly, with no rationale before it."""
    requests = [
        ScoringRequest(for_prompt_model(recipe, seed), (formats.problem_block(seed.problem),)) for seed in seeds
    ]
    return [sums[0] for sums in engine.score(requests)]


def proposal(engine: ShardedEngine, recipe: Recipe, items: Sequence[tuple[Seed, Segment]]) -> list[float]:
    """log q(z|c,x) of rationale blocks, in the ids that were sampled, without the token that ends them.

    A model may end a completion with any of several tokens, and which one it was is not kept. What is left out is at
    most 0 nats, so an importance weight comes out too small rather than too large, and a bound made of it stays one.
    """
    requests = [ScoringRequest(for_rationale_model(recipe, seed), (block,), ends=False) for seed, block in items]
    return [sums[0] for sums in engine.score(requests)]


def importance_bound(log_weights: Sequence[float | None]) -> float:
    """log (1/K) sum_k p(z_k, x|c) / q(z_k|c,x), with z_k ~ q: in expectation at most log p(x|c), tighter as K grows.

    Args:
        log_weights: log p(z_k, x|c) - log q(z_k|c,x), nats; None for a sample that is no whole rationale, which
            counts in K with weight 0.

    Returns:
        The bound in nats; -inf when every weight is 0.
    """
    present = [weight for weight in log_weights if weight is not None]
    if not present:
        return -math.inf
    top = max(present)
    total = sum(math.exp(weight - top) for weight in present)
    return top + math.log(total) - math.log(len(log_weights))


def is_whole(sample: Sample) -> bool:
    """Whether a sample is exactly one rationale block, which the model ended itself."""
    parsed = formats.parse_rationale(sample.text)
    ends_once = sample.text.endswith(formats.END_RATIONALE) and sample.text.count(formats.END_RATIONALE) == 1
    return sample.complete and not parsed.fault and ends_once and sample.text.startswith(formats.BEGIN_RATIONALE)


def for_prompt_model(recipe: Recipe, seed: Seed) -> str:
    """c, which p(z, x | c) reads."""
    return formats.prompt_input(recipe.domains[seed.domain], seed.concepts, seed.level)


def for_rationale_model(recipe: Recipe, seed: Seed) -> str:
    """c and x, which q(z | c, x) reads."""
    return formats.rationale_input(recipe.domains[seed.domain], seed.concepts, seed.level, seed.problem)
