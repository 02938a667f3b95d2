"""Shards: even, in order, computed once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.sharded import ShardedEngine, _slices
from selfplay.run.store import ShardStore


@given(count=st.integers(0, 500), size=st.integers(1, 100))
def test_slices_cover_everything_evenly(count: int, size: int) -> None:
    slices = _slices(count, size)
    lengths = [end - start for start, end in slices]
    assert sum(lengths) == count
    assert all(a[1] == b[0] for a, b in pairwise(slices))
    if lengths:
        assert max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1


def engine(model: ModelRef, workers: Any, folder: Path, shard: int = 4) -> ShardedEngine:
    return ShardedEngine(model, EngineSettings(shard=shard), workers, ShardStore(folder))


def test_finished_shards_are_not_computed_again(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    prompts = [f"Tom has {n}" for n in range(10)]
    first = engine(tiny_model, in_process, store_folder).generate(prompts, Sampling(1.0, 5), seed=1)
    done = in_process.jobs
    assert engine(tiny_model, in_process, store_folder).generate(prompts, Sampling(1.0, 5), seed=1) == first
    assert in_process.jobs == done


def test_a_lost_shard_alone_is_made_again(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    prompts = [f"Tom has {n}" for n in range(10)]
    first = engine(tiny_model, in_process, store_folder).generate(prompts, Sampling(1.0, 5), seed=1)
    done = in_process.jobs
    sorted(store_folder.rglob("*.parquet"))[0].unlink()
    assert engine(tiny_model, in_process, store_folder).generate(prompts, Sampling(1.0, 5), seed=1) == first
    assert in_process.jobs == done + 1


def test_other_weights_are_other_work(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    engine(tiny_model, in_process, store_folder).generate(["a"], Sampling(0.0, 3), seed=1)
    other = ModelRef.local(Path(tiny_model.path), "other", "float32", chat=False)
    engine(other, in_process, store_folder).generate(["a"], Sampling(0.0, 3), seed=1)
    assert in_process.jobs == 2


def test_scores_come_in_the_order_asked(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    requests = [ScoringRequest("p", ("x" * n, "y")) for n in (9, 1, 5, 3, 7)]
    small = engine(tiny_model, in_process, store_folder / "a", shard=2).score(requests)
    large = engine(tiny_model, in_process, store_folder / "b", shard=100).score(requests)
    for a, b in zip(small, large, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_progress_counts_every_item_once(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    for _ in range(2):
        seen: list[int] = []
        engine(tiny_model, in_process, store_folder).generate(["a"] * 9, Sampling(0.0, 2), 0, seen.append)
        assert sum(seen) == 9


def test_nothing_asked_is_nothing_done(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    assert engine(tiny_model, in_process, store_folder).generate([], Sampling(0.0, 2), 0) == []
