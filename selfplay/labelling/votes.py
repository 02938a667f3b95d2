"""Votes on labels: completions of every labeller, and what each counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from selfplay.config.labelling import Labeller
from selfplay.engines.base import ModelRef, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.run.records import LabelledTask, Vote
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine
from verifiers.answers import answer_reader
from verifiers.programs.verifier import Unread, program_in


@dataclass(frozen=True, slots=True)
class WeighedCompletion:
    """A labeller's completion of a task, and what it counts."""

    completion: Completion
    """Nothing is written in it where it was cut at the token limit."""
    labeller: str
    weight: float
    mean: float | None = None
    """Log-probability of its tokens, on average, in nats; None where votes count equally."""


class Voters:
    """Labellers whose engines are open."""

    def __init__(self, context: Context, labellers: Mapping[str, tuple[Labeller, OpenedEngine]]) -> None:
        self._context = context
        self._labellers = labellers

    def draw(
        self, tasks: Sequence[LabelledTask], what: str, number: int, *seeds: str | int, first: int = 0
    ) -> list[list[WeighedCompletion]]:
        """The completions of each task, in the order of the labellers.

        Args:
            tasks: what is solved, whatever their labels.
            what: what the person who waits is told.
            number: of the round, for the rows.
            seeds: names that the seed derives from.
            first: the index of a labeller's first completion of a task.

        Raises:
            BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
        """
        found: list[list[WeighedCompletion]] = [[] for _ in tasks]
        for name, (labeller, engine) in self._labellers.items():
            k, drawn_at = labeller.samples, f"T={labeller.sampling.temperature}"
            self._context.listener.begin(f"{what}: {name}" if name else what, len(tasks) * k)
            batches = complete(
                engine,
                tasks,
                labeller.sampling,
                k,
                self._context.seed(*seeds, name) if name else self._context.seed(*seeds),
                domains=self._context.recipe.domains,
                origin=Origin(("vote",), number, f"{name} {drawn_at}" if name else drawn_at),
                first=first,
                on_progress=self._context.listener.advance,
            )
            drawn = list(itertools.chain.from_iterable(batches))
            means = self._means(engine, drawn)
            for place, completions in enumerate(found):
                own, of_own = drawn[place * k : (place + 1) * k], means[place * k : (place + 1) * k]
                weights = weights_of(of_own, labeller.weight, self._context.recipe.labelling.sharpness)
                completions += [
                    WeighedCompletion(one.whole(), name, weight, mean)
                    for one, weight, mean in zip(own, weights, of_own, strict=True)
                ]
        return found

    def _means(self, engine: OpenedEngine, drawn: Sequence[Completion]) -> Sequence[float | None]:
        if self._context.recipe.labelling.votes == "equal":
            return [None] * len(drawn)
        assert isinstance(engine, ShardedEngine)
        requests = [_as_written(one, engine.model.chat) for one in drawn]
        return [total / max(count, 1) for [(total, count)] in engine.score_with_lengths(requests)]


def _as_written(one: Completion, chat: bool) -> ScoringRequest:
    """The tokens that were sampled, with the end that the model gave them: it need not be the tokenizer's."""
    sample = one.sample
    if sample.end is None:
        return ScoringRequest(one.prompt, (sample.token_ids,), ends=sample.complete, chat=chat)
    return ScoringRequest(one.prompt, ((*sample.token_ids, sample.end),), ends=False, chat=chat)


def weights_of(means: Sequence[float | None], weight: float, sharpness: float) -> list[float]:
    """Weights of one labeller's completions for one task, weighed against one another; alike without means.

    Args:
        means: mean log-probability of each completion's tokens, in nats.
        weight: what they count on average.
        sharpness: see `likelihood_weights`.
    """
    known = [mean for mean in means if mean is not None]
    factors = likelihood_weights(known, sharpness) if known else [1.0] * len(means)
    return [weight * factor for factor in factors]


def likelihood_weights(means: Sequence[float], sharpness: float) -> list[float]:
    """exp(sharpness x mean) of each completion of a prompt, scaled so that their mean is 1.

    Args:
        means: mean log-probability of each completion's tokens, in nats.
        sharpness: 0 would make all alike.
    """
    best = max(means)
    raw = [math.exp(sharpness * (mean - best)) for mean in means]
    return [weight * len(raw) / math.fsum(raw) for weight in raw]


@contextmanager
def open_voters(context: Context, labellers: Mapping[str, Labeller], policy: ModelRef) -> Iterator[Voters]:
    """Opens the engines of labellers, by their names in `labelling.labellers`; the policy's own name is empty."""
    with ExitStack() as stack:
        opened = {}
        for name, labeller in labellers.items():
            engine = context.open_engine(labeller.engine, f"labelling.labellers.{name}", policy=policy)
            opened[name] = (labeller, stack.enter_context(engine))
        yield Voters(context, opened)


def votes_of(context: Context, task: LabelledTask, completions: Sequence[WeighedCompletion], number: int) -> list[Vote]:
    """The vote of each completion: its final answer, or its program."""
    return [
        Vote(
            id=content_id("vote", task.prompt_id, number, one.labeller, one.completion.index),
            prompt_id=task.prompt_id,
            domain=task.domain,
            round=number,
            labeller=one.labeller,
            index=one.completion.index,
            answer=voted_for(context, task, one.completion.text),
            weight=one.weight,
        )
        for one in completions
    ]


def voted_for(context: Context, task: LabelledTask, text: str) -> str | None:
    """The final answer of a completion, or its program where answers are programs; None, too, where none could be read
    in time."""
    reader = answer_reader(context.judge.verifiers[task.domain])
    try:
        return reader.extract(text) if reader else program_in(text, task.task.language).text
    except Unread:
        return None
