"""Jobs of a worker, as types: one shard to complete or to score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest

Row = dict[str, Any]
"""An engine's result for one item, as the store keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJob:
    """Shared by both kinds of work."""

    model: ModelRef
    device: str
    """`cpu` or `cuda`."""
    settings: EngineSettings
    journal: Path | None = None
    """Where a supervised engine keeps what is finished of the shard."""
    wanted: Sequence[int] | None = None
    """The places of the items to do; None does all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateJob(ShardJob):
    """Prompts to be completed; they go through the model's chat template where it has that style."""

    prompts: Sequence[str]
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob(ShardJob):
    """Requests to be scored."""

    requests: Sequence[ScoringRequest]


def by_length(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices by length, longest first, in batches of at most `budget` padded tokens (one sequence at least)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
