"""Trainings that FSDP2 or ZeRO spreads over ranks, on CPUs by Gloo: the losses of one process, and whole models."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from selfplay.compute.workers import WorkerError, Workers
from selfplay.config.compute import Sharding
from selfplay.config.recipe import Recipe
from selfplay.config.rules import GRPORule
from selfplay.engines import loading
from selfplay.engines.base import ModelRef
from selfplay.engines.model_files import load_network
from selfplay.run.records import PolicyTask
from selfplay.run.tables import write_table
from selfplay.trl_trainers import session
from selfplay.trl_trainers.jobs import GRPOJob, Placement, TrainerJob
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.sharded import zero
from selfplay.trl_trainers.sharded.fsdp import NotSharded
from tests.selfplay.trl_trainers.model_variants import mixture, tied
from tests.selfplay.trl_trainers.ranked import (
    LORA,
    PROBLEMS,
    STEPS,
    at,
    dpo_job,
    losses,
    needs_deepspeed,
    of_ranks,
    sft_job,
    train,
    whole,
)
from verifiers.model import Task


def grpo_job(model: ModelRef, folder: Path) -> GRPOJob:
    """Greedy rollouts, which no rank draws by a generator of its own; a long one is right."""
    rows = [PolicyTask(f"t{i}", "math", p.problem, Task(p.problem, p.answer)) for i, p in enumerate(PROBLEMS)]
    write_table(folder / "tasks.parquet", PolicyTask, rows)
    (folder / "ends_on.py").write_text("def judge(task, completion):\n    return len(completion) > 6\n")
    source = {"kind": "quickstart", "grammar": "math"}
    domains = {"math": {"seeds": source, "verifier": "ends_on:judge"}}
    recipe = Recipe.model_validate({"name": "r", "model": {"kind": "scratch"}, "domains": domains})
    args = STEPS | {"num_generations": 2, "max_completion_length": 8, "beta": 0.1, "max_steps": 2, "top_k": 1}
    return GRPOJob(
        model=model,
        tasks=folder / "tasks.parquet",
        args=args,
        rule=GRPORule(),
        domains=recipe.domains,
        sandbox=recipe.sandbox,
        store=folder / "store",
    )


def train_unevenly(call: tuple[TrainerJob, Placement]) -> None:
    """Every second rollout is cut, so that those of a group have different rewards."""
    from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer

    known = SelfplayGRPOTrainer._generate_single_turn

    def uneven(self: Any, *asked: Any, **others: Any) -> Any:
        ids, log_probs = known(self, *asked, **others)
        first = int(os.environ.get("RANK", "0")) * len(ids)
        return [row[: 2 if place % 2 else None] for place, row in enumerate(ids, first)], log_probs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SelfplayGRPOTrainer, "_generate_single_turn", uneven)
        train(call)


def train_unsharded(call: tuple[TrainerJob, Placement]) -> None:
    """As a version of accelerate would that does not shard here."""
    from selfplay.trl_trainers.sharded import fsdp as sharding

    known, sharding.shard_on_cpus = sharding.shard_on_cpus, lambda: None
    try:
        train(call)
    finally:
        sharding.shard_on_cpus = known


def train_and_be_killed(call: tuple[TrainerJob, Placement]) -> None:
    """The second rank is, once there is a whole checkpoint."""

    def die() -> None:
        while not list(call[1].work.glob("checkpoint-*/complete")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    if os.environ["RANK"] == "1":
        threading.Thread(target=die, daemon=True).start()
    train(call)


def train_and_say_where(call: tuple[TrainerJob, Placement]) -> str:
    """Where DeepSpeed has the gradients and the states of a training."""
    seen = []

    class Look(zero.DemandCuts):
        def on_train_begin(self, *given: Any, optimizer: Any = None, **others: Any) -> None:
            settings = optimizer.optimizer
            seen.append(getattr(settings, "offload_optimizer", False) or getattr(settings, "cpu_offload", False))
            super().on_train_begin(*given, optimizer=optimizer, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zero, "DemandCuts", Look)
        train(call)
    return "cpu" if all(seen) and seen else "device"


def say_what_is_loaded(call: tuple[TrainerJob, Placement]) -> None:
    """Writes down how many models a rank reads, and which parts of its network have no place."""
    read: list[str] = []

    def load(kind: Any, name: str, *given: Any, **how: Any) -> Any:
        read.append(name)
        return load_network(kind, name, *given, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_network", load)
        network, _ = session.begin(*call)
    parts = [*network.named_parameters(), *network.named_buffers()]
    without = [name for name, value in parts if value.is_meta]
    (call[1].output.parent / f"loaded-{os.environ['RANK']}").write_text(f"{len(read)} {without}")


def say_what_dpo_loads(call: tuple[TrainerJob, Placement]) -> None:
    """Writes down how many models a rank reads, and how its reference and its policy are cut."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor
    from transformers import PreTrainedModel, TrainerCallback

    read: list[str] = []
    known: Any = PreTrainedModel.from_pretrained.__func__  # type: ignore[attr-defined]
    found: dict[str, Any] = {}

    def load(kind: Any, name: str, *given: Any, **how: Any) -> Any:
        read.append(name)
        return known(kind, name, *given, **how)

    class Look(TrainerCallback):
        def __init__(self, trainer: Any) -> None:
            self._trainer = trainer

        def on_train_begin(self, *given: Any, model: Any = None, **others: Any) -> None:
            models = (self._trainer.ref_model, model)
            found["units"] = [sum(isinstance(part, FSDPModule) for part in one.modules()) for one in models]
            found["whole"] = sum(not isinstance(value, DTensor) for value in models[0].parameters())

    run = session.run_training

    def run_and_look(trainer: Any, *given: Any) -> Any:
        found["read"] = len(read)
        trainer.add_callback(Look(trainer))
        return run(trainer, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreTrainedModel, "from_pretrained", classmethod(load))
        patch.setattr(session, "run_training", run_and_look)
        train(call)
    (call[1].output.parent / f"loaded-{os.environ['RANK']}").write_text(json.dumps(found))


