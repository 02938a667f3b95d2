"""The engine of any OpenAI-compatible endpoint: a vLLM server, or a hosted teacher.

Every finished answer is kept in the run's store at once, by what was asked, so that a restart asks and pays for nothing
twice. An endpoint promises no determinism: a sample's seed is sent along, and what came back is what counts.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from selfplay.config.annotation import OpenAIEngine
from selfplay.engines.api.budget import BudgetSpent, Ledger, TokenUsage, priced
from selfplay.engines.api.tokenizer import EndpointTokenizer
from selfplay.engines.api.wire import (
    SCORE_MODES,
    Scored,
    ScoreMode,
    generation,
    read_sample,
    read_scores,
    scoring,
)
from selfplay.engines.base import Missing, ModelRef, OnProgress, Sample, Sampling, ScoringRequest
from selfplay.run.seeding import derive
from selfplay.run.store import SampleStore, content_key
from verifiers.endpoint.client import EndpointClient, EndpointError, EndpointRefused, PassingFault, RequestRefused
from verifiers.endpoint.settings import EndpointSettings

SILENT = 8
"""Requests in a row that fail in spite of all their tries, before an endpoint is taken to be down."""
READ_AT_ONCE = 256
"""Answers that are read from the store together."""
_Row = dict[str, Any]


class ApiEngine:
    """Generates and scores with a model behind an endpoint. Safe from any thread; close it after use."""

    def __init__(self, settings: OpenAIEngine, store: SampleStore, owner: str, ledger: Ledger | None = None) -> None:
        """Takes the settings, where answers are kept, for whom (also in messages), and what may be spent.

        Raises:
            EndpointRefused: the variable of the key is not set.
            TokenizerError: the tokenizer cannot be loaded.
        """
        chat = settings.prompt_style == "chat"
        self.model = ModelRef(settings.model, f"openai/{settings.model}", chat=chat)
        self.settings = settings
        self.owner = owner
        self.tokenizer = EndpointTokenizer(settings.tokenizer) if settings.tokenizer else None
        self._ledger = ledger or Ledger(f"{owner}.budget", settings.budget)
        self._store = store
        self._ledger.add(priced(*store.tokens_of(owner), settings.prices))
        self.client = EndpointClient(EndpointSettings(**settings.endpoint.model_dump()), owner, self._ledger.demand)
        self._lock = threading.Lock()
        self._silent = 0
        self._down = ""
        self._score_mode: ScoreMode | None = None

    def usage(self, sample: Sample) -> TokenUsage:
        """The tokens and the cost of a sample."""
        return priced(sample.prompt_tokens, sample.completion_tokens, self.settings.prices)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> list[Sample]:
        """One completion a prompt, in order. A sample's seed comes from `seed` and its prompt, wherever that stands.

        Raises:
            BudgetSpent: a budget is used up.
            EndpointError: a completion could not be got. What was finished is kept either way.
        """
        asked = self._asked(prompts, sampling, sample_seeds(seed, prompts))
        lost = self._finish(asked, on_progress)
        self._demand(lost.values())
        return [item for part in self._found(asked, lost) for item in part if isinstance(item, Sample)]

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> Iterator[list[Sample | Missing]]:
        """One completion a prompt, in order, or why this prompt was refused; some at a time, once all are there.

        Raises:
            BudgetSpent, EndpointError: see `generate`.
        """
        asked = self._asked(prompts, sampling, sample_seeds(seed, prompts))
        lost = self._finish(asked, on_progress)
        self._demand(missing for missing in lost.values() if missing.kind != "request")
        yield from self._found(asked, lost)

    def try_generate(self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int]) -> list[Sample | Missing]:
        """One completion a prompt, or why there is none, in order; each with a seed of its own."""
        asked = self._asked(prompts, sampling, seeds)
        lost = self._finish(asked, None)
        return list(itertools.chain.from_iterable(self._found(asked, lost)))

    def _asked(self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int]) -> _Questions:
        known = [self._identity(), sampling.known()]
        keys = [content_key("sample", *known, seed, text) for text, seed in zip(prompts, seeds, strict=True)]
        return _Questions(
            keys, lambda place: self._sample(prompts[place], sampling, seeds[place]), _KeptSample.model_validate
        )

    def _found(self, asked: _Questions, lost: Mapping[int, Missing]) -> Iterator[list[Sample | Missing]]:
        """The store's answers to the prompts, in order, and why the others are lost."""
        for start in range(0, len(asked.keys), READ_AT_ONCE):
            keys = asked.keys[start : start + READ_AT_ONCE]
            rows = self._store.get_many(keys, _KeptSample.model_validate)
            yield [lost.get(place) or rows[key].sample() for place, key in enumerate(keys, start)]

    def score(
        self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None = None
    ) -> list[tuple[float, ...]]:
        """Summed log-probabilities, nats, of each segment of each request.

        Raises:
            EndpointRefused: the endpoint gives no log-probabilities of prompts.
            BudgetSpent, EndpointError: see `generate`.
        """
        return [tuple(row.sums) for row in self._score(requests, on_progress)]

    def score_with_lengths(self, requests: Sequence[ScoringRequest]) -> list[list[tuple[float, int]]]:
        """For each request, each segment's summed log-probability and its number of tokens."""
        return [list(zip(row.sums, row.tokens, strict=True)) for row in self._score(requests, None)]

    def find_score_mode(self) -> ScoreMode:
        """How the endpoint gives log-probabilities of prompts; asks it once.

        Raises:
            EndpointRefused: it does not, or there is no tokenizer to cut the segments with.
        """
        if self._score_mode is not None:
            return self._score_mode
        found: ScoreMode = self.client.run(self._try_score_modes())
        self._score_mode = found
        return found

    def close(self) -> None:
        """Ends what is under way; what was finished is kept."""
        self.client.close()

    def _identity(self) -> list[Any]:
        settings = self.settings
        known = [settings.model, settings.prompt_style, settings.tokenizer, settings.extra_body, settings.length_field]
        return [*known, "keep_thinking"] if settings.keep_thinking else known

    async def _sample(self, prompt: str, sampling: Sampling, seed: int) -> _Row:
        raw = self.settings.prompt_style == "raw" and self.tokenizer is not None
        text = self.tokenizer.ids(prompt) if raw and self.tokenizer is not None else prompt
        path, body = generation(self.settings, text, sampling, seed)
        read = functools.partial(read_sample, keep_thinking=self.settings.keep_thinking)
        sample, _ = await self.client.ask(path, body, read)
        return asdict(sample)

    async def _sums(self, ids: list[int], spans: list[tuple[int, int]], mode: ScoreMode) -> _Row:
        path, body = scoring(self.settings, ids, mode)
        scored, _ = await self.client.ask(path, body, functools.partial(read_scores, ids=ids, mode=mode))
        return {
            "sums": [sum(scored.logprobs[start:end]) for start, end in spans],
            "tokens": [end - start for start, end in spans],
            "prompt_tokens": scored.prompt_tokens,
            "completion_tokens": scored.completion_tokens,
        }

    def _score(self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None) -> list[_KeptScores]:
        if not requests:
            return []
        mode = self.find_score_mode()
        assert self.tokenizer is not None
        encoded = [self.tokenizer.spans(request) for request in requests]
        keys = [content_key("score", self._identity(), ids, spans) for ids, spans in encoded]
        asked = _Questions(keys, lambda place: self._sums(*encoded[place], mode), _KeptScores.model_validate)
        self._demand(self._finish(asked, on_progress).values())
        rows = self._store.get_many(keys, _KeptScores.model_validate)
        return [rows[key] for key in keys]

    async def _try_score_modes(self) -> ScoreMode:
        if self.tokenizer is None:
            raise EndpointRefused(f"{self.owner}: scoring needs the model's tokenizer; name it in engine.tokenizer")
        ids, _ = self.tokenizer.spans(ScoringRequest("one two", (" three",)))
        refusals = []
        for mode in SCORE_MODES:
            path, body = scoring(self.settings, ids, mode)
            try:
                await self.client.ask(path, body, functools.partial(_known_scores, ids=ids, mode=mode))
            except (RequestRefused, _NoScores) as error:
                refusals.append(f"by {mode}: {error}")
                continue
            return mode
        raise EndpointRefused(
            f"{self.owner}: {self.client.url} gives no log-probabilities of prompts ({'; '.join(refusals)}); scoring "
            "needs an endpoint that does, such as vLLM's server"
        )

    def _finish(self, asked: _Questions, on_progress: OnProgress | None) -> dict[int, Missing]:
        """Asks the endpoint for what the store lacks; each row goes there at once. Says what could not be got."""
        known = self._store.known(asked.keys, asked.read)
        left = deque(place for place, key in enumerate(asked.keys) if key not in known)
        lost: dict[int, Missing] = {}
        if on_progress is not None:
            on_progress(len(asked.keys) - len(left))

        async def work_off() -> None:
            while left:
                place = left.popleft()
                missing = await self._settle(asked.keys[place], asked.answer, place)
                if missing is not None:
                    lost[place] = missing
                if on_progress is not None:
                    on_progress(1)

        async def all_of_them() -> None:
            width = min(self.settings.endpoint.concurrency, len(left))
            await asyncio.gather(*(work_off() for _ in range(width)))

        if left:
            self.client.run(all_of_them())
        return dict(sorted(lost.items()))

    async def _settle(self, key: str, answer: Callable[[int], Coroutine[Any, Any, _Row]], place: int) -> Missing | None:
        if self._down:
            return Missing(self._down, "endpoint")
        try:
            self._ledger.demand()
            row = await answer(place)
        except BudgetSpent as error:
            return Missing(str(error), "budget")
        except RequestRefused as error:
            self._hear(answered=True)
            return Missing(str(error), "request")
        except PassingFault as error:
            self._hear(answered=False, fault=str(error))
            return Missing(f"gave no answer in {self.settings.endpoint.attempts} tries: {error}", "endpoint")
        except EndpointRefused as error:
            self._down = str(error)
            return Missing(str(error), "endpoint")
        self._hear(answered=True)
        self._store.put(key, self.owner, row)
        self._ledger.add(priced(row["prompt_tokens"], row["completion_tokens"], self.settings.prices))
        return None

    def _hear(self, answered: bool, fault: str = "") -> None:
        with self._lock:
            self._silent = 0 if answered else self._silent + 1
            if self._silent >= max(SILENT, self.settings.endpoint.concurrency):
                self._down = f"{self.client.url} does not answer: {fault}"

    def _demand(self, lost: Iterable[Missing]) -> None:
        """Raises for the first of what is lost, if anything is."""
        for missing in lost:
            message = f"{self.owner}: {missing.reason}"
            raise BudgetSpent(message) if missing.kind == "budget" else EndpointError(message)


