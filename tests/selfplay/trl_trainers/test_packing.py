"""Packed examples are learnt from as if they stood alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.records import Example
from selfplay.run.tables import write_table
from selfplay.trl_trainers.jobs import Placement, SFTJob
from selfplay.trl_trainers.sft import train_sft

PROBLEMS = seeds.generate("math", 12, 0)


def first_loss(model: ModelRef, folder: Path, **args: object) -> float:
    """The loss of the untrained model on all examples in one batch, prompts left out."""
    folder.mkdir()
    table = folder / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in PROBLEMS])
    settings = {"max_steps": 1, "per_device_train_batch_size": len(PROBLEMS)} | args
    train_sft(SFTJob(model=model, examples=table, args=settings), Placement("cpu", 1, folder / "work", folder / "out"))
    line = json.loads((folder / "work" / "log.jsonl").read_text().splitlines()[0])
    return float(line["metrics"]["loss"])


def test_packing_leaves_the_loss_as_it_is(tiny_model: ModelRef, tmp_path: Path) -> None:
    """If examples saw their neighbours, or if their positions ran on, an untrained model would still tell."""
    alone = first_loss(tiny_model, tmp_path / "alone")
    packed = first_loss(tiny_model, tmp_path / "packed", packing=True, max_length=256)
    assert packed == pytest.approx(alone, rel=1e-4)
