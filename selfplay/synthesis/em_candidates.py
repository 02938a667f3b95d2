"""The candidates of an E-step: K rationales a pair from q, their rewards under p, and which of them q learns from.

Hard assignment keeps the best (the paper). Soft assignment keeps all, by normalised importance weights
w_k = p(z_k, x|c) / q(z_k|c,x): the self-normalised estimate of the posterior. TRL's SFTTrainer has no weight for an
example, so the weights become numbers of copies, by systematic resampling: each candidate's expected number of copies
is its weight times the number drawn, and it never gets further from that than 1.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selfplay import formats
from selfplay.config.em import EM
from selfplay.engines.base import Sample, Sampling
from selfplay.run.records import Candidate, CandidateWeight, Seed
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.likelihood import Joint, for_rationale_model, is_whole, joint, proposal, without_rationale
from selfplay.synthesis.measures import copy_rate

NEVER = -math.inf


@dataclass(frozen=True, slots=True)
class Weighed:
    """The candidates of all pairs, in the order of the pairs and of their drawing."""

    candidates: list[Candidate]
    weights: list[CandidateWeight]
    """One for each candidate where the assignment is soft, else none."""

    def copies(self) -> dict[str, list[tuple[str, int]]]:
        """For each pair that has a choice, by seed id: the rationales chosen, and how often each counts."""
        times = {weight.candidate_id: weight.copies for weight in self.weights}
        chosen: dict[str, list[tuple[str, int]]] = {}
        for candidate in self.candidates:
            if candidate.chosen:
                chosen.setdefault(candidate.seed_id, []).append((candidate.rationale, times.get(candidate.id, 1)))
        return chosen


def weigh_candidates(context: Context, number: int, models: ModelPair, pairs: Sequence[Seed]) -> Weighed:
    """Draws K rationales a pair from q, computes R of each under p, and marks those that q is to learn from."""
    settings = context.recipe.em
    repeated = [seed for seed in pairs for _ in range(settings.candidates)]
    context.listener.begin(f"em {number}: drawing rationales", len(repeated))
    samples = context.engine(models.rationale_model).generate(
        [for_rationale_model(context.recipe, seed) for seed in repeated],
        Sampling.of(settings.sampling),
        context.seed("em", number, "candidates"),
        context.listener.advance,
    )
    whole = [index for index, sample in enumerate(samples) if is_whole(sample)]
    items = [(repeated[index], samples[index].token_ids) for index in whole]
    scores = dict(zip(whole, joint(context.engine(models.p), context.recipe, items), strict=True))
    alone = _problems_alone(context, models, pairs)
    rewards = {
        index: score.reward(settings.reward, settings.rationale_weight, alone.get(repeated[index].id, 0.0))
        for index, score in scores.items()
    }
    rows = [
        _row(seed, number, index % settings.candidates, samples[index], scores.get(index), rewards.get(index, NEVER))
        for index, seed in enumerate(repeated)
    ]
    if settings.assignment == "hard":
        return Weighed(assign_hard(rows, settings), [])
    log_q = proposal(context.engine(models.rationale_model), context.recipe, items)
    of_row = {rows[index].id: value for index, value in zip(whole, log_q, strict=True)}
    return assign_soft(rows, of_row, settings, context.seed("em", number, "copies"))


def _problems_alone(context: Context, models: ModelPair, pairs: Sequence[Seed]) -> dict[str, float]:
    """log p(x|c) with no rationale before it, by seed id, where the reward asks for it."""
    if context.recipe.em.reward != "information_gain":
        return {}
    sums = without_rationale(context.engine(models.p), context.recipe, pairs)
    return {seed.id: value for seed, value in zip(pairs, sums, strict=True)}


def _row(seed: Seed, number: int, index: int, sample: Sample, score: Joint | None, reward: float) -> Candidate:
    return Candidate(
        id=content_id(seed.id, number, index),
        seed_id=seed.id,
        round=number,
        index=index,
        rationale=formats.parse_rationale(sample.text).rationale,
        token_ids=sample.token_ids,
        complete=score is not None,
        log_p_rationale=score.log_p_rationale if score else NEVER,
        log_p_problem=score.log_p_problem if score else NEVER,
        reward=reward,
        chosen=False,
    )


def assign_hard(rows: Sequence[Candidate], settings: EM) -> list[Candidate]:
    """The rows with the best of each pair chosen; the lowest index among equals."""
    chosen = set()
    for group in _pairs(rows):
        best = choose(_eligible(group, settings))
        if best is not None:
            chosen.add(group[best].id)
    return [replace(row, chosen=row.id in chosen) for row in rows]


def choose(rewards: Mapping[int, float]) -> int | None:
    """The index of the greatest reward, the lowest index among equals; None where there is no candidate."""
    return min(rewards, key=lambda index: (-rewards[index], index)) if rewards else None


def assign_soft(rows: Sequence[Candidate], log_q: Mapping[str, float], settings: EM, seed: int) -> Weighed:
    """The rows with every candidate chosen that gets copies, and their weights.

    Args:
        rows: whole pairs; their rewards are log-densities up to a constant of the pair.
        log_q: log q(z|c,x) of each complete row by its id.
        settings: what may be chosen, and how many copies a pair gets.
        seed: each pair draws from its own stream of it, whatever the other pairs are.
    """
    marked: list[Candidate] = []
    weights: list[CandidateWeight] = []
    for group in _pairs(rows):
        eligible = _eligible(group, settings)
        shares = normalised({index: reward - log_q[group[index].id] for index, reward in eligible.items()})
        start = random.Random(f"{seed}/{group[0].seed_id}").random()
        drawn = resample([shares.get(i, 0.0) for i in range(len(group))], settings.soft_copies or len(group), start)
        for index, row in enumerate(group):
            copies = drawn[index] if shares else 0
            density = log_q.get(row.id, NEVER)
            weights.append(CandidateWeight(row.id, density, shares.get(index, 0.0), copies))
            marked.append(replace(row, chosen=copies > 0))
    return Weighed(marked, weights)


def normalised(log_weights: Mapping[int, float]) -> dict[int, float]:
    """Weights that add up to 1, from their logarithms."""
    if not log_weights:
        return {}
    top = max(log_weights.values())
    raw = {index: math.exp(value - top) for index, value in log_weights.items()}
    total = math.fsum(raw.values())
    return {index: value / total for index, value in raw.items()}


def resample(weights: Sequence[float], count: int, start: float) -> list[int]:
    """Systematic resampling: how many of `count` copies each entry gets.

    Args:
        weights: shares that add up to 1, or all 0.
        start: a draw from [0, 1), which alone is random; uniform draws make `count * weight` the expected copies.
    """
    ends = list(itertools.accumulate(weights))
    if not ends or ends[-1] <= 0:
        return [0] * len(weights)
    copies = [0] * len(weights)
    index = 0
    # Rounding must not push the last position beyond the last entry that has a weight.
    last = max(place for place, weight in enumerate(weights) if weight > 0)
    for place in range(count):
        position = (start + place) / count * ends[-1]
        while index < last and position >= ends[index]:
            index += 1
        copies[index] += 1
    return copies


def _pairs(rows: Sequence[Candidate]) -> list[list[Candidate]]:
    """The rows of each pair, which lie side by side."""
    return [list(group) for _, group in itertools.groupby(rows, key=lambda row: row.seed_id)]


def _eligible(group: Sequence[Candidate], settings: EM) -> dict[int, float]:
    """Rewards of the candidates that may be chosen, by index; none where the best falls short of `min_reward`."""
    rewards = {
        index: row.reward
        for index, row in enumerate(group)
        if row.complete and len(row.token_ids) >= settings.min_rationale_tokens
    }
    short = settings.min_reward is not None and rewards and max(rewards.values()) < settings.min_reward
    return {} if short else rewards


def selection(weighed: Weighed, problems: Mapping[str, str]) -> dict[str, float]:
    """R and form of the chosen rationales before the update, beside those of all candidates.

    Args:
        weighed: the candidates; a soft choice counts each as often as it is copied.
        problems: each pair's problem by seed id.
    """
    candidates = weighed.candidates
    times = {weight.candidate_id: weight.copies for weight in weighed.weights}
    whole = [candidate for candidate in candidates if candidate.complete]
    chosen = [c for c in candidates if c.chosen for _ in range(times.get(c.id, 1))]
    if not chosen:
        return {}
    means = {group[0].seed_id: statistics.fmean(c.reward for c in group) for group in _pairs(whole)}
    row = {
        "reward": statistics.fmean(c.reward for c in chosen),
        "reward_mean": statistics.fmean(means.values()),
        "reward_log_p_rationale": statistics.fmean(c.log_p_rationale for c in chosen),
        "reward_log_p_problem": statistics.fmean(c.log_p_problem for c in chosen),
        # Each against the candidates of its own pair: pairs without a choice have a mean, too.
        "acceptance_margin": statistics.fmean(c.reward - means[c.seed_id] for c in chosen),
        "whole_share": len(whole) / len(candidates),
        "chosen_length": statistics.fmean(len(c.token_ids) for c in chosen),
        "candidates_length": statistics.fmean(len(c.token_ids) for c in whole),
        "chosen_copy_rate": statistics.fmean(copy_rate(c.rationale, problems[c.seed_id]) for c in chosen),
    }
    if weighed.weights:
        sizes = [_effective([weight.weight for weight in group]) for group in _weights_of_pairs(weighed)]
        row["effective_candidates"] = statistics.fmean(sizes)
    return row


def _weights_of_pairs(weighed: Weighed) -> list[list[CandidateWeight]]:
    pair_of = {candidate.id: candidate.seed_id for candidate in weighed.candidates}
    groups = itertools.groupby(weighed.weights, key=lambda weight: pair_of[weight.candidate_id])
    found = [list(group) for _, group in groups]
    return [group for group in found if any(weight.weight for weight in group)]


def _effective(weights: Sequence[float]) -> float:
    """Kish's effective sample size of normalised weights: from 1 to their number."""
    return 1.0 / math.fsum(weight * weight for weight in weights)
