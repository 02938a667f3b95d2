"""Group-relative policy optimisation on labelled tasks, by TRL's GRPOTrainer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.config import Recipe
from selfplay.records import write_arrow
from selfplay.trainers.rewards import task_to_json
from selfplay.workers import Job
from verifiers.model import Task


def write_tasks(path: Path, rows: Sequence[tuple[str, str, str, Task]]) -> None:
    """Writes (task id, domain, prompt, task) rows for a training."""
    columns = [{"task_id": i, "domain": d, "prompt": p, "task": task_to_json(t)} for i, d, p, t in rows]
    write_arrow(path, pa.Table.from_pylist(columns))


def train_grpo(job: Job) -> dict[str, float]:
    """Trains on a table of tasks.

    Job: model (ModelRef), tasks (path), args, seed, device, work (folder), output (folder), lora, recipe (dict),
    store (folder), shuffled (bool).
    """
    import torch
    from datasets import Dataset
    from trl import GRPOTrainer

    from selfplay.engines import loading
    from selfplay.judging import Judge
    from selfplay.trainers import arguments, session
    from selfplay.trainers.rewards import VerifiedReward

    if job["device"] != "cpu":
        loading.forget_all()
    torch.manual_seed(job["seed"])
    network, tokenizer = loading.load_fresh(job["model"])
    rows = [_row(row, job["model"].chat) for row in pq.read_table(job["tasks"]).to_pylist()]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    rank = int(os.environ.get("RANK", "0"))
    judge = Judge(Recipe.model_validate(job["recipe"]), Path(job["store"]), workers=1)
    reward = VerifiedReward(judge, work / f"rollouts-{rank}.jsonl", rank, job["seed"], job["shuffled"])
    try:
        trainer = GRPOTrainer(
            model=network,
            reward_funcs=reward,
            args=arguments.build("grpo", job["args"], str(work), job["seed"], job["device"]),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=session.peft_config(job["lora"]),
        )
        metrics = session.run_training(trainer, work)
        session.save_model(trainer, Path(job["output"]), job["model"].dtype)
    finally:
        judge.close()
    return metrics | {"reward_seconds": reward.seconds}


def _row(row: dict[str, Any], chat: bool) -> dict[str, Any]:
    return row | {"prompt": [{"role": "user", "content": row["prompt"]}]} if chat else row
