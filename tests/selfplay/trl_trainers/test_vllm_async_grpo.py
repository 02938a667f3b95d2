"""TRL's AsyncGRPOTrainer beside a real vLLM server, on a CPU; runs in the environment that `make vllm` makes.

FlashAttention alone is a stub. Weights go by a file, as no NCCL is there.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from selfplay.compute.workers import Workers
from selfplay.engines.base import ModelRef
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.grpo_async import train_async_grpo
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from tests.selfplay.trl_trainers.flash_stub import install
from tests.selfplay.trl_trainers.test_async_grpo import LORA, STEP, asynchronous, figures, lines_of_log

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm"),
]


def train(call: tuple[GRPOJob, Placement]) -> None:
    install(pytest.MonkeyPatch())
    train_async_grpo(*call)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Placement:
    monkeypatch.syspath_prepend(tmp_path)
    return Placement("cpu", 3, tmp_path / "work", tmp_path / "out")


def run(given: GRPOJob, place: Placement, ranks: int = 1) -> None:
    workers = Workers(ranks, 1, "cpu", place.work.parent / "workers.log")
    try:
        workers.together(train, (given, place))
    finally:
        workers.stop()


@pytest.mark.parametrize(("ranks", "lora"), [(1, None), (2, LORA)], ids=["alone", "two-ranks-adapter"])
def test_engine_and_trainer_have_the_same_weights_at_every_step(
    small_model: ModelRef, place: Placement, ranks: int, lora: Any
) -> None:
    run(asynchronous(small_model, place, lora=lora, stale=ranks, max_steps=4), place, ranks)
    steps = figures(place)
    assert [step["batch/samples_per_step"] for step in steps] == [STEP * ranks] * 4
    assert max(step["sampling/probe/max"] for step in steps) < 1e-4
    assert min(step["sampling/staleness"] for step in steps) >= 0
    assert max(step["sampling/staleness"] for step in steps) <= ranks
    assert max(step["sampling/kl"] for step in steps) < 0.1
    assert model_folder.weights_hash(place.output) != model_folder.weights_hash(Path(small_model.path))
    assert len(lines_of_log(place)) >= 4 * STEP * ranks


def test_a_server_that_is_killed_is_started_again(small_model: ModelRef, place: Placement) -> None:
    given = asynchronous(small_model, place, max_steps=6, max_completion_length=64)

    def kill() -> None:
        while not (place.work / "log.jsonl").exists():
            time.sleep(0.05)
        children = psutil.Process().children(recursive=True)
        [server, *_] = [one for one in children if any("vllm_server.inside" in word for word in one.cmdline())]
        os.kill(server.pid, signal.SIGKILL)

    killer = Thread(target=kill, daemon=True)
    killer.start()
    run(given, place)
    killer.join()
    steps = figures(place)
    assert len(steps) == 6
    assert steps[-1]["sampling/restarts"] >= 1
    assert max(step["sampling/probe/max"] for step in steps) < 1e-4
