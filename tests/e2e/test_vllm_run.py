"""Runs whose rollouts and likelihoods come from vLLM; in the environment that `make vllm` makes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.run.records import Rollout, Seed
from selfplay.run.tables import read_table
from selfplay.trl_trainers.model_folder import trained_model
from tests.e2e.conftest import ROOT, SMALL, command, environment, products, selfplay
from tests.selfplay.engines.shard_jobs import generate_job, score_job

ARGS = {"max_model_len": 512, "max_num_seqs": 8}
"""Few at a time, so that a kill finds some finished and others not yet begun."""
ROUND = ["engine.kind=vllm", f"engine.args={json.dumps(ARGS)}", "em.rounds=1", "training.rounds=1"]
HOUR_S = 3600.0

pytestmark = pytest.mark.long
needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm")


@pytest.fixture(scope="module")
def one_round(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round of the quickstart's path with vLLM in the workers, never interrupted."""
    run = tmp_path_factory.mktemp("vllm") / "run"
    done = selfplay("run", SMALL, *ROUND, "--run-dir", run, timeout=HOUR_S)
    assert done.returncode == 0, done.stderr
    return run


@needs_vllm
def test_a_round_of_self_play_on_vllm(one_round: Path) -> None:
    assert json.loads((one_round / "recipe.json").read_text())["engine"]["kind"] == "vllm"
    assert (one_round / "summary.json").exists()
    assert (one_round / "report.html").exists()


@needs_vllm
def test_after_a_round_the_weights_are_the_new_ones(one_round: Path) -> None:
    from selfplay.engines import vllm_engine

    base, policy = trained_model(one_round / "stages/base/model"), trained_model(one_round / "stages/selfplay_1/policy")
    inputs, completions = greedy_evaluation(one_round, 1)
    # What the run's own vLLM wrote after the round is what the trained model writes, and the old one does not.
    assert completions == greedy(policy, inputs)
    assert greedy_evaluation(one_round, 0)[1] == greedy(base, inputs)
    requests = [ScoringRequest(text, (completion,)) for text, completion in zip(inputs, completions, strict=True)]
    try:
        scores = {model.path: sums(vllm_engine, model, requests) for model in (base, policy)}
    finally:
        vllm_engine.close()
    for model in (base, policy):
        assert scores[model.path] == pytest.approx(sums(hf_engine, model, requests), abs=2e-3, rel=1e-5)
    assert scores[base.path] != pytest.approx(scores[policy.path], abs=0.05)


@needs_vllm
def test_a_mixture_of_experts_has_its_trained_weights_in_vllm(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [*ROUND, "model.experts=4", "training.grpo.rollouts=vllm", "training.pool.arm=external"]
    done = selfplay("run", SMALL, *settings, "--run-dir", run, timeout=HOUR_S)
    assert done.returncode == 0, done.stderr
    lines = (run / "stages/selfplay_1/policy-training/log.jsonl").read_text().splitlines()
    apart = [found["sampling/probe/max"] for line in lines if "sampling/kl" in (found := json.loads(line)["metrics"])]
    assert len(apart) == 2
    assert max(apart) < 1e-4
    policy = trained_model(run / "stages/selfplay_1/policy")
    inputs, completions = greedy_evaluation(run, 1)
    assert completions == greedy(policy, inputs)


def greedy_evaluation(run: Path, number: int) -> tuple[list[str], list[str]]:
    """What the policy was given and what it answered greedily, in the evaluation after a round."""
    recipe = Recipe.model_validate_json((run / "recipe.json").read_text())
    tables = [read_table(file, Seed) for file in (run / "stages/seeds").glob("*-heldout.parquet")]
    seeds = {seed.id: seed for table in tables for seed in table}
    rollouts = read_table(run / f"stages/evaluation_{number}/rollouts.parquet", Rollout)
    rows = [rollout for rollout in rollouts if rollout.mode == "greedy"]
    inputs = [formats.solver_input(recipe.domains[row.domain], seeds[row.task_id].task) for row in rows]
    return inputs, [row.completion for row in rows]


def greedy(model: ModelRef, prompts: list[str]) -> list[str]:
    return [row["text"] for row in hf_engine.generate_shard(generate_job(model, prompts, Sampling(0.0, 80)))]


def sums(engine: Any, model: ModelRef, requests: list[ScoringRequest]) -> list[float]:
    return [row["sums"][0] for row in engine.score_shard(score_job(model, requests, kind="vllm", args=ARGS))]


@needs_vllm
def test_kills_of_engine_and_driver_change_nothing(one_round: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["run", SMALL, *ROUND, "engine.supervision={}", "--run-dir", run]
    driver = subprocess.Popen(command(*arguments), cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL)
    try:
        wait_until(driver, lambda: bool(journals(run)))
        os.kill(engines_of(driver)[0].pid, signal.SIGKILL)
        wait_until(driver, lambda: (run / "stages/labelling/manifest.json").exists() and bool(journals(run)))
        below = psutil.Process(driver.pid).children(recursive=True)
        assert engines_of(driver)
    finally:
        driver.kill()
        driver.wait()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert alive == []
    assert journals(run)
    done = selfplay(*arguments, timeout=HOUR_S)
    assert done.returncode == 0, done.stderr
    assert "the vLLM process was ended by SIGKILL" in (run / "workers.log").read_text(errors="replace")
    assert not list(run.rglob("*.unfinished.jsonl"))
    assert products(run) == products(one_round)


def engines_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    below = psutil.Process(driver.pid).children(recursive=True)
    return [process for process in below if "selfplay.engines.supervised_main" in process.cmdline()]


def journals(run: Path) -> list[Path]:
    """Shards that are being made, of which two items or more are finished."""
    return [file for file in run.rglob("*.unfinished.jsonl") if count_lines(file) >= 2]


def count_lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0  # its shard has just been finished


def wait_until(driver: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HOUR_S
    while not true():
        assert driver.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.002)


@needs_vllm
def test_an_argument_that_vllm_lacks_is_refused(tmp_path: Path) -> None:
    done = selfplay(
        "run", SMALL, "engine.kind=vllm", "engine.args={max_model_length: 1}", "--run-dir", tmp_path / "run"
    )
    assert done.returncode == 2
    assert "did you mean `max_model_len`" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is here")
def test_without_vllm_the_recipe_is_refused(tmp_path: Path) -> None:
    done = selfplay("run", SMALL, "engine.kind=vllm", "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert "engine.kind: vLLM cannot be imported here" in done.stderr
