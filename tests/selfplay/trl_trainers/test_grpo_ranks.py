"""Choosing and topping up on two data-parallel ranks, with groups that span them; also cut off and gone on with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfplay.compute.workers import Workers
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.files import read_json
from selfplay.trl_trainers import model_folder
from selfplay.trl_trainers.grpo import GROUPS_FILE, Known, train_grpo, write_tasks
from verifiers.model import Task

GROUP = 4
PROBLEMS = seeds.generate("math", 24, 0)


def job(model: ModelRef, folder: Path) -> dict[str, Any]:
    write_tasks(
        folder / "tasks.parquet",
        [(f"t{i}", "math", p.problem, Task(answer=p.answer)) for i, p in enumerate(PROBLEMS)],
        [Known(pass_rate=0.5, tried=8)] * len(PROBLEMS),
    )
    (folder / "ends_on.py").write_text(
        "def judge(task, completion):\n    return ord(completion[-1:] or 'a') % 8 == 0\n"
    )
    source = {"kind": "quickstart", "grammar": "math"}
    recipe = {
        "name": "ranks",
        "model": {"kind": "scratch"},
        "domains": {"math": {"seeds": source, "verifier": "ends_on:judge"}},
        "training": {"grpo": {"candidates": 2, "top_up": 1.0}},
    }
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
    common = {"model": model, "tasks": str(folder / "tasks.parquet"), "args": args, "recipe": recipe, "lora": None}
    return common | {"store": str(folder / "store"), "shuffled": False, "seed": 3, "device": "cpu"}


@pytest.mark.long
def test_ranks_choose_and_replace_alike(tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    workers = Workers(2, 1, "cpu", tmp_path / "workers.log")
    given = job(tiny_model, tmp_path)
    try:
        for name in ("first", "second"):
            own = {"work": str(tmp_path / f"{name}-work"), "output": str(tmp_path / name)}
            workers.together(train_grpo, given | own)
        whole = model_folder.weights_hash(tmp_path / "first")
        assert model_folder.weights_hash(tmp_path / "second") == whole
        # A kill after the first checkpoint: what came later is gone, and comes again.
        for file in (tmp_path / "second").iterdir():
            file.unlink()
        (tmp_path / "second-work" / "checkpoint-4" / "complete").unlink()
        workers.together(train_grpo, given | own)
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
