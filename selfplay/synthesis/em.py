"""One round of expectation-maximisation (paper 2.3): the E-step updates q alone, the M-step p alone.

It is hard EM: the best of K rationales stands for the posterior, which drops the entropy of q from the bound and
seeks modes. What that can do to the rationales is measured every round (`selfplay.synthesis.measures`).
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from selfplay import formats
from selfplay.em_settings import EMStop
from selfplay.context import Context
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.records import Candidate, Seed
from selfplay.run import Stage
from selfplay.seeding import content_id
from selfplay.synthesis.cold_start import (
    PROMPT_MODEL,
    RATIONALE_MODEL,
    ModelPair,
    fit,
    prompt_example,
    rationale_example,
)
from selfplay.synthesis.inputs import for_rationale_model
from selfplay.synthesis.likelihood import is_whole, joint
from selfplay.synthesis.measures import measure
from selfplay.trainers.model_folder import trained_model
from selfplay.trainers.sft import Example, NothingToLearn


def em_stage(
    stage: Stage, context: Context, number: int, before: ModelPair, seeds: Sequence[Seed], heldout: Sequence[Seed]
) -> dict[str, Any]:
    """Runs round `number` from the models of the last; writes `candidates` and both models, and measures them."""
    pairs = observed_pairs(context, seeds)
    candidates = weigh_candidates(context, number, before, pairs)
    stage.write("candidates", Candidate, candidates)
    q = e_step(stage, context, before.q, pairs, candidates)
    p = m_step(stage, context, number, before.p, q, pairs)
    row = measure(context, number, ModelPair(p, q), heldout) | _selection(candidates)
    context.listener.log(stage.name, row)
    return {"row": row, "pairs": len(pairs), "candidates": len(candidates)}


def observed_pairs(context: Context, seeds: Sequence[Seed]) -> list[Seed]:
    """The pairs (c, x) of a round: all, or the same sample of each domain in every round."""
    limit = context.recipe.em.pairs
    chosen = []
    for domain in context.recipe.domains:
        own = [seed for seed in seeds if seed.domain == domain]
        if limit and limit < len(own):
            own = random.Random(context.seed("em", "pairs", domain)).sample(own, limit)
        chosen += own
    return chosen


def measured_pairs(context: Context, heldout: Sequence[Seed]) -> list[Seed]:
    """The held-out pairs on which rounds are measured: the first of each domain."""
    limit = context.recipe.em.heldout_pairs
    return [seed for domain in context.recipe.domains for seed in [s for s in heldout if s.domain == domain][:limit]]


class Patience:
    """Ends the loop when the held-out joint NLL no longer falls."""

    def __init__(self, settings: EMStop | None) -> None:
        self._settings = settings
        self._best = math.inf
        self._share = 0.0
        self.at_best = True
        """Whether the round told last is the best so far, or no rule asks for the best."""
        self._waited = 0

    def worth_another(self, row: Mapping[str, float]) -> bool:
        """Whether the loop should go on after a round with this row of measures."""
        if self._settings is None:
            self.at_best = True
            return True
        value, share = _number(row.get("joint_nll")), _number(row.get("greedy_whole_share", 1.0))
        # A mean over fewer whole rationales is no progress: the hard pairs may just have dropped out.
        progress = self._best - value > self._settings.min_gain and share >= self._share
        self._waited = 0 if progress or math.isinf(self._best) else self._waited + 1
        self.at_best = progress
        if progress:
            self._best, self._share = value, share
        return self._waited < self._settings.patience


def _number(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value


def weigh_candidates(context: Context, number: int, models: ModelPair, pairs: Sequence[Seed]) -> list[Candidate]:
    """Draws K rationales a pair from q, and computes R of each under p; the best whole one of each pair is chosen."""
    settings = context.recipe.em
    repeated = [seed for seed in pairs for _ in range(settings.candidates)]
    context.listener.begin(f"em {number}: drawing rationales", len(repeated))
    samples = context.engine(models.q).generate(
        [for_rationale_model(context.recipe, seed) for seed in repeated],
        Sampling(settings.sampling.temperature, settings.sampling.max_new_tokens, settings.sampling.top_p),
        context.seed("em", number, "candidates"),
        context.listener.advance,
    )
    whole = [index for index, sample in enumerate(samples) if is_whole(sample)]
    scored = joint(
        context.engine(models.p), context.recipe, [(repeated[index], samples[index].token_ids) for index in whole]
    )
    scores = dict(zip(whole, scored, strict=True))
    rows = []
    for start in range(0, len(repeated), settings.candidates):
        group = range(start, start + settings.candidates)
        rewards = {index: scores[index].reward(settings.reward) for index in group if index in scores}
        best = choose(rewards)
        for index in group:
            score = scores.get(index)
            rows.append(
                Candidate(
                    id=content_id(repeated[index].id, number, index - start),
                    seed_id=repeated[index].id,
                    round=number,
                    index=index - start,
                    rationale=_rationale_text(samples[index]),
                    token_ids=samples[index].token_ids,
                    complete=score is not None,
                    log_p_rationale=score.log_p_rationale if score else float("-inf"),
                    log_p_problem=score.log_p_problem if score else float("-inf"),
                    reward=rewards.get(index, float("-inf")),
                    chosen=index == best,
                )
            )
    return rows


def choose(rewards: dict[int, float]) -> int | None:
    """The index of the greatest reward, the lowest index among equals; None where there is no candidate."""
    return min(rewards, key=lambda index: (-rewards[index], index)) if rewards else None


def e_step(
    stage: Stage, context: Context, q: ModelRef, pairs: Sequence[Seed], candidates: Sequence[Candidate]
) -> ModelRef:
    """Updates q on the chosen rationales; the frozen arm keeps it."""
    settings = context.recipe.em
    if settings.e_step == "frozen":
        return q
    chosen = {candidate.seed_id: candidate.rationale for candidate in candidates if candidate.chosen}
    examples = [rationale_example(context.recipe, seed, chosen[seed.id]) for seed in pairs if seed.id in chosen]
    _demand(examples)
    return context.train(stage, [fit(stage, RATIONALE_MODEL, q, examples, settings.e_step_args)])[0]


def m_step(stage: Stage, context: Context, number: int, p: ModelRef, q: ModelRef, pairs: Sequence[Seed]) -> ModelRef:
    """Updates p on the greedy rationales of the updated q."""
    settings = context.recipe.em
    context.listener.begin(f"em {number}: greedy rationales", len(pairs))
    greedy = context.engine(q).generate(
        [for_rationale_model(context.recipe, seed) for seed in pairs],
        Sampling(0.0, settings.sampling.max_new_tokens),
        context.seed("em", number, "greedy"),
        context.listener.advance,
    )
    examples = [
        prompt_example(context.recipe, seed, _rationale_text(sample))
        for seed, sample in zip(pairs, greedy, strict=True)
        if is_whole(sample)
    ]
    _demand(examples)
    return context.train(stage, [fit(stage, PROMPT_MODEL, p, examples, settings.m_step_args)])[0]


def _demand(examples: Sequence[Example]) -> None:
    if not examples:
        raise NothingToLearn(
            "no pair has a whole rationale: raise em.sampling.max_new_tokens, or train q longer in cold_start"
        )


def round_models(stage: Stage, before: ModelPair) -> ModelPair:
    """The models after a round that is done."""
    p = trained_model(stage.folder / PROMPT_MODEL)
    frozen = not (stage.folder / RATIONALE_MODEL).exists()
    return ModelPair(p, before.q if frozen else trained_model(stage.folder / RATIONALE_MODEL))


def _rationale_text(sample: Sample) -> str:
    return formats.parse_rationale(sample.text).rationale


def _selection(candidates: Sequence[Candidate]) -> dict[str, float]:
    """R of the selected rationales before the update, and by how much they beat the mean of their rivals."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.complete:
            groups.setdefault(candidate.seed_id, []).append(candidate)
    chosen = [candidate for candidate in candidates if candidate.chosen]
    if not chosen:
        return {}
    means = [statistics.fmean(c.reward for c in group) for group in groups.values()]
    best = [candidate.reward for candidate in chosen]
    return {
        "reward": statistics.fmean(best),
        "reward_mean": statistics.fmean(means),
        "reward_log_p_rationale": statistics.fmean(c.log_p_rationale for c in chosen),
        "reward_log_p_problem": statistics.fmean(c.log_p_problem for c in chosen),
        "acceptance_margin": statistics.fmean(best) - statistics.fmean(means),
        "whole_share": sum(c.complete for c in candidates) / len(candidates),
    }