def held_once_loaded(call: tuple[TrainerJob, Placement]) -> tuple[int, int, int]:
    """Numbers of a model that lie whole on a rank, those of its parts, and those of the model."""
    network, _ = session.begin(*call)
    parameters = list(network.parameters())
    zero.end()
    return (
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.ds_tensor.numel() for parameter in parameters),
        sum(parameter.ds_numel for parameter in parameters),
    )


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    made = Workers(2, 1, "cpu", tmp_path_factory.mktemp("log") / "workers.log")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def four_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    made = Workers(4, 1, "cpu", tmp_path_factory.mktemp("log") / "workers.log")
    yield made
    made.stop()


@pytest.mark.long
@pytest.mark.parametrize("ranks", [2, 4])
def test_sft_and_dpo_have_the_losses_of_one_process(
    request: pytest.FixtureRequest, tiny_model: ModelRef, tmp_path: Path, ranks: int
) -> None:
    workers: Workers = request.getfixturevalue({2: "workers", 4: "four_workers"}[ranks])
    for kind, job in {
        "sft": sft_job(tiny_model, tmp_path),
        "lora": sft_job(tiny_model, tmp_path, lora=LORA),
        "dpo": dpo_job(tiny_model, tmp_path),
        "tied": sft_job(tied(tiny_model, tmp_path / "tied-model"), tmp_path),
        "experts": sft_job(mixture(tiny_model, tmp_path / "experts-model"), tmp_path),
    }.items():
        train((of_ranks(job, 1), at(tmp_path, f"{kind}-one")))
        workers.together(train, (of_ranks(job, ranks), at(tmp_path, f"{kind}-several")))
        one, several = losses(tmp_path, f"{kind}-one"), losses(tmp_path, f"{kind}-several")
        assert len(one) == 4
        assert several == pytest.approx(one, abs=1e-4), kind
        kept, expected = whole(tmp_path / f"{kind}-several"), whole(tmp_path / f"{kind}-one")
        assert kept.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(kept[name], value, atol=2e-4), f"{kind}: {name}"
        loading.load_fresh(trained_model(tmp_path / f"{kind}-several"))


