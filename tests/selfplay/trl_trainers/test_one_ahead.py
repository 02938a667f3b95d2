"""The next batch is drawn while the trainer steps: one sync behind, never more, and nothing is lost of it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.rules import GRPORule
from selfplay.engines.base import ModelRef
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.arguments import ArgumentsError, check_ahead
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.jobs import Placement
from selfplay.trl_trainers.vllm_server.ahead import AHEAD_FILE
from selfplay.trl_trainers.vllm_server.client import RolloutClient, TooStale
from selfplay.trl_trainers.vllm_server.drawing import Drawing
from tests.selfplay.trl_trainers.test_grpo_ranks import job
from tests.selfplay.trl_trainers.test_grpo_trainer import GROUP, GROUPS
from tests.selfplay.trl_trainers.test_vllm_rollouts import ALTERNATE, Train, lines, train
from tests.selfplay.trl_trainers.toy_server import ToyServer, toy_server
from tests.selfplay.trl_trainers.toy_vllm import toy_vllm

__all__ = ["toy_server", "toy_vllm", "train"]
BATCH = GROUP * GROUPS
AHEAD = GRPORule(rollouts="server", max_staleness=1)
IN_ORDER = {"shuffle_dataset": False}
"""As `train_grpo` has it, which shuffles by itself."""
MIXED = lambda place, number, text: 1.0 if place % 2 else float(number % 2)  # noqa: E731


def staleness(trainer: Any) -> list[float]:
    return [entry["sampling/staleness"] for entry in trainer.state.log_history if "sampling/kl" in entry]


@pytest.mark.parametrize("top_up", [0.0, pytest.param(1.0, marks=pytest.mark.long)])
def test_a_batch_is_drawn_one_sync_ahead_and_no_more(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], top_up: float
) -> None:
    trainer = train(tiny_model, by=AHEAD, top_up=top_up, rule=MIXED if top_up else ALTERNATE, max_steps=3, **IN_ORDER)
    assert staleness(trainer) == [0, 1, 1]
    assert (trainer.tally.groups > 3 * GROUPS) == bool(top_up)
    [server] = toy_server.opened
    assert len(server.requests) == trainer.tally.groups * GROUP, "nothing is drawn that nobody learns from"
    assert server.engine.reloads == 3
    steps = [entry for entry in trainer.state.log_history if "sampling/kl" in entry]
    assert max(entry["sampling/probe/max"] for entry in steps) < 1e-5
    apart = [entry["sampling/sampling_logp_difference/max"] for entry in steps]
    assert apart[0] < 1e-5
    assert apart[1] > 1e-3, "completions are of the weights before the step"


@pytest.mark.long
def test_the_first_batch_is_that_of_a_training_that_draws_none_ahead(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], tmp_path: Path
) -> None:
    train(tiny_model, by=GRPORule(rollouts="server"), **IN_ORDER)
    synchronous = lines(tmp_path)
    (tmp_path / "rollouts-0.jsonl").unlink()
    train(tiny_model, by=AHEAD, **IN_ORDER)
    ours = lines(tmp_path)
    assert [line["completion"] for line in ours[:BATCH]] == [line["completion"] for line in synchronous[:BATCH]]
    # Later ones are of the same prompts and seeds, and of older weights.
    assert [line["task_id"] for line in ours] == [line["task_id"] for line in synchronous]
    first, second = ({one["seed"] for one in server.requests} for server in toy_server.opened)
    assert first == second


def test_a_server_that_dies_while_the_trainer_steps_costs_no_sample(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_server, "dies_at", BATCH + 2)
    trainer = train(tiny_model, by=AHEAD, max_steps=3, **IN_ORDER)
    server = toy_server.opened[-1]
    assert (server.deaths, server.restarts) == (1, 1)
    assert trainer.tally.groups == 3 * GROUPS
    assert max(staleness(trainer)) <= 1


def test_completions_that_are_older_than_allowed_are_refused() -> None:
    client = RolloutClient.__new__(RolloutClient)
    client._begins, client._step, client._calls, client._most_stale, client._weights = None, 3, 0, 1, 5
    client._drawing = Drawing(3, [{"prompt": [1]}], {0: {"token_ids": [2], "logprobs": None}}, {0: 3})
    client._server = None
    with pytest.raises(TooStale, match="completions of step 3 are 2 syncs behind"):
        client.generate([[1]])


def test_completions_of_a_checkpoint_are_of_the_prompts_that_come_next() -> None:
    drawn = Drawing(3, [{"prompt": [1]}, {"prompt": [2]}], {1: {"token_ids": [5], "logprobs": None, "index": 0}})
    again = Drawing(3, [{"prompt": [1]}, {"prompt": [2]}])
    again.take(drawn.state(), 7)
    assert (again.missing, again.weights) == ([0], {1: 7})
    with pytest.raises(ValueError, match="other prompts"):
        Drawing(3, [{"prompt": [1]}, {"prompt": [3]}]).take(drawn.state(), 7)


def test_what_cannot_be_drawn_ahead_is_refused() -> None:
    for fields in ({"rollouts": "vllm"}, {"args": {"vllm_importance_sampling_correction": False}}):
        with pytest.raises(ValueError, match="max_staleness: 1"):
            GRPORule.model_validate({"rollouts": "server", "max_staleness": 1} | fields)
    args = {"per_device_train_batch_size": 4, "num_generations": 4, "gradient_accumulation_steps": 2}
    check_ahead(args, "training.grpo", 1)
    with pytest.raises(ArgumentsError, match=r"max_staleness: is 1, but a step takes 2 batches, .* has 1,"):
        check_ahead(args | {"steps_per_generation": 1}, "training.grpo", 1)


@pytest.mark.long
@pytest.mark.parametrize("top_up", [0.0, 1.0])
def test_a_training_that_goes_on_learns_from_what_was_drawn_ahead(
    tiny_model: ModelRef, toy_server: type[ToyServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top_up: float
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    given = job(tiny_model, tmp_path)
    rule = GRPORule(rollouts="server", max_staleness=1, top_up=top_up)
    given = dataclasses.replace(given, rule=rule, args=given.args | {"per_device_train_batch_size": 12})
    place = Placement("cpu", 3, tmp_path / "work", tmp_path / "out")
    train_grpo(given, place)
    whole = model_folder.weights_hash(tmp_path / "out")
    asked = len(toy_server.opened[-1].requests)
    assert (place.work / "checkpoint-2" / AHEAD_FILE).exists()
    shutil.rmtree(place.output)
    (place.work / "checkpoint-4" / "complete").unlink()
    train_grpo(given, place)
    assert model_folder.weights_hash(tmp_path / "out") == whole
    assert len(toy_server.opened[-1].requests) < asked / 2
