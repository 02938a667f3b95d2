"""Group-relative policy optimisation on labelled tasks, by TRL's GRPOTrainer."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from selfplay.compute.workers import Job
from selfplay.config.recipe import Recipe
from selfplay.config.training import GRPORule
from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.files import write_json
from selfplay.run.tables import write_arrow
from selfplay.trl_trainers.prompt_choice import PromptChoice
from selfplay.trl_trainers.rollout_groups import Tally
from verifiers.model import Task
from verifiers.programs.task_rows import task_to_json

GROUPS_FILE = "groups.json"
"""In the trainer's folder, once it is done: what was rolled out in all, and the share of it that could teach."""


class Known(NamedTuple):
    """What labelling knows of a task."""

    pass_rate: float = 0.0
    """Of the policy."""
    tried: int = 0
    """Completions of which it is the mean; 0 where the policy did not try."""


def write_tasks(path: Path, rows: Sequence[tuple[str, str, str, Task]], known: Sequence[Known] | None = None) -> None:
    """Writes (task id, domain, prompt, task) rows for a training, and what labelling knows of each."""
    columns = [
        {"task_id": i, "domain": d, "prompt": p, "task": task_to_json(t)} | of_task._asdict()
        for (i, d, p, t), of_task in zip(rows, known or [Known()] * len(rows), strict=True)
    ]
    write_arrow(path, pa.Table.from_pylist(columns))


def train_grpo(job: Job) -> dict[str, float]:
    """Trains on a table of tasks.

    Job: model (ModelRef), tasks (path), args, seed, device, work (folder), output (folder), lora, recipe (dict),
    store (folder), shuffled (bool).
    """
    import torch
    from datasets import Dataset

    from selfplay.engines import loading
    from selfplay.rollouts.judge import Judge
    from selfplay.rollouts.overlapped import OverlappedJudge
    from selfplay.trl_trainers import arguments, session
    from selfplay.trl_trainers.grpo_state import KeepGroups, restore_groups
    from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer

    if job["device"] != "cpu":
        loading.forget_all()
    torch.manual_seed(job["seed"])
    network, tokenizer = loading.load_for_training(job["model"], job["lora"] is not None)
    recipe = Recipe.model_validate(job["recipe"])
    rule = recipe.training.grpo
    table = pq.read_table(job["tasks"]).to_pylist()
    pool = [_row(row, place, job["model"].chat) for place, row in enumerate(table)]
    work = Path(job["work"])
    work.mkdir(parents=True, exist_ok=True)
    rank = int(os.environ.get("RANK", "0"))
    verdicts = Judge(recipe, Path(job["store"]), workers=1)
    judge = OverlappedJudge(verdicts, rule.reward_threads, rule.reward_timeout_s)
    log = RolloutLog(work / f"rollouts-{rank}.jsonl", rank)
    reward = VerifiedReward(judge, log, rank, job["seed"], job["shuffled"], ModeCollapse(verdicts.verifiers))
    config = arguments.build("grpo", job["args"], str(work), job["seed"], job["device"])
    choice = choice_of(table, rule, config)
    checkpoint = session.last_checkpoint(work)
    tally = Tally() if checkpoint is None else restore_groups(checkpoint, choice)
    order = one_epoch_order(len(pool), config)
    config.shuffle_dataset, config.num_train_epochs = False, 1
    try:
        trainer = SelfplayGRPOTrainer(
            model=network,
            reward_funcs=reward,
            pool=pool,
            choice=choice,
            top_up=rule.top_up,
            tally=tally,
            args=config,
            train_dataset=Dataset.from_list([pool[place] for place in order]),
            processing_class=tokenizer,
            peft_config=session.peft_config(job["lora"]),
            callbacks=[KeepGroups(tally, choice, rule.token_budget)],
        )
        metrics = session.run_training(trainer, work)
        session.save_model(trainer, Path(job["output"]), job["model"].dtype)
        if trainer.is_world_process_zero():
            write_json(work / GROUPS_FILE, tally.summary())
    finally:
        judge.close()
    return metrics | {"reward_seconds": reward.seconds}


def choice_of(table: Sequence[dict[str, Any]], rule: GRPORule, config: Any) -> PromptChoice | None:
    """What chooses the prompts, knowing what labelling saw of them; None where they come in turn.

    Args:
        table: rows of `write_tasks`.
        rule: how to choose.
        config: TRL's GRPOConfig.
    """
    if rule.candidates == 1 and not rule.top_up:
        return None
    shuffle = config.shuffle_dataset is not False
    domains = [row["domain"] for row in table]
    group, seed = config.num_generations, config.seed
    choice = PromptChoice(domains, group, rule.candidates, rule.half_life, seed, shuffle)
    for place, row in enumerate(table):
        if row["tried"] and rule.label_weight:
            choice.rates.observe(place, [row["pass_rate"]] * row["tried"], 0, rule.label_weight)
    return choice


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


def _row(row: dict[str, Any], place: int, chat: bool) -> dict[str, Any]:
    prompt = [{"role": "user", "content": row["prompt"]}] if chat else row["prompt"]
    return {"row": place, "prompt": prompt} | {name: row[name] for name in ("task_id", "domain", "task")}
