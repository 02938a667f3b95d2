"""TRL's AsyncGRPOTrainer with our worker and our sync of weights, by its protocol for both.

It needs a GPU for FlashAttention, and there is none here: that is a stub (`flash_stub`), and a toy server stands in
vLLM's place. All else is real: TRL's trainer, its packing and loss, verifiers, logs and checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from handbook.metrics import unknown
from selfplay.config.rules import GRPORule
from selfplay.engines.base import ModelRef
from selfplay.rollouts.rollout_log import logged_rollouts
from selfplay.run.files import read_json
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.grpo import GROUPS_FILE
from selfplay.trl_trainers.grpo_async import train_async_grpo
from selfplay.trl_trainers.grpo_state import STATE_FILE
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.vllm_rollouts.probe import StaleEngine
from tests.selfplay.trl_trainers.flash_stub import flash_stub
from tests.selfplay.trl_trainers.test_grpo_ranks import GROUP, job
from tests.selfplay.trl_trainers.toy_server import ToyServer, toy_server
from tests.selfplay.trl_trainers.toy_vllm import toy_vllm

__all__ = ["flash_stub", "toy_server", "toy_vllm"]
STEP = 8
RULE = GRPORule(trainer="async_grpo", rollouts="server", max_staleness=1)
LORA = {"r": 4, "target_modules": ["q_proj"]}
pytestmark = pytest.mark.usefixtures("flash_stub")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Placement:
    monkeypatch.syspath_prepend(tmp_path)
    return Placement("cpu", 3, tmp_path / "work", tmp_path / "out")


def asynchronous(model: ModelRef, place: Placement, stale: int = 1, lora: Any = None, **args: Any) -> GRPOJob:
    given = job(model, place.work.parent)
    rule = RULE.model_copy(update={"max_staleness": stale})
    kept = {name: value for name, value in given.args.items() if name != "beta"}
    own = {"per_device_train_batch_size": STEP // 2, "gradient_accumulation_steps": 2, "max_steps": 3}
    return dataclasses.replace(given, rule=rule, lora=lora, args=kept | own | args)


def figures(place: Placement) -> list[dict[str, float]]:
    lines = [json.loads(line)["metrics"] for line in (place.work / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "sampling/kl" in line]


def lines_of_log(place: Placement) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place.work / "rollouts-0.jsonl").read_text().splitlines()]


def test_it_learns_from_what_a_server_writes_meanwhile(
    tiny_model: ModelRef, toy_server: type[ToyServer], place: Placement
) -> None:
    train_async_grpo(asynchronous(tiny_model, place), place)
    assert model_folder.weights_hash(place.output) != model_folder.weights_hash(Path(tiny_model.path))
    steps = figures(place)
    assert [step["sampling/staleness"] for step in steps][:2] == [0, 1]
    assert max(step["sampling/staleness"] for step in steps) == 1
    assert [step["batch/samples_per_step"] for step in steps] == [STEP] * 3
    assert max(step["sampling/probe/max"] for step in steps) < 1e-5
    assert steps[0]["sampling/kl"] < 1e-6
    assert steps[1]["sampling/kl"] > 1e-4, "older weights have written it"
    [server] = toy_server.opened
    assert server.engine.reloads == 4
    assert server.told == ["/pause?mode=keep", "/reset_prefix_cache", "/resume"] * 4
    assert len({one["seed"] for one in server.requests}) == len(server.requests)
    logged = list(logged_rollouts(place.work, 1, 1.0))
    assert len(logged) == len(server.requests) == 3 * STEP, "nothing is drawn that nobody learns from"
    assert read_json(place.work / GROUPS_FILE)["groups"] * GROUP == 3 * STEP
    assert {one.passed for one in logged} == {True, False}
    assert unknown({name for step in steps for name in step}) == set()
    judged = [step for step in steps if "reward/math" in step]
    assert judged, "a step in which nothing was judged says nothing of it"
    assert all(0 <= step["reward/math"] <= 1 and step["not_checked/math"] == 0 for step in judged)


@pytest.mark.long
def test_a_server_that_dies_is_started_again_with_the_trainers_weights(
    tiny_model: ModelRef, toy_server: type[ToyServer], place: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_server, "dies_at", STEP + 2)
    train_async_grpo(asynchronous(tiny_model, place), place)
    steps = figures(place)
    assert [step["batch/samples_per_step"] for step in steps] == [STEP] * 3
    assert max(step["sampling/staleness"] for step in steps) <= 1
    assert max(step["sampling/probe/max"] for step in steps) < 1e-5
    server = toy_server.opened[-1]
    assert (server.deaths, server.restarts, steps[-1]["sampling/restarts"]) == (1, 1, 1)


@pytest.mark.long
def test_a_server_that_keeps_an_old_head_ends_the_training(
    tiny_model: ModelRef, toy_server: type[ToyServer], place: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_server.llm, "takes", staticmethod(lambda name: "embed" not in name))
    with pytest.raises(StaleEngine, match="vLLM does not have the trainer's weights: after the sync at step 1"):
        train_async_grpo(asynchronous(tiny_model, place), place)


@pytest.mark.long
def test_an_adapter_is_merged_for_each_sync(
    tiny_model: ModelRef, toy_server: type[ToyServer], place: Placement
) -> None:
    train_async_grpo(asynchronous(tiny_model, place, lora=LORA, max_steps=2), place)
    steps = figures(place)
    assert max(step["sampling/probe/max"] for step in steps) < 1e-4
    assert steps[1]["sampling/kl"] > 1e-6


@pytest.mark.long
def test_a_training_that_goes_on_loses_no_prompt(
    tiny_model: ModelRef, toy_server: type[ToyServer], place: Placement
) -> None:
    given = asynchronous(tiny_model, place, max_steps=4)
    train_async_grpo(given, place)
    waiting = read_json(place.work / "checkpoint-2" / STATE_FILE)["walk"]["waiting"]
    assert waiting, "some prompts were under way"
    before = len(lines_of_log(place))
    shutil.rmtree(place.output)
    (place.work / "checkpoint-4" / "complete").unlink()
    train_async_grpo(given, place)
    assert place.output.exists()
    again = lines_of_log(place)[before:]
    assert min(line["step"] for line in again) == 2
    assert {f"t{place}" for place in waiting[:2]} <= {line["task_id"] for line in again}
    assert max(step["sampling/staleness"] for step in figures(place)) == 1
