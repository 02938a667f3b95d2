"""Synthesis at volume: concepts are sampled, the prompt model writes (z, x), and malformed ones are set aside.

One pass writes one problem for each combination of concepts; further passes go over the same combinations with seeds of
their own (the authors made 64). What has been finished of any pass is found again after a crash.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from selfplay import formats
from selfplay.concepts.bank import Combination, Embed
from selfplay.concepts.choice import choice_of
from selfplay.concepts.embedding import embed_concepts
from selfplay.concepts.sampler import plan
from selfplay.config.synthesis import OWN_BASE
from selfplay.engines.base import Missing, ModelRef, Sample
from selfplay.run.directory import Stage
from selfplay.run.records import Prompt, Seed
from selfplay.run.results import SynthesisResult
from selfplay.run.seeding import content_id
from selfplay.run.store import ShardStore
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine, answers_of

CUT = "cut at the token limit"
REFUSED = "the endpoint refused it"

Parse = Callable[[str], formats.Parsed]
Planned = Sequence[tuple[Combination, str]]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a domain's combinations."""

    domain: str
    model: str
    """Fingerprint of the model that writes."""
    temperature: float
    seed: int
    round: int


def synthesis_stage(
    stage: Stage,
    context: Context,
    p: ModelRef,
    seeds: Sequence[Seed],
    reserved: Sequence[Seed],
    base: ModelRef,
    number: int = 1,
) -> SynthesisResult:
    """Writes `prompts`: every completion, with the reason where it could not be parsed.

    Args:
        seeds: training seeds, whose concepts are recombined.
        reserved: held-out problems, whose concept combinations are never used.
        base: what the policy starts from, for embeddings.
        number: the round of self-play that the prompts are for; each draws anew.

    Raises:
        SeedError, RunError: the recipe's concepts or earlier runs cannot be used.
        BudgetSpent, EndpointError: the endpoint that writes gives nothing more; what was finished is kept.
    """
    embed = _embed(context, base)
    counts: Counter[tuple[str, str]] = Counter()
    repeated: dict[str, int] = {}

    def rows(engine: OpenedEngine) -> Iterator[Prompt]:
        for domain in context.recipe.domains:
            theirs, kept_back = ([seed for seed in some if seed.domain == domain] for some in (seeds, reserved))
            drawn = combinations_of(context, domain, theirs, kept_back, embed, number)
            new = len({combination for combination, _ in drawn})
            if new < len(drawn):
                repeated[domain] = len(drawn) - new
                context.listener.note(
                    f"domain {domain}: its concepts have only {new} new combinations for {len(drawn)} prompts, so that "
                    f"{len(drawn) - new} are asked of one again; name more concepts, or lower synthesis.prompts"
                )
            for row in synthesise(context, domain, engine, drawn, parents_of(theirs), number):
                counts[domain, row.dropped] += 1
                yield row

    with _writer(context, p) as engine:
        stage.write("prompts", Prompt, rows(engine))
    lost: Counter[str] = Counter()
    for (_, reason), count in counts.items():
        lost.update({reason: count} if reason else {})
    return SynthesisResult(made=counts.total(), lost=dict(lost), repeated=repeated or None)


def combinations_of(
    context: Context,
    domain: str,
    seeds: Sequence[Seed],
    reserved: Sequence[Seed],
    embed: Embed | None = None,
    number: int = 1,
) -> Planned:
    """The combinations of one domain, each with its level: new ones, and the same again where there are no more."""
    choice = choice_of(context.recipe, domain, seeds, [seed.concepts for seed in reserved], embed)
    rng = random.Random(context.seed(*_names_of(domain, number), "concepts"))
    return plan(choice.sampler, choice.shapes, context.recipe.synthesis.prompts_of(domain), rng)


def _names_of(domain: str, number: int) -> list[str]:
    """Names of seeds: a first round and a first pass draw as in runs that have only one."""
    return ["synthesis", *([f"round {number}"] if number > 1 else []), domain]


def parents_of(seeds: Sequence[Seed]) -> dict[str, str]:
    """For each concept the id of the first seed that names it."""
    found: dict[str, str] = {}
    for seed in seeds:
        for concept in seed.concepts:
            found.setdefault(concept, seed.id)
    return found


def synthesise(
    context: Context,
    domain: str,
    engine: OpenedEngine,
    planned: Planned,
    parents: Mapping[str, str],
    number: int = 1,
) -> Iterator[Prompt]:
    """The completions of one domain, one pass over its combinations after the other; those of a pass are held."""
    settings, own = context.recipe.synthesis, _names_of(domain, number)
    inputs = [formats.prompt_input(context.recipe.domains[domain], concepts, level) for concepts, level in planned]
    parse = formats.completion_parser(context.recipe.em.rationales)
    for turn in range(settings.passes):
        seed = context.seed(*own, *([turn] if turn else []))
        counted = f", pass {turn + 1} of {settings.passes}" if settings.passes > 1 else ""
        context.listener.begin(f"synthesis: {domain}{counted}", len(inputs))
        samples = answers_of(engine, inputs, settings.sampling, seed, context.listener.advance)
        one = Pass(domain, engine.model.fingerprint, settings.sampling.temperature, seed, number)
        yield from _rows(one, planned, samples, parse, parents)


def _writer(context: Context, p: ModelRef) -> AbstractContextManager[OpenedEngine]:
    named = context.recipe.synthesis.generator
    return nullcontext(context.engine(p)) if named is None else context.open_engine(named, "synthesis.generator")


def _embed(context: Context, base: ModelRef) -> Embed | None:
    settings = context.recipe.synthesis.embeddings
    if settings is None:
        return None
    model = base
    if settings.model != OWN_BASE:
        model = ModelRef(settings.model, *context.models.identity(settings.model, settings.revision))
    store = ShardStore(context.run.store_folder / "shards")
    return lambda names: embed_concepts(names, model, context.workers, store)


def _rows(
    one: Pass, planned: Planned, samples: Sequence[Sample | Missing], parse: Parse, parents: Mapping[str, str]
) -> Iterator[Prompt]:
    for place, ((concepts, level), sample) in enumerate(zip(planned, samples, strict=True)):
        if isinstance(sample, Missing):
            text, parsed, fault = "", formats.Parsed(), REFUSED
        else:
            text, parsed = sample.text, parse(sample.text)
            fault = parsed.fault if sample.complete or not parsed.fault else CUT
        yield Prompt(
            id=content_id("prompt", one.domain, one.seed, place, text),
            domain=one.domain,
            concepts=concepts,
            level=level,
            rationale=parsed.rationale,
            problem=parsed.problem,
            completion=text,
            dropped=f"parse: {fault}" if fault else "",
            model=one.model,
            temperature=one.temperature,
            seed=one.seed,
            round=one.round,
            parents=tuple(parents.get(concept, "") for concept in concepts),
        )
