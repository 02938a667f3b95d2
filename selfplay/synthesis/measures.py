"""Measures of a round of EM, on held-out pairs, none of which is evidence alone (docs/explanation/method.md)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from selfplay import formats
from selfplay.engines.base import Sample, Sampling, Segment
from selfplay.run.records import Seed
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import ModelPair
from selfplay.synthesis.likelihood import (
    for_prompt_model,
    for_rationale_model,
    importance_bound,
    is_whole,
    joint,
    proposal,
    without_rationale,
)

Row = dict[str, float]
"""Measures by name; NaN (null on disk) where one could not be taken."""

_PRIME, _FACTOR = (1 << 61) - 1, 0x9E3779B97F4A7C15

OF_WHOLE_RATIONALES = ("joint_nll", "nll_given_rationale", "length", "copy_rate", "distinct_2")


def measure(context: Context, number: int, models: ModelPair, heldout: Sequence[Seed]) -> Row:
    """All measures of the models after round `number` (0: the cold start); likelihoods in nats a problem."""
    row: Row = {"round": number, "reward": math.nan} | dict.fromkeys(OF_WHOLE_RATIONALES, math.nan)
    plain = -statistics.fmean(without_rationale(context.engine(models.p), context.recipe, heldout))
    if models.q is None:
        # With no rationale the marginal, the joint and the bound are one and the same, and exact.
        row |= {"joint_nll": plain, "nll_given_rationale": plain, "bound": plain, "n": len(heldout)}
    else:
        row |= _of_rationales(context, number, models, heldout)
    row["nll_without_rationale"] = plain
    return row | _of_completions(context, number, models, heldout)


def _of_rationales(context: Context, number: int, models: ModelPair, heldout: Sequence[Seed]) -> Row:
    greedy = _greedy(context, models, heldout)
    whole = [(seed, sample) for seed, sample in zip(heldout, greedy, strict=True) if is_whole(sample)]
    row: Row = {"greedy_whole_share": len(whole) / len(heldout), "n": len(whole)}
    if whole:
        items: list[tuple[Seed, Segment]] = [(seed, sample.token_ids) for seed, sample in whole]
        scores = joint(context.engine(models.p), context.recipe, items)
        texts = [(seed, formats.parse_rationale(sample.text).rationale) for seed, sample in whole]
        row |= {
            "joint_nll": -statistics.fmean(score.total for score in scores),
            "nll_given_rationale": -statistics.fmean(score.log_p_problem for score in scores),
            "length": statistics.fmean(score.rationale_tokens for score in scores),
            "copy_rate": statistics.fmean(copy_rate(rationale, seed.problem) for seed, rationale in texts),
            "distinct_2": distinct_n([rationale for _, rationale in texts], 2),
        }
    row["bound"] = -statistics.fmean(bounds(context, number, models, heldout))
    return row


def _greedy(context: Context, models: ModelPair, heldout: Sequence[Seed]) -> list[Sample]:
    greedy = Sampling.of(context.recipe.em.sampling, temperature=0.0)
    return context.engine(models.rationale_model).generate(
        [for_rationale_model(context.recipe, seed) for seed in heldout], greedy, seed=0
    )


def bounds(context: Context, number: int, models: ModelPair, heldout: Sequence[Seed]) -> list[float]:
    """The importance-weighted bound of each held-out pair, on the token ids that q sampled at temperature 1."""
    settings = context.recipe.em
    repeated = [seed for seed in heldout for _ in range(settings.bound_samples)]
    samples = context.engine(models.rationale_model).generate(
        [for_rationale_model(context.recipe, seed) for seed in repeated],
        Sampling.of(settings.sampling, temperature=1.0),
        context.seed("em", number, "bound"),
    )
    whole = [index for index, sample in enumerate(samples) if is_whole(sample)]
    items: list[tuple[Seed, Segment]] = [(repeated[index], samples[index].token_ids) for index in whole]
    of_p = joint(context.engine(models.p), context.recipe, items)
    of_q = proposal(context.engine(models.rationale_model), context.recipe, items)
    weights: list[float | None] = [None] * len(repeated)
    for index, score, log_q in zip(whole, of_p, of_q, strict=True):
        weights[index] = score.total - log_q
    size = settings.bound_samples
    return [importance_bound(weights[start : start + size]) for start in range(0, len(weights), size)]


def _of_completions(context: Context, number: int, models: ModelPair, heldout: Sequence[Seed]) -> Row:
    """Measures of what p writes for held-out concepts, drawn as synthesis draws: the share well formed, and repeats."""
    settings = context.recipe.synthesis.sampling
    samples = context.engine(models.p).generate(
        [for_prompt_model(context.recipe, seed) for seed in heldout],
        Sampling.of(settings),
        context.seed("em", number, "parse"),
    )
    parse = formats.completion_parser(context.recipe.em.rationales)
    return {
        "parse_rate": sum(not parse(sample.text).fault for sample in samples) / len(samples),
        "repetition": statistics.fmean(repetition(sample.text) for sample in samples),
    }


def copy_rate(rationale: str, problem: str) -> float:
    """Words of the longest run that the rationale shares with the problem, over the words of the problem."""
    ours, theirs = rationale.lower().split(), problem.lower().split()
    return longest_shared_run(ours, theirs) / len(theirs) if theirs else 0.0


def longest_shared_run(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Words of the longest run that stands in both, found by halving: who shares one of n words shares one of n - 1."""
    numbers: dict[str, int] = {}
    first, second = ([numbers.setdefault(word, len(numbers) + 1) for word in words] for words in (ours, theirs))
    least, most = 0, min(len(first), len(second))
    while least < most:
        size = (least + most + 1) // 2
        shared = not _hashes(first, size).isdisjoint(_hashes(second, size))
        least, most = (size, most) if shared else (least, size - 1)
    return least


def _hashes(numbers: Sequence[int], size: int) -> set[int]:
    """A number for each run of so many; those of different runs differ but for one chance in 10^18."""
    leaving, found, value = pow(_FACTOR, size, _PRIME), set(), 0
    for place, number in enumerate(numbers):
        value = (value * _FACTOR + number) % _PRIME
        if place >= size:
            value = (value - numbers[place - size] * leaving) % _PRIME
        if place >= size - 1:
            found.add(value)
    return found


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams of words; 0 without any."""
    grams = [tuple(words[i : i + n]) for words in (text.split() for text in texts) for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's n-grams of words that it has had before; 0 for a text shorter than n + 1 words."""
    return 1.0 - distinct_n([text], n) if len(text.split()) >= n else 0.0
