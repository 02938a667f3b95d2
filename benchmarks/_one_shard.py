"""One shard by itself through an engine's own door, as a worker would do it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from selfplay.engines.flow import Feeder, FlowJob, Shard
from selfplay.engines.jobs import GenerateJob, Row
from selfplay.run.store import ShardStore

KEY = "00one"
"""The shard's, in the store."""


def completed(engine: Any, job: GenerateJob) -> list[Row]:
    """Its rows.

    Args:
        engine: a module of `selfplay.engines`: `hf_engine` takes shards, `vllm_engine` and `supervisor` have them flow.
    """
    if hasattr(engine, "generate_shard"):
        rows: list[Row] = engine.generate_shard(job)
        return rows
    with tempfile.TemporaryDirectory() as folder:
        flowing = laid_out(job, Path(folder))
        engine.flow_shards(flowing)
        return rows_of(flowing)


def laid_out(job: GenerateJob, folder: Path) -> FlowJob:
    """The same prompts as the only shard of a queue."""
    queue = folder / "queue"
    Feeder(queue, iter([Shard(0, KEY, job.seed, job.prompts)]), 1).fill()
    return FlowJob(
        model=job.model,
        device=job.device,
        settings=job.settings,
        sampling=job.sampling,
        queue=queue,
        replica="0",
        store=folder / "store",
    )


def rows_of(job: FlowJob) -> list[Row]:
    """The rows of what was laid out, once it is done."""
    return ShardStore(job.store).read(KEY)


def journal_of(job: FlowJob) -> Path:
    """Where its rows are kept meanwhile."""
    return ShardStore(job.store).unfinished(KEY)
