"""One round of expectation-maximisation (paper 2.3): the E-step updates q alone, the M-step p alone.

The paper's is hard EM: the best of K rationales stands for the posterior, which drops the entropy of q from the bound
and seeks modes. What that can do to the rationales is measured every round (`selfplay.synthesis.measures`) and can end
the loop (`selfplay.synthesis.em_watch`); the alternatives are settings (`selfplay.config.em`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef, Sampling
from selfplay.run.directory import Stage
from selfplay.run.records import Candidate, CandidateWeight, Example, Seed
from selfplay.run.results import EMResult
from selfplay.stage.context import Context
from selfplay.synthesis.cold_start import (
    PROMPT_MODEL,
    RATIONALE_MODEL,
    ModelPair,
    fit,
    prompt_example,
    rationale_example,
)
from selfplay.synthesis.em_candidates import Weighed, selection, weigh_candidates
from selfplay.synthesis.likelihood import for_rationale_model, is_whole
from selfplay.synthesis.measures import Row, measure
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.sft import NothingToLearn


def em_stage(
    stage: Stage,
    context: Context,
    number: int,
    before: ModelPair,
    seeds: Sequence[Seed],
    heldout: Sequence[Seed],
    fed_back: Sequence[Seed] = (),
) -> EMResult:
    """Runs round `number` from the models of the last, on the pairs of the seeds and those fed back, and measures it.

    Writes both models, the table `candidates` where there is an E-step, and `weights` where it is soft.
    """
    pairs = [*observed_pairs(context, seeds), *fed_back]
    q, chosen, candidates = before.q, Row(), None
    if has_e_step(context):
        weighed = weigh_candidates(context, number, before, pairs)
        stage.write("candidates", Candidate, weighed.candidates)
        if weighed.weights:
            stage.write("weights", CandidateWeight, weighed.weights)
        candidates = len(weighed.candidates)
        q = e_step(stage, context, before.rationale_model, pairs, weighed, heldout)
        chosen = selection(weighed, {seed.id: seed.problem for seed in pairs})
    p = m_step(stage, context, number, ModelPair(before.p, q), pairs, heldout)
    row = measure(context, number, ModelPair(p, q), heldout) | chosen
    context.listener.log(stage.name, row)
    return EMResult(pairs=len(pairs), row=dict(row), candidates=candidates)


def has_e_step(context: Context) -> bool:
    """Whether rounds draw and weigh candidates: not where p learns from the seeds' own rationales, or without any."""
    settings = context.recipe.em
    return settings.rationales and settings.e_step != "annotated"


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


def measured_pairs(recipe: Recipe, heldout: Sequence[Seed]) -> list[Seed]:
    """The held-out pairs on which rounds are measured: the first of each domain."""
    limit = recipe.em.heldout_pairs
    return [seed for domain in recipe.domains for seed in [s for s in heldout if s.domain == domain][:limit]]


def e_step(
    stage: Stage,
    context: Context,
    q: ModelRef,
    pairs: Sequence[Seed],
    weighed: Weighed,
    heldout: Sequence[Seed] = (),
) -> ModelRef:
    """Updates q on the chosen rationales, each as often as it counts; the frozen arm keeps it."""
    settings = context.recipe.em
    if settings.e_step == "frozen":
        return q
    chosen = weighed.copies()
    examples = [
        rationale_example(context.recipe, seed, rationale)
        for seed in pairs
        for rationale, times in chosen.get(seed.id, [])
        for _ in range(times)
    ]
    _demand(examples, context)
    return context.train(stage, [fit(context, stage, RATIONALE_MODEL, q, examples, settings.e_step_args, heldout)])[0]


def m_step(
    stage: Stage,
    context: Context,
    number: int,
    models: ModelPair,
    pairs: Sequence[Seed],
    heldout: Sequence[Seed] = (),
) -> ModelRef:
    """Updates p on rationales of the updated q; a control arm takes the seeds' own, or none."""
    settings = context.recipe.em
    if has_e_step(context):
        examples = _rationalised(context, number, models.rationale_model, pairs)
    else:
        examples = [prompt_example(context.recipe, seed, seed.rationale) for seed in pairs]
    _demand(examples, context)
    return context.train(stage, [fit(context, stage, PROMPT_MODEL, models.p, examples, settings.m_step_args, heldout)])[
        0
    ]


def _rationalised(context: Context, number: int, q: ModelRef, pairs: Sequence[Seed]) -> list[Example]:
    """c -> z, x with one rationale of q a pair; a pair whose rationale is not whole is left out."""
    settings = context.recipe.em
    greedy = settings.m_step_rationales == "greedy"
    name = "greedy" if greedy else "sampled"
    context.listener.begin(f"em {number}: {name} rationales", len(pairs))
    samples = context.engine(q).generate(
        [for_rationale_model(context.recipe, seed) for seed in pairs],
        Sampling.of(settings.sampling, 0.0 if greedy else None),
        context.seed("em", number, name),
        context.listener.advance,
    )
    return [
        prompt_example(context.recipe, seed, formats.parse_rationale(sample.text).rationale)
        for seed, sample in zip(pairs, samples, strict=True)
        if is_whole(sample)
    ]


def _demand(examples: Sequence[Example], context: Context) -> None:
    if examples:
        return
    if not context.recipe.cold_start.enabled:
        raise NothingToLearn(
            "no pair has a whole rationale: the generator writes none unasked; set cold_start.enabled, or name one "
            "that does"
        )
    raise NothingToLearn(
        "no pair has a rationale to learn from: raise em.sampling.max_new_tokens, train q longer in cold_start, or "
        "lower em.min_rationale_tokens and em.min_reward"
    )


def round_models(stage: Stage, before: ModelPair) -> ModelPair:
    """The models after a round that is done."""
    p = trained_model(stage.folder / PROMPT_MODEL)
    kept = not (stage.folder / RATIONALE_MODEL).exists()
    return ModelPair(p, before.q if kept else trained_model(stage.folder / RATIONALE_MODEL))
