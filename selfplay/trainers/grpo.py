"""Group-relative policy optimisation on labelled tasks, by TRL's GRPOTrainer."""

from __future__ import annotations

import math
import os
import random
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
    network, tokenizer = loading.load_for_training(job["model"], job["lora"] is not None)
    rows = [_row(row, job["model"].chat) for row in pq.read_table(job["tasks"]).to_pylist()]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    rank = int(os.environ.get("RANK", "0"))
    judge = Judge(Recipe.model_validate(job["recipe"]), Path(job["store"]), workers=1)
    reward = VerifiedReward(judge, work / f"rollouts-{rank}.jsonl", rank, job["seed"], job["shuffled"])
    config = arguments.build("grpo", job["args"], str(work), job["seed"], job["device"])
    order = one_epoch_order(len(rows), config)
    config.shuffle_dataset, config.num_train_epochs = False, 1
    try:
        trainer = GRPOTrainer(
            model=network,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list([rows[place] for place in order]),
            processing_class=tokenizer,
            peft_config=session.peft_config(job["lora"]),
        )
        metrics = session.run_training(trainer, work)
        session.save_model(trainer, Path(job["output"]), job["model"].dtype)
    finally:
        judge.close()
    return metrics | {"reward_seconds": reward.seconds}


def one_epoch_order(count: int, config: Any) -> list[int]:
    """The rows of the whole training, epoch after epoch, as one epoch of a longer dataset.

    TRL's sampler draws a new permutation each epoch and forgets, on resuming, how many it has drawn: a training resumed
    in its second epoch would see the first one's order again.

    Args:
        count: number of rows.
        config: TRL's GRPOConfig.
    """
    rng = random.Random(config.seed)
    needed = math.ceil(count * config.num_train_epochs)
    if config.max_steps > 0:
        steps_a_batch = config.steps_per_generation * config.num_iterations / config.gradient_accumulation_steps
        batches = math.ceil(config.max_steps / steps_a_batch)
        needed = batches * (config.generation_batch_size // config.num_generations)
    order: list[int] = []
    while len(order) < needed:
        epoch = list(range(count))
        if config.shuffle_dataset is not False:
            rng.shuffle(epoch)
        order += epoch
    return order[:needed]


def _row(row: dict[str, Any], chat: bool) -> dict[str, Any]:
    return row | {"prompt": [{"role": "user", "content": row["prompt"]}]} if chat else row
