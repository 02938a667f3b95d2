"""GRPO by TRL's AsyncGRPOTrainer: a server writes while the trainer steps, and verifiers judge meanwhile."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from selfplay.run.files import write_json
from selfplay.trl_trainers.grpo import GROUPS_FILE, task_set
from selfplay.trl_trainers.jobs import GRPOJob, Placement
from selfplay.trl_trainers.prompt_walk import PromptWalk
from selfplay.trl_trainers.rollout_groups import Tally

KIND = "async_grpo"


def train_async_grpo(job: GRPOJob, place: Placement) -> dict[str, float]:
    """Trains on a table of tasks; returns the last metrics, and `reward_seconds`, the time spent on verdicts.

    Raises:
        RecordError: the table of tasks is damaged.
        NoAsyncTrainer: TRL has no such trainer, or this machine cannot run it.
    """
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.async_groups import VerifiedGroups, flow_of, rolling_out, verdicts_of
    from selfplay.trl_trainers.asynchronous.library import taking
    from selfplay.trl_trainers.asynchronous.trainer import SelfplayAsyncTrainer
    from selfplay.trl_trainers.grpo_engine import prompts_of, server_opening, window_of
    from selfplay.trl_trainers.grpo_state import KeepUnderWay, restore_groups

    network, tokenizer = session.begin(job, place)
    pool = task_set(job, place.work)
    config = session.settings_of(KIND, job, place, {"max_staleness": job.rule.max_staleness, "token_budget": 0})
    flow = flow_of(config, int(os.environ.get("WORLD_SIZE", "1")))
    if config.max_steps <= 0:
        config.max_steps = math.ceil(config.num_train_epochs * len(pool) * flow.group / flow.samples_a_step)

    def train(rollouts: Any, callbacks: Sequence[Any]) -> dict[str, float]:
        with taking(network):
            trainer = SelfplayAsyncTrainer(
                rollouts=rollouts,
                model=job.model.path,
                args=config,
                train_dataset=pool,
                processing_class=tokenizer,
                peft_config=session.peft_config(job),
                callbacks=list(callbacks),
            )
            metrics = session.run_training(trainer, place.work, job)
        session.save_model(trainer, job, place)
        return metrics

    if os.environ.get("RANK", "0") != "0":
        return train(None, [])
    checkpoint = session.last_checkpoint(place.work)
    walk = PromptWalk(len(pool), config.seed)
    tally = Tally() if checkpoint is None else restore_groups(checkpoint, walk)
    prompts = prompts_of(job, tokenizer, pool)
    opening = server_opening(job, place, network, tokenizer, prompts, config, window_of(job, prompts, config))
    with verdicts_of(job, place, tokenizer.eos_token_id) as reward:
        groups = VerifiedGroups(pool, prompts, walk, config, tokenizer, reward, tally)
        with rolling_out(groups, opening, config, flow) as rollouts:
            metrics = train(rollouts, [KeepUnderWay(rollouts.worker, walk, tally)])
    write_json(place.work / GROUPS_FILE, tally.summary())
    return metrics | {"reward_seconds": reward.seconds}