@dataclass(frozen=True, slots=True)
class _Questions:
    """Questions to an endpoint: the key of each item, what asks for the item at a place, what reads a kept answer."""

    keys: Sequence[str]
    answer: Callable[[int], Coroutine[Any, Any, _Row]]
    read: Callable[[Any], object]


class _NoScores(EndpointError):
    """An answer without the log-probabilities that were asked for; asking again would not bring them."""


def _known_scores(answer: Any, ids: Sequence[int], mode: ScoreMode) -> Scored:
    try:
        return read_scores(answer, ids, mode)
    except ValueError as error:
        raise _NoScores(str(error)) from error


def sample_seeds(seed: int, prompts: Sequence[str]) -> list[int]:
    """A seed for each prompt, from its text and from how often it came before."""
    seen: Counter[str] = Counter()
    seeds = []
    for prompt in prompts:
        seeds.append(derive(seed, "sample", content_key(prompt), seen[prompt]))
        seen[prompt] += 1
    return seeds


class _Kept(BaseModel):
    """An answer as the store has it."""

    model_config = ConfigDict(strict=True)

    prompt_tokens: int
    completion_tokens: int


class _KeptSample(_Kept):
    text: str
    token_ids: list[int]
    complete: bool

    def sample(self) -> Sample:
        """The completion."""
        return Sample(self.text, tuple(self.token_ids), self.complete, self.prompt_tokens, self.completion_tokens)


class _KeptScores(_Kept):
    sums: list[float]
    tokens: list[int]
