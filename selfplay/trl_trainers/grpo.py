"""Group-relative policy optimisation on labelled tasks, by TRL's GRPOTrainer."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.files import write_json
from selfplay.run.records import PolicyTask
from selfplay.run.store import folder_of_host
from selfplay.run.tables import plain_row, schema_of
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Tally
from selfplay.trl_trainers.training_set import Columns, training_set

GROUPS_FILE = "groups.json"
"""In the trainer's folder, once it is done: what was rolled out in all, and the share of it that could teach."""


def train_grpo(job: GRPOJob, place: Placement) -> dict[str, float]:
    """Trains on a table of tasks; returns the last metrics, and `reward_seconds`, the time spent on verdicts.

    Raises:
        RecordError: the table of tasks is damaged.
        NothingToLearn: there are fewer tasks than a generation batch takes.
    """
    from trl.trainer import grpo_trainer

    from selfplay.rollouts.judge import Judge
    from selfplay.rollouts.overlapped import OverlappedJudge
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.grpo_engine import arguments_for, engine_for
    from selfplay.trl_trainers.grpo_state import KeepGroups, restore_groups
    from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
    from selfplay.trl_trainers.vllm_server.ahead import OneAhead

    network, tokenizer = session.begin(job, place)
    pool = task_set(job, place.work)
    rank = int(os.environ.get("RANK", "0"))
    verdicts = Judge(job, folder_of_host(job.store), workers=1)
    judge = OverlappedJudge(verdicts, job.rule.reward_threads, job.rule.reward_timeout_s)
    log = RolloutLog(place.work / f"rollouts-{rank}.jsonl", rank, tokenizer.eos_token_id)
    reward = VerifiedReward(judge, log, rank, place.seed, job.shuffled, ModeCollapse(verdicts.verifiers))
    by_vllm = job.rule.rollouts != "transformers"
    config = session.settings_of("grpo", job, place, arguments_for(job.rule))
    walk = PromptWalk(len(pool), config.seed, config.shuffle_dataset is not False) if job.rule.top_up else None
    checkpoint = session.last_checkpoint(place.work)
    tally = Tally() if checkpoint is None else restore_groups(checkpoint, walk)
    ahead = OneAhead(checkpoint) if job.rule.max_staleness else None
    order = one_epoch_order(len(pool), config)
    # The order has all epochs, one after the other, and is shuffled already.
    config.shuffle_dataset, config.num_train_epochs = False, 1
    try:
        with engine_for(job, place, network, tokenizer, pool, config) if by_vllm else nullcontext():
            with session.reference_loading(grpo_trainer, job, place):
                trainer = SelfplayGRPOTrainer(
                    model=network,
                    reward_funcs=reward,
                    pool=pool,
                    walk=walk,
                    top_up=job.rule.top_up,
                    tally=tally,
                    ahead=ahead,
                    args=config,
                    train_dataset=pool.select(order),
                    processing_class=tokenizer,
                    peft_config=session.peft_config(job),
                    callbacks=[KeepGroups(tally, walk, job.rule.token_budget, ahead)],
                )
            metrics = session.run_training(trainer, place.work, job)
            # Within it: vLLM, when it ends, takes the group of ranks along.
            session.save_model(trainer, job, place)
        if trainer.is_world_process_zero():
            write_json(place.work / GROUPS_FILE, tally.summary())
    finally:
        judge.close()
    return metrics | {"reward_seconds": reward.seconds}


def task_set(job: GRPOJob, work: Path) -> Any:
    """The tasks with their places in the table, on disk; a prompt for a chat template is a list of messages."""
    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    prompt = pa.field("prompt", messages if job.model.chat else pa.string())
    schema = pa.schema([prompt if field.name == "prompt" else field for field in schema_of(PolicyTask)])

    def encode(tasks: Sequence[PolicyTask]) -> Columns:
        rows = [plain_row(task) for task in tasks]
        columns = {name: [row[name] for row in rows] for name in schema.names}
        if job.model.chat:
            columns["prompt"] = [[{"role": "user", "content": text}] for text in columns["prompt"]]
        return columns

    found = training_set(job.tasks, PolicyTask, encode, schema, work, job.model.chat)
    return found.add_column("row", np.arange(len(found)))


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
