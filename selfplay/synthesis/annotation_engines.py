"""The annotators of a recipe behind one interface, whether a model runs here or answers at an endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from selfplay.config.annotation import Annotator, OpenAIEngine
from selfplay.engines.api.budget import Ledger, TokenUsage
from selfplay.engines.api.engine import ApiEngine
from selfplay.engines.base import Missing, Sample, Sampling
from selfplay.engines.sharded import ShardedEngine
from selfplay.stage.context import Context

LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class AnnotatorQuestion:
    """A prompt for an annotator."""

    prompt: str
    seed: int
    attempt: int
    """0 the first time, then counted up with each answer that could not be used."""


class RemoteAnnotator:
    """A model behind an endpoint."""

    def __init__(self, name: str, settings: Annotator, engine: ApiEngine, pause_s: float) -> None:
        self.name, self.model, self.temperature = name, engine.settings.model, settings.sampling.temperature
        self._engine, self._sampling, self._pause_s = engine, Sampling.of(settings.sampling), pause_s
        self._stopped = threading.Event()

    def answer(self, questions: Sequence[AnnotatorQuestion], seed: int) -> list[tuple[Sample | Missing, int]]:
        """An answer a question, or why there is none, and the seed it was drawn with.

        Each question has a seed of its own, so that an answer does not depend on what else is asked.
        """
        fewest = min(question.attempt for question in questions)
        if fewest:
            self._stopped.wait(min(LONGEST_PAUSE_S, self._pause_s * 2.0 ** (fewest - 1)))
        seeds = [question.seed for question in questions]
        found = self._engine.try_generate([question.prompt for question in questions], self._sampling, seeds)
        return list(zip(found, seeds, strict=True))

    def usage(self, sample: Sample) -> TokenUsage:
        """Tokens as the endpoint counts them, at the recipe's prices."""
        return self._engine.usage(sample)

    def stop(self) -> None:
        """Ends a pause between two questions."""
        self._stopped.set()


class LocalAnnotator:
    """A model of this machine, over the run's workers, which all such annotators share by taking turns."""

    def __init__(
        self, name: str, settings: Annotator, engine: ShardedEngine, ledger: Ledger, turn: threading.Lock
    ) -> None:
        self.name, self.model, self.temperature = name, engine.model.path, settings.sampling.temperature
        self._engine, self._sampling, self._ledger, self._turn = engine, Sampling.of(settings.sampling), ledger, turn

    def answer(self, questions: Sequence[AnnotatorQuestion], seed: int) -> list[tuple[Sample | Missing, int]]:
        """An answer a question, and the seed it was drawn with: that of the batch, for all questions."""
        with self._turn:
            found = self._engine.generate([question.prompt for question in questions], self._sampling, seed)
        for sample in found:
            self._ledger.add(self.usage(sample))
        return [(sample, seed) for sample in found]

    def usage(self, sample: Sample) -> TokenUsage:
        """Its tokens, which cost nothing."""
        return TokenUsage(sample.prompt_tokens, sample.completion_tokens)


Asked = RemoteAnnotator | LocalAnnotator
"""Answers questions about problems."""


@contextmanager
def open_annotators(context: Context, wide: Ledger) -> Iterator[dict[str, Asked]]:
    """The recipe's annotators by name, until the end of the `with`; all they spend is booked on the wide ledger too.

    Raises:
        EndpointRefused: the variable of a key is not set.
    """
    settings = context.recipe.cold_start
    found: dict[str, Asked] = {}
    turn = threading.Lock()
    with ExitStack() as stack:
        for name, annotator in settings.annotators.items():
            field = f"cold_start.annotators.{name}.engine"
            engine = stack.enter_context(context.open_engine(annotator.engine, field, wide))
            if isinstance(engine, ApiEngine):
                remote = RemoteAnnotator(name, annotator, engine, settings.annotation.pause_s)
                stack.callback(remote.stop)
                found[name] = remote
            else:
                found[name] = LocalAnnotator(name, annotator, engine, wide, turn)
        yield found


def all_remote(annotators: Sequence[Annotator]) -> bool:
    """Whether no annotator needs a model on this machine."""
    return all(isinstance(annotator.engine, OpenAIEngine) for annotator in annotators)
