"""Choosing and topping up on two data-parallel ranks, with groups that span them; also cut off and gone on with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from selfplay.compute.workers import Workers
from selfplay.config.domains import Domain
from selfplay.config.rules import GRPORule
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.files import read_json
from selfplay.run.records import PolicyTask
from selfplay.run.tables import write_table
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.grpo import GROUPS_FILE, train_grpo
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from verifiers.model import Task

GROUP = 4
PROBLEMS = seeds.generate("math", 24, 0)


def job(model: ModelRef, folder: Path) -> GRPOJob:
    rows = [PolicyTask(f"t{i}", "math", p.problem, Task(p.problem, p.answer)) for i, p in enumerate(PROBLEMS)]
    write_table(folder / "tasks.parquet", PolicyTask, rows)
    (folder / "ends_on.py").write_text(
        "def judge(task, completion):\n    return ord(completion[-1:] or 'a') % 8 == 0\n"
    )
    source = {"kind": "quickstart", "grammar": "math"}
    domain = Domain.model_validate({"seeds": source, "verifier": "ends_on:judge"})
    args = {
        "max_steps": 4,
        "per_device_train_batch_size": 6,  # three groups of four on two ranks: the second spans both
        "num_generations": GROUP,
        "max_completion_length": 8,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "save_steps": 2,
    }
    return GRPOJob(
        model=model,
        tasks=folder / "tasks.parquet",
        args=args,
        rule=GRPORule(top_up=1.0),
        domains={"math": domain},
        sandbox=SandboxSettings(),
        store=folder / "store",
    )


def train(call: tuple[GRPOJob, Placement]) -> None:
    train_grpo(*call)


@pytest.mark.long
def test_ranks_replace_alike(tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    workers = Workers(2, 1, "cpu", tmp_path / "workers.log")
    given = job(tiny_model, tmp_path)
    try:
        for name in ("first", "second"):
            place = Placement("cpu", 3, tmp_path / f"{name}-work", tmp_path / name)
            workers.together(train, (given, place))
        whole = model_folder.weights_hash(tmp_path / "first")
        assert model_folder.weights_hash(tmp_path / "second") == whole
        # A kill after the first checkpoint: what came later is gone, and comes again.
        for file in (tmp_path / "second").iterdir():
            file.unlink()
        (tmp_path / "second-work" / "checkpoint-4" / "complete").unlink()
        workers.together(train, (given, place))
        assert model_folder.weights_hash(tmp_path / "second") == whole
    finally:
        workers.stop()
    spent = read_json(tmp_path / "first-work" / GROUPS_FILE)
    assert read_json(tmp_path / "second-work" / GROUPS_FILE) == spent
    rows = [
        json.loads(line)
        for rank in (0, 1)
        for line in (tmp_path / "first-work" / f"rollouts-{rank}.jsonl").read_text().splitlines()
    ]
    calls = Counter((row["step"], row["call"], row["task_id"]) for row in rows)
    assert set(calls.values()) == {GROUP}, "the ranks rolled out different prompts"
    assert len(calls) == spent["groups"] > 12
    first = [row for row in rows if (row["step"], row["call"]) == (0, 1)]
    ranks = {task: {row["rank"] for row in first if row["task_id"] == task} for task in {r["task_id"] for r in first}}
    assert sorted(map(len, ranks.values())) == [1, 1, 2]
