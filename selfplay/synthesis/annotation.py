"""The annotation stage: seed problems become triples of concepts, rationale and problem (paper section 2.2).

What a problem carries is taken as it is. Annotators find its concepts first, then write the rationale that leads from
them to it; held-out problems get concepts alone, since no model learns from their rationales. Every answer is kept in
the run's store when it comes, so that a stage that was cut off goes on without asking anything twice.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from selfplay import formats
from selfplay.config.errors import SPENT, RunStopped
from selfplay.engines.api.budget import BudgetSpent, Ledger, TokenUsage, total
from selfplay.engines.base import ScoringRequest
from selfplay.quickstart.seed_problem import SPLITS, Split
from selfplay.run.directory import Stage
from selfplay.run.records import Annotation, Seed
from selfplay.run.results import AnnotationResult, AnnotatorResult
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.synthesis.annotation_engines import Asked, all_remote, open_annotators
from selfplay.synthesis.annotation_wave import CONCEPTS, RATIONALE, Wave, Work, turns
from selfplay.synthesis.likelihood import for_prompt_model
from verifiers.endpoint.client import EndpointError

WAVES_UNDER_WAY = 3
"""Waves that endpoints work on at a time, so that the stragglers of one do not leave them idle."""
SMALLEST_WAVE = 64
SHOWN = 3
WITHOUT = "To go on without the others, add cold_start.annotation.unfinished=drop"


class AnnotationStopped(RunStopped):
    """Annotation cannot go on now; the message says why, what is kept, and how to go on."""

    of_run = "{error}"


class BudgetReached(AnnotationStopped):
    """A budget of the recipe is spent."""

    exit_code = SPENT


def annotation_stage(stage: Stage, context: Context, seeds: Stage) -> AnnotationResult:
    """Writes the tables of seeds anew, with concepts and rationales, and `annotations`: who gave them, at what cost.

    Args:
        seeds: the stage with the problems as they came.

    Raises:
        AnnotationStopped: an endpoint is out of reach, or a budget is spent; finished answers are kept.
    """
    works = [
        work
        for domain in context.recipe.domains
        for split in SPLITS
        for work in _works(context, split, seeds.read(f"{domain}-{split}", Seed))
    ]
    _annotate(stage, context, works)
    if context.recipe.cold_start.annotation.unfinished == "stop":
        _demand_finished(works)
    _demand_triples(context, works)
    scores = _scores(context, works)
    for domain in context.recipe.domains:
        for split in SPLITS:
            own = [w for w in works if (w.seed.domain, w.seed.split) == (domain, split)]
            stage.write(f"{domain}-{split}", Seed, [_filled(work) for work in own if split != "train" or not work.end])
    stage.write("annotations", Annotation, [_row(work, scores.get(work.seed.id)) for work in works])
    return _result(list(context.recipe.cold_start.annotators), works)


def _works(context: Context, split: Split, seeds: Sequence[Seed]) -> Iterator[Work]:
    shares = {name: annotator.share for name, annotator in context.recipe.cold_start.annotators.items()}
    for seed in seeds:
        order = turns(context.recipe.seed, seed.id, shares)
        yield Work(seed, order, needs_rationale=split == "train" and context.recipe.em.rationales)


def _annotate(stage: Stage, context: Context, works: Sequence[Work]) -> None:
    settings = context.recipe.cold_start
    wide = Ledger("cold_start.annotation.budget", settings.annotation.budget)
    context.listener.begin("annotation: problems", len(works))
    before, busy = time.monotonic(), context.workers.busy_seconds
    with open_annotators(context, wide) as annotators:
        wave = Wave(context.recipe, annotators, context.listener.advance)
        done: list[Work] = []
        for finished in _in_waves(context, wave, works):
            done += finished
            context.listener.log(stage.name, _metrics(done, annotators, wide), len(done))
    # Waiting for a model elsewhere is model time too; that of the workers is counted already.
    context.clock.wait_for_models(time.monotonic() - before - (context.workers.busy_seconds - busy))


def _in_waves(context: Context, wave: Wave, works: Sequence[Work]) -> Iterator[Sequence[Work]]:
    """Runs the waves, several at a time where only endpoints work; yields each when it is done, in order."""
    annotators = list(context.recipe.cold_start.annotators.values())
    if not all_remote(annotators):
        # Each change of a model on this machine costs its loading, so that there are as few as can be.
        wave.run(0, works)
        yield works
        return
    # Several questions for each connection, so that none is idle while the last answers come.
    size = SMALLEST_WAVE + 4 * sum(a.engine.endpoint.concurrency for a in annotators if a.engine.kind == "openai")
    parts = [works[start : start + size] for start in range(0, len(works), size)]
    pool = ThreadPoolExecutor(WAVES_UNDER_WAY)
    try:
        for part, future in [(part, pool.submit(wave.run, number, part)) for number, part in enumerate(parts)]:
            future.result()
            yield part
    finally:
        # Whoever interrupts must not wait for what has not begun; what has begun ends when the annotators are closed.
        pool.shutdown(wait=False, cancel_futures=True)


def _demand_finished(works: Sequence[Work]) -> None:
    """Nothing is dropped because of an outage or of a budget: the run stops instead, and goes on later."""
    open_ = [work for work in works if work.end in ("budget", "unreached")]
    if not open_:
        return
    kept = f"{len(works) - len(open_)} of {len(works)} problems are through, and every answer is kept"
    twice = f"nothing is asked or paid for twice. {WITHOUT}"
    spent = next((work.obstacle for work in open_ if work.end == "budget"), "")
    if spent:
        field = spent.partition(":")[0]
        raise BudgetReached(
            f"{spent}: {kept}. To go on where it stopped, give the same command with a higher {field}; {twice}"
        )
    raise AnnotationStopped(
        f"{len(open_)} problems got no answer from any annotator ({open_[0].obstacle}): {kept}. To go on where it "
        f"stopped, mend or restart the endpoint and give the same command; {twice}"
    )


def _demand_triples(context: Context, works: Sequence[Work]) -> None:
    measured = "dev" if context.recipe.em.decides else context.recipe.evaluation.split
    for domain in context.recipe.domains:
        for split in ("train", measured):
            own = [w for w in works if (w.seed.domain, w.seed.split) == (domain, split)]
            if own and all(work.end for work in own):
                reasons = Counter(f"{a.annotator}: {a.fault}" for work in own for a in work.answers if a.fault)
                listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(SHOWN))
                raise AnnotationStopped(
                    f"domains.{domain}: no {split} problem could be annotated: {listed}; change "
                    f"domains.{domain}.annotation or the annotators, and start a new run directory"
                )


def _scores(context: Context, works: Sequence[Work]) -> dict[str, tuple[float, ...]]:
    """log p(z|c) and log p(x|z,c) of each triple under the recipe's scorer, by the id of its seed."""
    settings = context.recipe.cold_start.annotation.scorer
    triples = [_filled(work) for work in works if work.needs_rationale and not work.end]
    if settings is None or not triples:
        return {}
    context.listener.begin("annotation: scoring", len(triples))
    requests = [
        ScoringRequest(
            for_prompt_model(context.recipe, seed),
            (formats.rationale_block(seed.rationale), formats.problem_block(seed.problem)),
        )
        for seed in triples
    ]
    with context.open_engine(settings, "cold_start.annotation.scorer") as engine:
        try:
            scores = engine.score(requests, context.listener.advance)
        except BudgetSpent as error:
            raise BudgetReached(f"{error}: all problems are annotated; raise it and give the same command") from error
        except EndpointError as error:
            raise AnnotationStopped(
                f"{error}: all problems are annotated, but not scored; give the same command again"
            ) from error
    return {seed.id: sums for seed, sums in zip(triples, scores, strict=True)}