@pytest.mark.long
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("kind", ["fsdp2", *(pytest.param(kind, marks=needs_deepspeed) for kind in ("zero2", "zero3"))])
def test_grpo_has_the_losses_of_one_process(
    tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Sharding, ranks: int
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    fresh = Workers(ranks, 1, "cpu", tmp_path / "workers.log")  # which know the verifier's folder
    job = grpo_job(tiny_model, tmp_path)
    try:
        fresh.together(train_unevenly, (of_ranks(job, ranks), at(tmp_path, "several", kind)))
    finally:
        fresh.stop()
    train_unevenly((of_ranks(job, 1), at(tmp_path, "one")))
    assert losses(tmp_path, "one", "kl")[-1] > 0
    for metric in ("loss", "reward", "kl"):
        assert losses(tmp_path, "several", metric) == pytest.approx(losses(tmp_path, "one", metric), abs=1e-4), metric


@pytest.mark.long
def test_a_checkpoint_goes_on_under_other_ranks_that_are_cut_otherwise(
    workers: Workers, four_workers: Workers, tiny_model: ModelRef, tmp_path: Path
) -> None:
    """A falling learning rate, which the schedule of a checkpoint must say."""
    job = sft_job(tiny_model, tmp_path, args=STEPS | {"save_steps": 2, "lr_scheduler_type": "linear"})
    kinds: list[Sharding] = ["fsdp2", "zero2", "zero3"] if find_spec("deepspeed") else ["fsdp2"]
    for kind in kinds:
        place = at(tmp_path, kind, kind)
        workers.together(train, (of_ranks(job, 2), place))
        assert not [
            file
            for file in place.work.rglob("*")
            if file.name.endswith((".pth", ".bin", "optimizer.pt")) and not file.name.startswith("rng_state")
        ]
    unbroken = losses(tmp_path, "fsdp2")
    for kind, other in zip(kinds, kinds[1:] + kinds[:1], strict=True):
        place = at(tmp_path, kind, other)
        shutil.rmtree(place.work / "checkpoint-4")
        four_workers.together(train, (of_ranks(job, 4), place))
        assert losses(tmp_path, kind)[-2:] == pytest.approx(unbroken[-2:], abs=1e-4), (kind, other)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["fsdp2", pytest.param("zero3", marks=needs_deepspeed)])
def test_a_killed_rank_ends_a_training_which_goes_on(tiny_model: ModelRef, tmp_path: Path, kind: Sharding) -> None:
    args = STEPS | {"save_steps": 2, "max_steps": 40}
    job, place = sft_job(tiny_model, tmp_path, args=args), at(tmp_path, "cut", kind)
    own = Workers(2, 1, "cpu", tmp_path / "workers.log")
    with pytest.raises(WorkerError, match="killed"):
        own.together(train_and_be_killed, (of_ranks(job, 2), place))
    own.stop()
    done = losses(tmp_path, "cut")
    again = Workers(2, 1, "cpu", tmp_path / "workers.log")
    try:
        again.together(train, (of_ranks(job, 2), place))
        again.together(train, (of_ranks(job, 2), at(tmp_path, "unbroken", kind)))
    finally:
        again.stop()
    assert 2 <= len(done) < len(losses(tmp_path, "cut")) <= 40 + len(done)
    assert losses(tmp_path, "cut")[-2:] == pytest.approx(losses(tmp_path, "unbroken")[-2:], abs=1e-4)


@pytest.mark.long
def test_masters_and_view_are_kept_of_a_sharded_model(workers: Workers, tiny_model: ModelRef, tmp_path: Path) -> None:
    half = dataclasses.replace(tiny_model, dtype="bfloat16")
    workers.together(train, (of_ranks(sft_job(half, tmp_path), 2), at(tmp_path, "two")))
    model = trained_model(tmp_path / "two")
    assert model.masters is not None
    assert {value.dtype for value in whole(Path(model.masters.path)).values()} == {torch.float32}
    assert {value.dtype for value in whole(tmp_path / "two").values()} == {torch.bfloat16}
    assert "view/changed" in json.loads((tmp_path / "two-work" / "log.jsonl").read_text().splitlines()[-1])["metrics"]


@pytest.mark.long
@needs_deepspeed
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_zero_has_the_losses_and_weights_of_one_process(
    request: pytest.FixtureRequest, tiny_model: ModelRef, tmp_path: Path, stage: Sharding, ranks: int
) -> None:
    """One training after the other in the same processes, and then one by FSDP2, and one that is not sharded."""
    workers: Workers = request.getfixturevalue({2: "workers", 4: "four_workers"}[ranks])
    for kind, job in {
        "sft": sft_job(tiny_model, tmp_path),
        "lora": sft_job(tiny_model, tmp_path, lora=LORA),
        "dpo": dpo_job(tiny_model, tmp_path),
    }.items():
        train((of_ranks(job, 1), at(tmp_path, f"{kind}-one")))
        workers.together(train, (of_ranks(job, ranks), at(tmp_path, f"{kind}-several", stage)))
        assert losses(tmp_path, f"{kind}-several") == pytest.approx(losses(tmp_path, f"{kind}-one"), abs=1e-4), kind
        kept, expected = whole(tmp_path / f"{kind}-several"), whole(tmp_path / f"{kind}-one")
        assert kept.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(kept[name], value, atol=2e-4), f"{kind}: {name}"
        loading.load_fresh(trained_model(tmp_path / f"{kind}-several"))
    job = sft_job(tiny_model, tmp_path)
    for sharding in ("fsdp2", "none"):
        workers.together(train, (of_ranks(job, ranks), at(tmp_path, sharding, sharding)))
        assert losses(tmp_path, sharding) == pytest.approx(losses(tmp_path, "sft-one"), abs=1e-4)


