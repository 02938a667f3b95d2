"""Rollouts by a server: the same as by an engine within the trainer's process, also where it dies in the middle."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from selfplay.config.rules import GRPORule, RolloutEngine
from selfplay.config.section import Supervision
from selfplay.engines.base import ModelRef
from selfplay.trl_trainers.vllm_rollouts.probe import StaleEngine
from selfplay.trl_trainers.vllm_server.process import ServerLost
from tests.selfplay.trl_trainers.test_grpo_trainer import GROUP, GROUPS
from tests.selfplay.trl_trainers.test_vllm_rollouts import Train, lines, train
from tests.selfplay.trl_trainers.toy_server import ToyServer, toy_server
from tests.selfplay.trl_trainers.toy_vllm import ToyLLM, toy_vllm

__all__ = ["toy_server", "toy_vllm", "train"]
BATCH = GROUP * GROUPS
BY_SERVER = GRPORule(rollouts="server")


def weights(trainer: Any) -> list[torch.Tensor]:
    return [value.detach().clone() for value in trainer.model.parameters()]


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_server_rolls_out_as_an_engine_within_the_process_does(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], tmp_path: Path
) -> None:
    within = weights(train(tiny_model))
    trainer = train(tiny_model, by=BY_SERVER)
    assert same(weights(trainer), within)
    [server] = toy_server.opened
    assert len(server.requests) == 2 * BATCH
    assert len({one["seed"] for one in server.requests}) == 2 * BATCH, "each completion has a seed of its own"
    assert {one["n"] for one in server.requests} == {1}
    steps = [entry for entry in trainer.state.log_history if "sampling/kl" in entry]
    for entry in steps:
        assert entry["sampling/probe/max"] < 1e-5
        assert entry["sampling/sampling_logp_difference/max"] < 1e-5
        assert entry["sampling/clip_share"] == entry["sampling/restarts"] == 0
        assert entry["sampling/sync_s"] >= 0 <= entry["sampling/probe_s"]
    with contextlib.suppress(OSError):
        assert not server.answers(), "it ends with the training"


def test_a_server_that_dies_in_the_middle_of_a_step_costs_no_sample(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = weights(train(tiny_model, by=BY_SERVER))
    monkeypatch.setattr(toy_server, "dies_at", BATCH + BATCH // 2)
    trainer = train(tiny_model, by=BY_SERVER)
    assert same(weights(trainer), undisturbed)
    server = toy_server.opened[-1]
    assert (server.deaths, server.restarts) == (1, 1)
    # Those that were under way were asked again, and none that was finished.
    assert 2 * BATCH < len(server.requests) <= 2 * BATCH + BATCH // 2 + 1
    assert [entry["sampling/restarts"] for entry in trainer.state.log_history if "sampling/kl" in entry] == [0, 1]
    assert server.engine.reloads == 1, "a new one has the trainer's weights before it goes on"


def test_a_server_that_never_finishes_anything_ends_the_training(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy_server, "_start", broken(toy_server._start))
    rule = GRPORule(rollouts="server", vllm=RolloutEngine(supervision=Supervision(restarts=2)))
    with pytest.raises(ServerLost, match=r"training.grpo.rollouts: the vLLM server failed 3 times in a row .* SIGKILL"):
        train(tiny_model, by=rule)


def broken(start: Any) -> Any:
    """A start after which the first request kills."""

    def dying(server: ToyServer) -> None:
        start(server)
        server.dies_at = 1

    return dying


def test_a_server_that_keeps_its_weights_ends_the_training(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], toy_vllm: type[ToyLLM]
) -> None:
    toy_vllm.takes = staticmethod(lambda name: False)
    with pytest.raises(StaleEngine, match=r"sync at step 1 .* it answers as before the last step"):
        train(tiny_model, by=BY_SERVER)


@pytest.mark.long
def test_an_adapter_arrives_merged_and_groups_are_topped_up(
    train: Train, tiny_model: ModelRef, toy_server: type[ToyServer], tmp_path: Path
) -> None:
    rule = lambda place, number, text: 1.0 if place % 2 else float(number % 2)  # noqa: E731
    trainer = train(tiny_model, by=BY_SERVER, lora=True, top_up=1.0, rule=rule)
    found = [entry["sampling/probe/max"] for entry in trainer.state.log_history if "sampling/probe/max" in entry]
    assert len(found) == 2
    assert max(found) < 1e-5
    assert trainer.tally.groups > 2 * GROUPS
    assert {line["call"] for line in lines(tmp_path)} > {1, 2}
    assert toy_server.opened[0].engine.reloads == 2
    assert json.dumps(toy_server.opened[0]._arguments).count("policy") == 1
