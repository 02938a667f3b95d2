"""The curation stage: gates in order, each of which drops prompts with a reason; nothing leaves the table.

Texts are gone through in pieces and not held: first for all gates that need no model, then, of what is left, for judges
and solvers, and last to write the table. A prompt is dropped by the first gate that refuses it:

1. too short or too long, broken off, a proof question, an answer told, a foreign script or language;
2. contaminated, a copy of a seed;
3. an exact, then a near duplicate of one with a smaller id;
4. judges;
5. solvers.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from selfplay.context import Context
from selfplay.curation.benchmarks import benchmark_problems
from selfplay.curation.judges import judge_prompts, rejection
from selfplay.curation.solving import solve_prompts
from selfplay.curation.text_pass import TextPass
from selfplay.curation.word_sets import digest_of
from selfplay.curation.words import words
from selfplay.curation_settings import Curation
from selfplay.records import Judgement, Prompt, Rollout, Seed
from selfplay.run import Stage

HELD_OUT = "held-out problems"
ASKED_AT_ONCE = 4096
"""Prompts that judges and solvers are asked about together."""

Reasons = dict[str, str]


def curation_stage(
    stage: Stage,
    context: Context,
    synthesis: Stage,
    seeds: Sequence[Seed],
    heldout: Sequence[Seed],
    earlier: Sequence[Stage] = (),
) -> dict[str, Any]:
    """Writes `prompts`: those that parsed, with the gate that dropped them where one did.

    Where the recipe has judges or solvers it writes `judgements` and `solutions` too. The same words as in a prompt
    that an earlier round's curation kept are an exact duplicate.

    Raises:
        SeedError: a benchmark cannot be read.
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    settings = context.recipe.curation

    def parsed() -> Iterator[list[Prompt]]:
        return synthesis.batches("prompts", Prompt, only_kept=True)

    dropped = drop_by_text(parsed(), settings, seeds, heldout)
    _drop_repeated(parsed(), earlier, dropped)
    ask_models(stage, context, dropped, parsed)
    counts: Counter[str] = Counter()
    stage.write("prompts", Prompt, _marked(parsed(), dropped, counts))
    return {"kept": counts.pop("", 0), "lost": dict(counts)}


def curate(
    prompts: Sequence[Prompt], settings: Curation, seeds: Sequence[Seed], heldout: Sequence[Seed]
) -> list[Prompt]:
    """The prompts with `dropped` filled in by the first gate that refuses each; without judges and solvers."""
    return list(_marked([prompts], drop_by_text([prompts], settings, seeds, heldout), Counter()))


def drop_by_text(
    batches: Iterable[Sequence[Prompt]], settings: Curation, seeds: Sequence[Seed], heldout: Sequence[Seed]
) -> Reasons:
    """Why each prompt is dropped that a gate without a model refuses, by its id.

    Raises:
        SeedError: a benchmark cannot be read.
    """
    named = benchmark_problems(settings) if settings.decontamination_ngram else {}
    passes: dict[str, TextPass] = {}
    for batch in batches:
        by_domain: dict[str, list[Prompt]] = {}
        for prompt in batch:
            by_domain.setdefault(prompt.domain, []).append(prompt)
        for domain, theirs in by_domain.items():
            if domain not in passes:
                held = {seed.id: seed.problem for seed in heldout if seed.domain == domain}
                common = [seed.problem for seed in seeds if seed.domain == domain]
                passes[domain] = TextPass(settings, {HELD_OUT: held} | named, common)
            passes[domain].take(theirs)
    return {key: reason for domain in sorted(passes) for key, reason in passes[domain].finish().items()}


def _drop_repeated(batches: Iterable[Sequence[Prompt]], earlier: Sequence[Stage], dropped: Reasons) -> None:
    """Adds what is word for word a prompt of an earlier round."""
    rows = (row for stage in earlier for batch in stage.batches("prompts", Prompt, only_kept=True) for row in batch)
    known = {(row.domain, digest_of(words(row.problem))): row.id for row in rows}
    for batch in batches if known else ():
        for prompt in batch:
            same = known.get((prompt.domain, digest_of(words(prompt.problem))))
            if same is not None:
                dropped.setdefault(prompt.id, f"exact duplicate (of {same})")


def ask_models(
    stage: Stage, context: Context, dropped: Reasons, parsed: Callable[[], Iterator[Sequence[Prompt]]]
) -> None:
    """Adds what judges and solvers refuse, and writes their tables."""
    settings = context.recipe.curation
    judging, solving = settings.judging, settings.solving
    if judging is not None:

        def judgements() -> Iterator[Judgement]:
            for prompts in _pieces(parsed(), dropped):
                found = judge_prompts(context, judging, prompts)
                each = len(judging.judges)
                for place, prompt in enumerate(prompts):
                    if reason := rejection(judging, found[place * each : (place + 1) * each]):
                        dropped[prompt.id] = reason
                yield from found

        stage.write("judgements", Judgement, judgements())
    if solving is not None:

        def solutions() -> Iterator[Rollout]:
            for prompts in _pieces(parsed(), dropped):
                for key, solved in solve_prompts(context, solving, prompts).items():
                    dropped.update({key: solved.reason} if solved.reason else {})
                    yield from solved.rows

        stage.write("solutions", Rollout, solutions())


def _pieces(batches: Iterable[Sequence[Prompt]], dropped: Mapping[str, str]) -> Iterator[list[Prompt]]:
    """What is left, some thousands at a time."""
    held: list[Prompt] = []
    for batch in batches:
        held += [prompt for prompt in batch if prompt.id not in dropped]
        while len(held) >= ASKED_AT_ONCE:
            yield held[:ASKED_AT_ONCE]
            held = held[ASKED_AT_ONCE:]
    if held:
        yield held


def _marked(batches: Iterable[Sequence[Prompt]], dropped: Mapping[str, str], counts: Counter[str]) -> Iterator[Prompt]:
    for batch in batches:
        for prompt in batch:
            reason = dropped.get(prompt.id, "")
            counts[reason.partition(" (")[0]] += 1
            yield dataclasses.replace(prompt, dropped=reason)
