"""Votes on labels: completions of every labeller, and what each counts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from selfplay import formats
from selfplay.config.labelling import Labeller
from selfplay.engines.base import ModelRef, Sample, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.labelling.label_engines import ask, open_label_engine
from selfplay.run.records import LabelledTask, Vote
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.stage.open_engine import OpenedEngine
from verifiers.extraction import code_block
from verifiers.mathematics import answer_reader


@dataclass(frozen=True, slots=True)
class Completion:
    """A labeller's completion of a prompt."""

    labeller: str
    mode: str
    index: int
    """Among those of its labeller for this prompt."""
    text: str
    """Empty where it was cut at the token limit: the last number of half a solution is not an answer."""
    weight: float
    mean: float | None = None
    """Log-probability of its tokens, on average, in nats; None where votes count equally."""


class Voters:
    """Labellers whose engines are open."""

    def __init__(self, context: Context, labellers: Mapping[str, tuple[Labeller, OpenedEngine]]) -> None:
        self._context = context
        self._labellers = labellers

    def draw(self, tasks: Sequence[LabelledTask], what: str, *seeds: str | int) -> list[list[Completion]]:
        """The completions of each task, in the order of the labellers.

        Args:
            tasks: what is solved, whatever their labels.
            what: what the person who waits is told.
            seeds: names that the seed derives from.

        Raises:
            BudgetSpent, EndpointError: an endpoint gives nothing more now; what was finished is kept.
        """
        found: list[list[Completion]] = [[] for _ in tasks]
        for name, (labeller, engine) in self._labellers.items():
            k = labeller.samples
            repeated = [task for task in tasks for _ in range(k)]
            domains = self._context.recipe.domains
            inputs = [formats.solver_input(domains[task.domain], task.task) for task in repeated]
            self._context.listener.begin(f"{what}: {name}" if name else what, len(inputs))
            seed = self._context.seed(*seeds, name) if name else self._context.seed(*seeds)
            samples = ask(self._context, engine, inputs, labeller.sampling, seed)
            means = self._means(engine, inputs, samples)
            mode = f"{name} T={labeller.sampling.temperature}" if name else f"T={labeller.sampling.temperature}"
            drawn = [
                Completion(name, mode, place % k, sample.text if sample.complete else "", labeller.weight, mean)
                for place, (sample, mean) in enumerate(zip(samples, means, strict=True))
            ]
            for place, completions in enumerate(found):
                own = drawn[place * k : (place + 1) * k]
                completions.extend(weighed(own, labeller.weight, self._sharpness))
        return found

    @property
    def _sharpness(self) -> float:
        return self._context.recipe.labelling.sharpness

    def _means(self, engine: OpenedEngine, inputs: Sequence[str], samples: Sequence[Sample]) -> Sequence[float | None]:
        if self._context.recipe.labelling.votes == "equal":
            return [None] * len(samples)
        assert isinstance(engine, ShardedEngine)
        requests = [
            ScoringRequest(text, (sample.token_ids,), ends=sample.complete, chat=engine.model.chat)
            for text, sample in zip(inputs, samples, strict=True)
        ]
        return [total / max(count, 1) for [(total, count)] in engine.score_with_lengths(requests)]


def weighed(completions: Sequence[Completion], weight: float, sharpness: float) -> list[Completion]:
    """All completions of one labeller for one prompt, weighed against one another; as they are where votes are equal.

    Args:
        completions: drawn at once or in waves; what they weighed among those of their wave does not count.
        weight: what they weigh on average.
        sharpness: see `likelihood_weights`.
    """
    means = [one.mean for one in completions if one.mean is not None]
    if not means:
        return list(completions)
    factors = likelihood_weights(means, sharpness)
    return [dataclasses.replace(one, weight=weight * f) for one, f in zip(completions, factors, strict=True)]


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
            engine = open_label_engine(context, labeller.engine, f"labelling.labellers.{name}", policy)
            opened[name] = (labeller, stack.enter_context(engine))
        yield Voters(context, opened)


def votes_of(context: Context, task: LabelledTask, completions: Sequence[Completion], number: int) -> list[Vote]:
    """What each completion votes for: its final answer, or its program."""
    return [
        Vote(
            id=content_id("vote", task.prompt_id, number, completion.labeller, completion.index),
            prompt_id=task.prompt_id,
            domain=task.domain,
            round=number,
            labeller=completion.labeller,
            index=completion.index,
            answer=voted_for(context, task.domain, completion.text),
            weight=completion.weight,
        )
        for completion in completions
    ]


def voted_for(context: Context, domain: str, text: str) -> str | None:
    """The final answer of a completion, or its program where answers are programs."""
    reader = answer_reader(context.judge.verifiers[domain])
    return reader.extract(text) if reader else code_block(text).text
