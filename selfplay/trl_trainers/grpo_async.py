"""GRPO by TRL's AsyncGRPOTrainer: a server writes while the trainer steps, and verifiers judge meanwhile."""

from __future__ import annotations

import math
import os

from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.reward_function import VerifiedReward
from selfplay.rollouts.rollout_log import RolloutLog
from selfplay.run.files import write_json
from selfplay.run.store import folder_of_host
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
    from selfplay.rollouts.judge import Judge
    from selfplay.rollouts.overlapped import OverlappedJudge
    from selfplay.trl_trainers import session
    from selfplay.trl_trainers.async_groups import VerifiedGroups, flow_of, rolling_out
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
    checkpoint = session.last_checkpoint(place.work)
    walk = PromptWalk(len(pool), config.seed)
    tally = Tally() if checkpoint is None else restore_groups(checkpoint, walk)
    verdicts = Judge(job, folder_of_host(job.store), workers=1)
    judge = OverlappedJudge(verdicts, job.rule.reward_threads, job.rule.reward_timeout_s)
    log = RolloutLog(place.work / "rollouts-0.jsonl", 0, tokenizer.eos_token_id)
    reward = VerifiedReward(judge, log, 0, place.seed, job.shuffled, ModeCollapse(verdicts.verifiers))
    prompts = prompts_of(job, tokenizer, pool)
    opening = server_opening(job, place, network, tokenizer, prompts, config, window_of(job, prompts, config))
    groups = VerifiedGroups(pool, prompts, walk, config, tokenizer, reward, tally)
    try:
        with rolling_out(groups, opening, flow, config.device) as (worker, sent), taking(network):
            trainer = SelfplayAsyncTrainer(
                worker=worker,
                sent=sent,
                rolled_out=groups.figures,
                model=job.model.path,
                reward_funcs=[],
                args=config,
                train_dataset=pool,
                processing_class=tokenizer,
                peft_config=session.peft_config(job),
                callbacks=[KeepUnderWay(worker, walk, tally)],
            )
            groups.follow(lambda: int(trainer.state.global_step))
            metrics = session.run_training(trainer, place.work, job)
            session.save_model(trainer, job, place)
        if trainer.is_world_process_zero():
            write_json(place.work / GROUPS_FILE, tally.summary())
    finally:
        judge.close()
    return metrics | {"reward_seconds": reward.seconds}
