"""The curation stage: gates in order, each of which drops prompts with a reason; nothing leaves the table.

Texts are gone through in pieces and not held: first for all gates that need no model, then, of what is left, for judges
and solvers, and last to write the table. A prompt is dropped by the first gate that refuses it:

1. too short or too long, broken off, a proof question, an answer told, a foreign script or language;
2. contaminated, a copy of a seed;
3. an exact, then a near duplicate: of one that an earlier round kept, or of one with a smaller id;
4. judges;
5. solvers.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from selfplay.config.curation import Curation
from selfplay.curation.judges import judge_prompts, rejection
from selfplay.curation.reserved import Reserved
from selfplay.curation.solving import solve_prompts
from selfplay.curation.text_pass import TextPass
from selfplay.run.directory import Stage
from selfplay.run.records import Judgement, Prompt, Rollout, Seed
from selfplay.run.results import CurationResult
from selfplay.stage.context import Context

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
) -> CurationResult:
    """Writes `prompts`: those that parsed, with the gate that dropped them where one did.

    Where the recipe has judges or solvers it writes `judgements` and `solutions` too. What the curations of `earlier`
    rounds kept stays, and what is like it is a duplicate.

    Raises:
        SeedError: a benchmark cannot be read.
        BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
    """
    settings = context.recipe.curation

    def parsed() -> Iterator[list[Prompt]]:
        return synthesis.batches("prompts", Prompt, only_kept=True)

    kept_before = (batch for before in earlier for batch in before.batches("prompts", Prompt, only_kept=True))
    dropped = drop_by_text(parsed(), settings, seeds, heldout, kept_before)
    ask_models(stage, context, dropped, parsed)
    counts: Counter[str] = Counter()
    stage.write("prompts", Prompt, _marked(parsed(), dropped, counts))
    return CurationResult(kept=counts.pop("", 0), lost=dict(counts))


def drop_by_text(
    batches: Iterable[Sequence[Prompt]],
    settings: Curation,
    seeds: Sequence[Seed],
    heldout: Sequence[Seed],
    earlier: Iterable[Sequence[Prompt]] = (),
) -> Reasons:
    """The reasons of all prompts that a gate without a model refuses, by id.

    Args:
        batches: the prompts, in any order.
        seeds: training problems, no copy of which is new.
        heldout: problems that no prompt may contain.
        earlier: what earlier rounds kept, in any order.

    Raises:
        SeedError: a benchmark cannot be read.
    """
    reserved = Reserved(settings, heldout, seeds)
    passes: dict[str, TextPass] = {}

    def by_domain(prompts: Sequence[Prompt]) -> Iterator[tuple[TextPass, list[Prompt]]]:
        theirs: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            theirs.setdefault(prompt.domain, []).append(prompt)
        for domain, some in theirs.items():
            if domain not in passes:
                own_seeds = [seed.problem for seed in seeds if seed.domain == domain]
                passes[domain] = TextPass(settings, reserved.index(domain), own_seeds)
            yield passes[domain], some

    for batch in earlier:
        for own, prompts in by_domain(batch):
            own.know(prompts)
    for batch in batches:
        for own, prompts in by_domain(batch):
            own.take(prompts)
    return {key: reason for domain in sorted(passes) for key, reason in passes[domain].finish().items()}


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
    """The prompts that are left, some thousands at a time."""
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
            # Without the case in brackets, so that equal faults are counted together.
            counts[reason.partition(" (")[0]] += 1
            yield dataclasses.replace(prompt, dropped=reason)
