"""The engine that stages use: work cut into shards, looked up in the store, spread over the workers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from selfplay.compute.workers import Workers
from selfplay.config import recipe as config
from selfplay.engines import hf_engine, supervisor, vllm_engine
from selfplay.engines.base import ModelRef, OnProgress, Sample, Sampling, ScoringRequest
from selfplay.engines.jobs import GenerateJob, Row, ScoreJob, ShardJob
from selfplay.engines.named_models import libraries
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore, content_key

Job = TypeVar("Job", bound=ShardJob)


class ShardedEngine:
    """Generates and scores with one model over all workers; finished shards are never computed again."""

    def __init__(self, model: ModelRef, settings: config.EngineSettings, workers: Workers, store: ShardStore) -> None:
        self.model = model
        self._settings = settings
        self._workers = workers
        self._store = store
        self._backend = _backend(settings)

    def stream(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> Iterator[list[Sample]]:
        """One completion a prompt, in order, shard by shard, as soon as a shard and all before it are done.

        Prompts go through the model's chat template if it has that style. Of the shards, no more are in memory than
        the workers have under way.
        """
        parts = [prompts[start:end] for start, end in _slices(len(prompts), self._settings.shard)]
        jobs, keys = [], []
        for number, part in enumerate(parts):
            shard_seed = derive(seed, "generate", number)
            known = [sampling.known(), shard_seed, self._settings.batch_tokens, list(part)]
            keys.append(content_key("generate", self._identity(), *known))
            jobs.append(GenerateJob(**self._common(), prompts=part, sampling=sampling, seed=shard_seed))
        sizes = [len(part) for part in parts]
        for rows in self._run(self._backend.generate_shard, jobs, keys, sizes, on_progress):
            yield [_sample(row) for row in rows]

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> list[Sample]:
        """All that `stream` gives."""
        return list(itertools.chain.from_iterable(self.stream(prompts, sampling, seed, on_progress)))

    def score(
        self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None = None
    ) -> list[tuple[float, ...]]:
        """Summed log-probabilities, nats, of each segment of each request."""
        return [tuple(row["sums"]) for row in self._score(requests, on_progress)]

    def score_with_lengths(self, requests: Sequence[ScoringRequest]) -> list[list[tuple[float, int]]]:
        """For each request, each segment's summed log-probability and its number of tokens."""
        return [list(zip(row["sums"], row["tokens"], strict=True)) for row in self._score(requests, None)]

    def _score(self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None) -> Iterator[Row]:
        parts = [requests[start:end] for start, end in _slices(len(requests), self._settings.shard)]
        keys = [content_key("score", self._identity(), [asdict(request) for request in part]) for part in parts]
        jobs = [ScoreJob(**self._common(), requests=part) for part in parts]
        sizes = [len(part) for part in parts]
        return itertools.chain.from_iterable(self._run(self._backend.score_shard, jobs, keys, sizes, on_progress))

    def _common(self) -> dict[str, Any]:
        return {"model": self.model, "device": self._workers.device, "settings": self._settings}

    def _identity(self) -> list[Any]:
        kind, model = self._settings.kind, self.model
        return [model.fingerprint, model.dtype, model.chat, kind, self._settings.args, libraries(kind)]

    def _run(
        self,
        function: Callable[[Job], list[Row]],
        jobs: Sequence[Job],
        keys: Sequence[str],
        sizes: Sequence[int],
        on_progress: OnProgress | None,
    ) -> Iterator[list[Row]]:
        """The rows of each shard, in order, from the store or from the workers."""
        missing = [place for place, key in enumerate(keys) if not self._store.has(key)]
        done = set(range(len(keys))) - set(missing)
        if on_progress is not None:
            on_progress(sum(sizes[place] for place in done))
        wanted = (replace(jobs[place], journal=self._store.unfinished(keys[place])) for place in missing)
        turn = 0
        for number, rows in self._workers.as_done(function, wanted):
            self._store.put(keys[missing[number]], rows)
            done.add(missing[number])
            if on_progress is not None:
                on_progress(len(rows))
            while turn in done:
                yield rows if turn == missing[number] else self._store.read(keys[turn])
                turn += 1
        for key in keys[turn:]:
            yield self._store.read(key)


def _backend(settings: config.EngineSettings) -> Any:
    if settings.supervision is not None:
        return supervisor
    return {"transformers": hf_engine, "vllm": vllm_engine}[settings.kind]


def _sample(row: Row) -> Sample:
    ids = tuple(row["token_ids"])
    logprobs = tuple(row.get("logprobs", ()))
    # Shards of older runs lack the number of prompt tokens, and the end.
    spent = row.get("prompt_tokens", 0), len(ids) + row["complete"]
    return Sample(row["text"], ids, row["complete"], *spent, logprobs, row.get("end"))


def _slices(count: int, size: int) -> list[tuple[int, int]]:
    """Even slices of at most `size`, and an even number of them, so that two workers share well."""
    if count == 0:
        return []
    pieces = math.ceil(count / size)
    if count > 1:
        pieces += pieces % 2
    bounds = [round(piece * count / pieces) for piece in range(pieces + 1)]
    return list(itertools.pairwise(bounds))
