"""Synthesis at volume: concepts are sampled, the prompt model writes (z, x), and malformed ones are set aside."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from selfplay import formats
from selfplay.context import Context
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.records import Prompt, Seed
from selfplay.run import Stage
from selfplay.seeding import content_id
from selfplay.concepts.bank import Combination, bank_of
from selfplay.concepts.sampler import ConceptSampler, plan, shapes_of


def synthesis_stage(
    stage: Stage, context: Context, p: ModelRef, seeds: Sequence[Seed], reserved: Sequence[Seed]
) -> dict[str, Any]:
    """Writes `prompts`: every completion, with the reason where it could not be parsed.

    Args:
        stage: where to write.
        context: the run.
        p: the prompt model.
        seeds: training seeds, whose concepts are recombined.
        reserved: held-out problems, whose concept combinations are never used.
    """
    rows: list[Prompt] = []
    for domain in context.recipe.domains:
        rows += synthesise(
            context, domain, p, [s for s in seeds if s.domain == domain], [s for s in reserved if s.domain == domain]
        )
    stage.write("prompts", Prompt, rows)
    return {"made": len(rows), "lost": dict(Counter(row.dropped for row in rows if row.dropped))}


def synthesise(
    context: Context, domain: str, p: ModelRef, seeds: Sequence[Seed], reserved: Sequence[Seed]
) -> list[Prompt]:
    """The completions of one domain."""
    settings = context.recipe.synthesis
    sampler = ConceptSampler(
        bank_of([seed.concepts for seed in seeds]), settings.concept_temperature, [seed.concepts for seed in reserved]
    )
    rng = random.Random(context.seed("synthesis", domain, "concepts"))
    planned = plan(sampler, shapes_of([(s.concepts, s.level) for s in seeds]), settings.prompts_of(domain), rng)
    inputs = [formats.prompt_input(context.recipe.domains[domain], concepts, level) for concepts, level in planned]
    seed = context.seed("synthesis", domain)
    context.listener.begin(f"synthesis: {domain}", len(inputs))
    how = settings.sampling
    samples = context.engine(p).generate(
        inputs, Sampling(how.temperature, how.max_new_tokens, how.top_p), seed, context.listener.advance
    )
    parse = formats.completion_parser(context.recipe.em.rationales)
    return [
        _row(domain, concepts, level, sample, parse(sample.text), p, how.temperature, seed, place)
        for place, ((concepts, level), sample) in enumerate(zip(planned, samples, strict=True))
    ]


def _row(
    domain: str,
    concepts: Combination,
    level: str,
    sample: Sample,
    parsed: formats.Parsed,
    p: ModelRef,
    temperature: float,
    seed: int,
    place: int,
) -> Prompt:
    fault = parsed.fault if sample.complete or not parsed.fault else "cut at the token limit"
    return Prompt(
        id=content_id("prompt", domain, seed, place, sample.text),
        domain=domain,
        concepts=concepts,
        level=level,
        rationale=parsed.rationale,
        problem=parsed.problem,
        completion=sample.text,
        dropped=f"parse: {fault}" if fault else "",
        model=p.fingerprint,
        temperature=temperature,
        seed=seed,
    )
