"""Trainings of a tiny model on several ranks, as tests of sharding share them, and what they left."""

from __future__ import annotations

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from selfplay.config.compute import Sharding
from selfplay.config.rules import CollapseGuard
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.records import Example, Pair
from selfplay.run.tables import write_table
from selfplay.trl_trainers.dpo import train_dpo
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob, TrainerJob
from selfplay.trl_trainers.sft import train_sft

PROBLEMS = seeds.generate("math", 24, 0)
BATCH = 4
STEPS = {"max_steps": 4, "learning_rate": 1e-3, "lr_scheduler_type": "constant"}
LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs promptcot[zero]")
TRAIN = {SFTJob: train_sft, DPOJob: train_dpo, GRPOJob: train_grpo}


def sft_job(model: ModelRef, folder: Path, **changed: Any) -> SFTJob:
    table = folder / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in PROBLEMS])
    return SFTJob(**({"model": model, "examples": table, "args": STEPS} | changed))


def dpo_job(model: ModelRef, folder: Path, **changed: Any) -> DPOJob:
    table = folder / "pairs.parquet"
    write_table(table, Pair, [Pair(f"{i}", "t", p.problem, p.solution, "no", "test") for i, p in enumerate(PROBLEMS)])
    return DPOJob(**({"model": model, "pairs": table, "args": STEPS, "collapse": CollapseGuard(drop=None)} | changed))


def train(call: tuple[TrainerJob, Placement]) -> None:
    job, place = call
    function: Any = TRAIN[type(job)]
    function(job, place)


def of_ranks(job: TrainerJob, ranks: int) -> TrainerJob:
    return dataclasses.replace(job, args=job.args | {"per_device_train_batch_size": BATCH // ranks})


def at(folder: Path, name: str, sharding: Sharding = "fsdp2") -> Placement:
    return Placement("cpu", 3, folder / f"{name}-work", folder / name, sharding=sharding)


def losses(folder: Path, name: str, metric: str = "loss") -> list[float]:
    lines = (folder / f"{name}-work" / "log.jsonl").read_text().splitlines()
    return [found[metric] for line in lines if metric in (found := json.loads(line)["metrics"])]


def whole(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*.safetensors")))
