"""The engine that stages use: work cut into shards, looked up in the store, spread over the workers."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from selfplay.compute.workers import Workers
from selfplay.config.compute import EngineSettings
from selfplay.engines import hf_engine, supervisor, vllm_engine
from selfplay.engines.base import ModelRef, OnProgress, Sample, Sampling, ScoringRequest
from selfplay.engines.flow import Feeder, FlowJob, Shard
from selfplay.engines.jobs import GenerateJob, Row, ScoreJob, ShardJob
from selfplay.engines.named_models import libraries
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore, content_key

AHEAD = 2
"""Shards for each replica that are laid out and not taken yet."""
Job = TypeVar("Job", bound=ShardJob)


class ShardedEngine:
    """Generates and scores with one model over all workers; finished shards are never computed again."""

    def __init__(self, model: ModelRef, settings: EngineSettings, workers: Workers, store: ShardStore) -> None:
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
        shards = []
        for number, (start, end) in enumerate(_slices(len(prompts), self._settings.shard)):
            shard_seed = derive(seed, "generate", number)
            known = [sampling.known(), shard_seed, self._settings.batch_tokens, list(prompts[start:end])]
            key = content_key("generate", self._identity(), *known)
            shards.append(Shard(number, key, shard_seed, prompts[start:end]))
        if self._settings.kind == "vllm":
            found = self._flow(shards, sampling, on_progress)
        else:
            jobs = [GenerateJob(**self._common(), prompts=s.prompts, sampling=sampling, seed=s.seed) for s in shards]
            keys, sizes = [shard.key for shard in shards], [len(shard.prompts) for shard in shards]
            found = self._run(self._backend.generate_shard, jobs, keys, sizes, on_progress)
        for rows in found:
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
        known = [model.fingerprint, model.dtype, model.chat, kind, self._settings.args, libraries(kind)]
        return known if model.stretch == 1 else [*known, model.stretch]

    def _flow(self, shards: Sequence[Shard], sampling: Sampling, on_progress: OnProgress | None) -> Iterator[list[Row]]:
        """The rows of each shard, in order; replicas take shards as they have room, and put them into the store."""
        missing = [shard for shard in shards if not self._store.has(shard.key)]
        told = sum(len(shard.prompts) for shard in shards) - sum(len(shard.prompts) for shard in missing)
        if on_progress is not None:
            on_progress(told)
        turn = 0
        for finished in self._made(missing, sampling) if missing else ():
            if on_progress is not None and finished:
                on_progress(finished)
            while turn < len(shards) and self._store.has(shards[turn].key):
                yield self._store.read(shards[turn].key)
                turn += 1
        for shard in shards[turn:]:
            yield self._store.read(shard.key)

    def _made(self, missing: Sequence[Shard], sampling: Sampling) -> Iterator[int]:
        """Has the workers make shards; now and then, how many completions were finished since."""
        replicas, told = min(self._workers.count, len(missing)), 0
        with tempfile.TemporaryDirectory(prefix="selfplay-flow-", dir=self._workers.shared) as folder:
            queue = Path(folder)
            feeder = Feeder(queue, iter(missing), AHEAD * replicas)
            feeder.fill()
            shared = {**self._common(), "sampling": sampling, "queue": queue, "store": self._store.folder}
            jobs = [FlowJob(**shared, replica=str(number)) for number in range(replicas)]
            for _ in self._workers.ticking(self._backend.flow_shards, jobs):
                feeder.fill()
                finished = feeder.finished()
                yield finished - told
                told = finished

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


def _backend(settings: EngineSettings) -> Any:
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
