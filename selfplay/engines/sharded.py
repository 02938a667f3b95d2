"""The engine that stages use: work cut into shards, looked up in the store, spread over the workers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from selfplay.compute.workers import Job, Workers
from selfplay.config import recipe as config
from selfplay.engines import hf_engine, supervisor, vllm_engine
from selfplay.engines.base import ModelRef, OnProgress, Sample, Sampling, ScoringRequest
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore, content_key


class ShardedEngine:
    """Generates and scores with one model over all workers; finished shards are never computed again."""

    def __init__(self, model: ModelRef, settings: config.EngineSettings, workers: Workers, store: ShardStore) -> None:
        self.model = model
        self._settings = settings
        self._workers = workers
        self._store = store
        self._backend = _backend(settings)

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seed: int, on_progress: OnProgress | None = None
    ) -> list[Sample]:
        """One completion a prompt, in order; through the model's chat template if it has that style."""
        jobs: list[Job] = []
        keys = []
        how = asdict(sampling)
        for number, (start, end) in enumerate(_slices(len(prompts), self._settings.shard)):
            shard_seed = derive(seed, "generate", number)
            part = list(prompts[start:end])
            keys.append(content_key("generate", self._identity(), how, shard_seed, self._settings.batch_tokens, part))
            jobs.append(
                self._job() | {"prompts": part, "chat": self.model.chat, "sampling": sampling, "seed": shard_seed}
            )
        rows = self._run(self._backend.generate_shard, jobs, keys, on_progress)
        return [_sample(row) for row in rows]

    def score(
        self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None = None
    ) -> list[tuple[float, ...]]:
        """Summed log-probabilities, nats, of each segment of each request."""
        return [tuple(row["sums"]) for row in self._score(requests, on_progress)]

    def score_with_lengths(self, requests: Sequence[ScoringRequest]) -> list[list[tuple[float, int]]]:
        """For each request, each segment's summed log-probability and its number of tokens."""
        return [list(zip(row["sums"], row["tokens"], strict=True)) for row in self._score(requests, None)]

    def _score(self, requests: Sequence[ScoringRequest], on_progress: OnProgress | None) -> list[dict[str, Any]]:
        jobs, keys = [], []
        for start, end in _slices(len(requests), self._settings.shard):
            part = list(requests[start:end])
            keys.append(content_key("score", self._identity(), [asdict(request) for request in part]))
            jobs.append(self._job() | {"requests": part})
        return self._run(self._backend.score_shard, jobs, keys, on_progress)

    def _job(self) -> Job:
        return {
            "model": self.model,
            "device": self._workers.device,
            "batch_tokens": self._settings.batch_tokens,
            "engine_args": self._settings.args,
            "supervision": self._settings.supervision,
        }

    def _identity(self) -> list[Any]:
        own = [] if self._settings.kind == "transformers" else [self._settings.kind, self._settings.args]
        return [self.model.fingerprint, self.model.dtype, self.model.chat, *own]

    def _run(
        self,
        function: Callable[[Job], list[dict[str, Any]]],
        jobs: Sequence[Job],
        keys: Sequence[str],
        on_progress: OnProgress | None,
    ) -> list[dict[str, Any]]:
        if self._settings.supervision is not None:
            jobs = [job | {"journal": self._store.unfinished(key)} for job, key in zip(jobs, keys, strict=True)]
        shards = [self._store.get(key) for key in keys]
        missing = [index for index, shard in enumerate(shards) if shard is None]

        def keep(place: int, rows: list[dict[str, Any]]) -> None:
            self._store.put(keys[missing[place]], rows)
            if on_progress is not None:
                on_progress(len(rows))

        if on_progress is not None:
            on_progress(sum(len(shard) for shard in shards if shard is not None))
        fresh = self._workers.map(function, [jobs[index] for index in missing], keep)
        for index, rows in zip(missing, fresh, strict=True):
            shards[index] = rows
        return [row for shard in shards if shard is not None for row in shard]


def _backend(settings: config.EngineSettings) -> Any:
    if settings.supervision is not None:
        return supervisor
    return {"transformers": hf_engine, "vllm": vllm_engine}[settings.kind]


def _sample(row: dict[str, Any]) -> Sample:
    ids = tuple(row["token_ids"])
    # Shards of older runs lack the number of prompt tokens.
    return Sample(row["text"], ids, row["complete"], row.get("prompt_tokens", 0), len(ids) + row["complete"])


def _slices(count: int, size: int) -> list[tuple[int, int]]:
    """Even slices of at most `size`, and an even number of them, so that two workers share well."""
    if count == 0:
        return []
    pieces = math.ceil(count / size)
    if count > 1:
        pieces += pieces % 2
    bounds = [round(piece * count / pieces) for piece in range(pieces + 1)]
    return list(itertools.pairwise(bounds))
