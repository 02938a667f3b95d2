"""GRPO with rollouts by a real vLLM; runs in the environment that `make vllm` makes."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from selfplay.compute.workers import WorkerError, Workers
from selfplay.config.rules import GRPORule, RolloutEngine
from selfplay.engines.base import ModelRef
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.vllm_rollouts.probe import StaleEngine
from selfplay.trl_trainers.vllm_server.client import RolloutClient
from tests.selfplay.trl_trainers.model_variants import mixture, tied
from tests.selfplay.trl_trainers.test_grpo_ranks import job, train

LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
ALONE = RolloutEngine(adapter="alone")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm"),
]


def by_vllm(model: ModelRef, folder: Path, rollouts: Any = "vllm", **others: Any) -> GRPOJob:
    rule = GRPORule(rollouts=rollouts, top_up=1.0)
    given = job(model, folder)
    return dataclasses.replace(given, rule=rule, args=given.args | {"per_device_train_batch_size": 12}, **others)


def place_in(folder: Path, name: str, sharding: Any = "none") -> Placement:
    return Placement("cpu", 3, folder / f"{name}-work", folder / name, sharding=sharding)


def figures(folder: Path, name: str) -> list[dict[str, float]]:
    lines = (folder / f"{name}-work" / "log.jsonl").read_text().splitlines()
    return [found for line in lines if "sampling/kl" in (found := json.loads(line)["metrics"])]


@pytest.mark.parametrize("kind", ["untied", "tied", "experts", "adapter", "alone"])
def test_engine_and_trainer_have_the_same_weights_at_every_step(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    make = {"tied": tied, "experts": mixture}.get(kind)
    model = small_model if make is None else make(small_model, tmp_path / kind)
    given = by_vllm(model, tmp_path, lora=LORA if kind in ("adapter", "alone") else None)
    if kind == "alone":
        given = dataclasses.replace(given, rule=GRPORule(rollouts="vllm", top_up=1.0, vllm=ALONE))
    train_grpo(given, place_in(tmp_path, "out"))
    steps = figures(tmp_path, "out")
    assert len(steps) == 4
    assert max(step["sampling/probe/max"] for step in steps) < 1e-4
    assert max(step["sampling/sampling_logp_difference/max"] for step in steps) < 1e-4
    assert {step["sampling/clip_share"] for step in steps} == {0.0}
    assert not torch.distributed.is_initialized()
    trained = model_folder.weights_hash(tmp_path / "out")
    assert trained != model_folder.weights_hash(Path(model.path))


def test_a_cache_in_8_bits_rounds_and_no_more(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    smaller = GRPORule(rollouts="vllm", top_up=1.0, vllm=RolloutEngine(args={"kv_cache_dtype": "fp8"}))
    train_grpo(dataclasses.replace(by_vllm(small_model, tmp_path), rule=smaller), place_in(tmp_path, "out"))
    steps = figures(tmp_path, "out")
    assert len(steps) == 4
    # More than in float32, where a ten-thousandth of a nat would be too much.
    assert all(1e-5 < step["sampling/probe/mean"] < 0.1 for step in steps)


@pytest.mark.parametrize("kind", ["untied", "tied", "experts", "adapter"])
def test_a_server_that_is_killed_in_the_middle_of_a_step_costs_no_sample(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    make = {"tied": tied, "experts": mixture}.get(kind)
    model = small_model if make is None else make(small_model, tmp_path / kind)
    given = by_vllm(model, tmp_path, "server", lora=LORA if kind == "adapter" else None)
    train_grpo(given, place_in(tmp_path, "whole"))
    kill_an_engine(monkeypatch, after=20)
    train_grpo(given, place_in(tmp_path, "killed"))
    for name, restarts in (("whole", 0.0), ("killed", 1.0)):
        steps = figures(tmp_path, name)
        assert len(steps) == 4
        assert steps[-1]["sampling/restarts"] == restarts
        assert max(step["sampling/probe/max"] for step in steps) < 1e-4
        assert max(step["sampling/sampling_logp_difference/max"] for step in steps) < 1e-4
    logs = [(tmp_path / f"{name}-work" / "rollouts-0.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    said = [[json.loads(line)["completion"] for line in log] for log in logs]
    assert said[0] == said[1]


def kill_an_engine(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Kills what computes below the server once so many completions have come."""
    ask, come = RolloutClient._post, itertools.count(1)

    def asking(self: RolloutClient, url: str, **asked: Any) -> Any:
        answer = ask(self, url, **asked)
        if url.endswith("/v1/completions") and next(come) == after:
            for process in psutil.Process(self._server.pid).children(recursive=True):
                process.kill()
        return answer

    monkeypatch.setattr(RolloutClient, "_post", asking)