@pytest.mark.long
@needs_deepspeed
@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_what_lies_on_the_host_learns_the_same_and_goes_on(
    workers: Workers, tiny_model: ModelRef, tmp_path: Path, stage: Sharding
) -> None:
    """On a CPU all is on the host; that DeepSpeed was told so, and steps there, is seen at its optimizer."""
    job = sft_job(tiny_model, tmp_path, args=STEPS | {"save_steps": 2, "gradient_accumulation_steps": 2})
    train((of_ranks(job, 1), at(tmp_path, "one", "none")))
    place = dataclasses.replace(at(tmp_path, "two", stage), offload=True)
    assert workers.together(train_and_say_where, (of_ranks(job, 2), place)) == "cpu"
    unbroken = losses(tmp_path, "one")
    assert losses(tmp_path, "two") == pytest.approx(unbroken, abs=1e-4)
    shutil.rmtree(place.work / "checkpoint-4")
    workers.together(train, (of_ranks(job, 2), place))
    assert losses(tmp_path, "two")[-2:] == pytest.approx(unbroken[-2:], abs=1e-4)


@pytest.mark.long
@needs_deepspeed
def test_no_rank_loads_the_whole_model(workers: Workers, tiny_model: ModelRef, tmp_path: Path) -> None:
    call = (of_ranks(sft_job(tiny_model, tmp_path), 2), at(tmp_path, "two", "zero3"))
    held, parts, of_model = workers.together(held_once_loaded, call)
    assert held == 0
    assert of_model / 2 <= parts <= of_model / 2 + 14


@pytest.mark.long
def test_the_first_rank_alone_loads_what_fsdp_spreads(workers: Workers, tiny_model: ModelRef, tmp_path: Path) -> None:
    call = (of_ranks(sft_job(tiny_model, tmp_path), 2), at(tmp_path, "two"))
    workers.together(say_what_is_loaded, call)
    held = [(tmp_path / f"loaded-{rank}").read_text() for rank in range(2)]
    assert held == ["1 []", "0 []"]


@pytest.mark.long
def test_the_first_rank_alone_loads_a_reference_which_is_cut_by_layers(
    workers: Workers, tiny_model: ModelRef, tmp_path: Path
) -> None:
    """Both of DPO's models are read by the first rank alone."""
    workers.together(say_what_dpo_loads, (of_ranks(dpo_job(tiny_model, tmp_path), 2), at(tmp_path, "two")))
    said = [json.loads((tmp_path / f"loaded-{rank}").read_text()) for rank in range(2)]
    assert [one["read"] for one in said] == [2, 0]
    assert all(one["units"][0] == one["units"][1] > 2 and one["whole"] == 0 for one in said)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_a_rank_that_holds_all_by_zero_is_refused(stage: Sharding) -> None:
    model = torch.nn.Linear(64, 64)
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(NotSharded, match=rf"{stage}, but a rank of 2 holds 4160 of 4160 numbers"):
        zero.DemandCuts(stage, 2).on_train_begin(None, None, None, model=model, optimizer=optimizer)


@pytest.mark.parametrize(
    ("args", "by_vllm", "says"),
    [
        ({"optim": "adafactor"}, False, "has no adafactor, but adamw_torch"),
        ({"fp16": True}, False, "remove fp16"),
        ({"precompute_ref_log_probs": True}, False, "remove precompute_ref_log_probs"),
        ({}, True, "no sync of weights to vLLM"),
        ({"save_steps": 2, "optim": "adamw_torch"}, False, ""),
    ],
)
def test_what_deepspeed_cannot_go_with_is_said(
    monkeypatch: pytest.MonkeyPatch, args: dict[str, Any], by_vllm: bool, says: str
) -> None:
    monkeypatch.setattr(zero, "find_spec", lambda name: object())
    assert says in (found := zero.fault_of(args, "zero3", by_vllm))
    assert bool(found) is bool(says)
    assert zero.fault_of(args, "fsdp2", by_vllm) == ""
    monkeypatch.setattr(zero, "find_spec", lambda name: None)
    assert "pip install 'promptcot[zero]'" in zero.fault_of(args, "zero2", by_vllm)


@pytest.mark.long
def test_a_training_that_is_not_sharded_is_ended_before_its_first_step(tiny_model: ModelRef, tmp_path: Path) -> None:
    own = Workers(2, 1, "cpu", tmp_path / "workers.log")
    with pytest.raises(WorkerError, match=r"compute\.sharding is fsdp2, but 14 of 14 parameters are whole"):
        own.together(train_unsharded, (of_ranks(sft_job(tiny_model, tmp_path), 2), at(tmp_path, "two")))
    assert not (tmp_path / "two-work" / "log.jsonl").exists()