def _filled(work: Work) -> Seed:
    return dataclasses.replace(work.seed, concepts=work.concepts, rationale=work.rationale)


def _row(work: Work, scores: tuple[float, ...] | None) -> Annotation:
    usage = work.usage
    log_p_rationale, log_p_problem = scores or (None, None)
    return Annotation(
        id=content_id("annotation", work.seed.id),
        seed_id=work.seed.id,
        domain=work.seed.domain,
        split=work.seed.split,
        concepts_by=work.concepts_by,
        rationale_by=work.rationale_by,
        attempts=len(work.answers),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=usage.cost,
        dropped=_dropped(work),
        log_p_rationale=log_p_rationale,
        log_p_problem=log_p_problem,
        answers=tuple(work.answers),
    )


def _dropped(work: Work) -> str:
    if not work.end:
        return ""
    lacking = RATIONALE if work.concepts else CONCEPTS
    return f"annotation: no {lacking}: {'budget spent' if work.end == 'budget' else work.answers[-1].fault}"


def _result(names: Sequence[str], works: Sequence[Work]) -> AnnotationResult:
    answers = [answer for work in works for answer in work.answers]
    train = [work for work in works if work.seed.split == "train"]
    return AnnotationResult(
        triples=sum(not work.end for work in train),
        as_they_were=sum(not work.end and not work.answers for work in train),
        failed=sum(bool(work.end) for work in train),
        heldout_without_concepts=sum(bool(work.end) for work in works) - sum(bool(work.end) for work in train),
        tokens=sum(answer.prompt_tokens + answer.completion_tokens for answer in answers),
        cost=sum(answer.cost for answer in answers),
        lost=dict(Counter(_dropped(work) for work in train if work.end)),
        annotators=[_annotator(name, works) for name in names],
    )


def _annotator(name: str, works: Sequence[Work]) -> AnnotatorResult:
    answers = [answer for work in works for answer in work.answers if answer.annotator == name]
    usage = total(TokenUsage(a.prompt_tokens, a.completion_tokens, a.cost) for a in answers)
    return AnnotatorResult(
        name=name,
        asked=len(answers),
        used=sum(not answer.fault for answer in answers),
        rationales=sum(work.rationale_by == name for work in works),
        failures=dict(Counter(f"{answer.asked_for}: {answer.fault}" for answer in answers if answer.fault)),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=usage.cost,
    )


def _metrics(works: Sequence[Work], annotators: Mapping[str, Asked], wide: Ledger) -> dict[str, float]:
    row: dict[str, float] = {
        "through": sum(not work.end for work in works),
        "failed": sum(work.end == "failed" for work in works),
        "tokens": wide.spent.tokens,
        "cost": wide.spent.cost,
    }
    for name in annotators:
        answers = [answer for work in works for answer in work.answers if answer.annotator == name]
        row |= {f"{name}/asked": len(answers), f"{name}/unusable": sum(bool(a.fault) for a in answers)}
    return row