@pytest.mark.parametrize("kind", ["tied", "experts"])
def test_without_what_the_cpu_build_needs_the_probe_ends_the_training(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from selfplay.engines import vllm_opening

    monkeypatch.syspath_prepend(tmp_path)
    vllm_opening.prepare("cpu")
    from vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method import UnquantizedFusedMoEMethod
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    monkeypatch.setattr(vllm_opening, "prepare", lambda device: None)
    for owner, name in ((UnquantizedFusedMoEMethod, "_setup_kernel"), (GPUModelRunner, "reload_weights")):
        monkeypatch.setattr(owner, name, getattr(owner, name).__wrapped__)
    model = (tied if kind == "tied" else mixture)(small_model, tmp_path / kind)
    named = "output head, which is tied" if kind == "tied" else "the experts, which are packed"
    with pytest.raises(StaleEngine, match=named):
        train_grpo(by_vllm(model, tmp_path), place_in(tmp_path, "out"))


@pytest.mark.parametrize("rollouts", ["vllm", "server"])
@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_two_ranks_cut_off_and_gone_on_with(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharding: str, rollouts: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    workers = Workers(2, 1, "cpu", tmp_path / "workers.log")
    given = by_vllm(small_model, tmp_path, rollouts)
    given.args["per_device_train_batch_size"] = 6
    try:
        workers.together(train, (given, place_in(tmp_path, "first", sharding)))
        whole = model_folder.weights_hash(tmp_path / "first")
        steps = figures(tmp_path, "first")
        assert len(steps) == 4
        assert max(step["sampling/probe/max"] for step in steps) < 1e-4
        workers.together(train, (given, place_in(tmp_path, "second", sharding)))
        assert model_folder.weights_hash(tmp_path / "second") == whole
        # A kill after the first checkpoint: what came later is gone, and comes again.
        for file in (tmp_path / "second").iterdir():
            file.unlink()
        (tmp_path / "second-work" / "checkpoint-4" / "complete").unlink()
        workers.together(train, (given, place_in(tmp_path, "second", sharding)))
        assert model_folder.weights_hash(tmp_path / "second") == whole
    finally:
        workers.stop()


def test_a_sync_that_takes_too_long_ends_the_run_in_one_sentence(
    small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_sync.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import slow_sync  # type: ignore[import-not-found]

    workers = Workers(1, 1, "cpu", tmp_path / "workers.log")
    rule = GRPORule(rollouts="vllm", vllm={"sync_timeout_s": 1})  # type: ignore[arg-type]
    given = dataclasses.replace(by_vllm(small_model, tmp_path), rule=rule)
    try:
        with pytest.raises(
            WorkerError, match=r"sync_timeout_s: the sync of the weights at step 0 took longer than 1 s"
        ):
            workers.together(slow_sync.train, (given, place_in(tmp_path, "out")))
    finally:
        workers.stop()


SLOW = """
import time
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.vllm_rollouts.generation import ProbedGeneration

def train(call):
    ProbedGeneration._push = lambda self: time.sleep(600)
    train_grpo(*call)
"""
