"""Rollouts of the policy with their verdicts, for the rules that learn from finished rollouts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from selfplay import formats
from selfplay.engines.base import ModelRef, Sampling
from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context
from selfplay.training.validity import Thinking, fault
from verifiers.composite import mean_component_rewards


def solver_prompt(context: Context, task: LabelledTask) -> str:
    """What the policy reads for a task."""
    return formats.solver_input(context.recipe.domains[task.domain], task.task)


def verified_rollouts(
    context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], k: int
) -> list[Rollout]:
    """k rollouts a task with their verdicts; for the control, the verdicts are permuted."""
    repeated = [task for task in tasks for _ in range(k)]
    context.listener.begin(f"selfplay {number}: rollouts", len(repeated))
    how = context.recipe.training.sampling
    samples = context.engine(policy).generate(
        [solver_prompt(context, task) for task in repeated],
        Sampling.of(how),
        context.seed("selfplay", number, "rollouts"),
        context.listener.advance,
    )
    verdicts = context.judge.judge_samples([(task.domain, task.task) for task in repeated], samples)
    rows = [
        Rollout(
            id=content_id("rollout", number, task.id, place % k),
            task_id=task.id,
            domain=task.domain,
            round=number,
            mode=f"T={how.temperature}",
            index=place % k,
            completion=sample.text,
            passed=verdict.passed,
            reward=verdict.reward,
            status=verdict.status,
            reason=verdict.reason,
        )
        for place, (task, sample, verdict) in enumerate(zip(repeated, samples, verdicts, strict=True))
    ]
    means = {f"rollouts/reward/{name}": mean for name, mean in mean_component_rewards(verdicts).items()}
    means |= {f"rollouts/{name}": share for name, share in _wrong_favourites(context, rows).items()}
    context.listener.log(f"selfplay_{number}", {"rollouts/reward": _mean_reward(rows), **means})
    training = context.recipe.training
    if training.rewards == "shuffled":
        return shuffled_verdicts(rows, training.thinking, context.seed("selfplay", number, "shuffle"))
    return rows


def _mean_reward(rows: Sequence[Rollout]) -> float:
    reached = [row.reward for row in rows if row.reward is not None]
    return sum(reached) / len(reached) if reached else float("nan")


def _wrong_favourites(context: Context, rows: Sequence[Rollout]) -> dict[str, float]:
    found = ModeCollapse(context.judge.verifiers, window=len(rows))
    for row in rows:
        found.add(row.domain, row.task_id, row.completion, row.passed)
    return found.metrics()


def shuffled_verdicts(rows: Sequence[Rollout], thinking: Thinking, seed: int) -> list[Rollout]:
    """The rollouts with the verdicts of one another, so that a reward says nothing about its completion.

    Those that may not teach keep their own: the control, too, is to leave out what was cut or has no answer.

    Args:
        rows: rollouts with their verdicts.
        thinking: whether one that may teach must think.
        seed: of the permutation.
    """
    places = [place for place, row in enumerate(rows) if not fault(row, thinking)]
    verdicts = [(rows[place].passed, rows[place].reward, rows[place].status) for place in places]
    random.Random(seed).shuffle(verdicts)
    found = list(rows)
    for place, (passed, reward, status) in zip(places, verdicts, strict=True):
        found[place] = dataclasses.replace(rows[place], passed=passed, reward=reward, status=status)
    return found
