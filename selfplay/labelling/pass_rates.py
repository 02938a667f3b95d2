"""Pass rates of tasks against their labels, by rollouts of the policy that stop early where more would tell nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay import formats
from selfplay.config.labelling import Difficulty
from selfplay.engines.base import ModelRef, Sampling
from selfplay.labelling.difficulty import Decision, decide, limits_of
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.seeding import content_id
from selfplay.stage.context import Context


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rollouts say of a task."""

    decision: Decision
    rollouts: tuple[Rollout, ...]
    """All that were drawn, also those of the last wave that the decision did not need."""


def measure_pass_rates(
    context: Context, policy: ModelRef, tasks: Sequence[LabelledTask], settings: Difficulty, number: int
) -> list[Measured]:
    """Rolls each task out in waves, until its decision is sure.

    Args:
        context: the run.
        policy: what is rolled out.
        tasks: labelled.
        settings: how many, in which waves, and when to stop.
        number: of the round, for the table and the seed.
    """
    limits = limits_of(context.recipe.labelling)
    rows: list[list[Rollout]] = [[] for _ in tasks]
    left = list(range(len(tasks)))
    drawn = 0
    while left and drawn < settings.rollouts:
        wave = min(settings.wave, settings.rollouts - drawn)
        for place, fresh in zip(left, _wave(context, policy, tasks, left, wave, drawn, settings, number), strict=True):
            rows[place] += fresh
        drawn += wave
        left = [p for p in left if not decide([row.passed for row in rows[p]], limits, settings).sure]
    return [Measured(decide([row.passed for row in found], limits, settings), tuple(found)) for found in rows]


def _wave(
    context: Context,
    policy: ModelRef,
    tasks: Sequence[LabelledTask],
    places: Sequence[int],
    wave: int,
    drawn: int,
    settings: Difficulty,
    number: int,
) -> list[list[Rollout]]:
    repeated = [tasks[place] for place in places for _ in range(wave)]
    context.listener.begin(f"difficulty: rollouts from {drawn + 1} on", len(repeated))
    how = settings.sampling
    samples = context.engine(policy).generate(
        [formats.solver_input(context.recipe.domains[task.domain], task.task) for task in repeated],
        Sampling.of(how),
        context.seed("difficulty", number, drawn),
        context.listener.advance,
    )
    verdicts = context.judge.judge_samples([(task.domain, task.task) for task in repeated], samples)
    rows = [
        Rollout(
            id=content_id("difficulty", number, task.id, drawn + place % wave),
            task_id=task.id,
            domain=task.domain,
            round=number,
            mode=f"T={how.temperature}",
            index=drawn + place % wave,
            completion=sample.text,
            passed=verdict.passed,
            reward=verdict.reward,
            status=verdict.status,
            reason=verdict.reason,
        )
        for place, (task, sample, verdict) in enumerate(zip(repeated, samples, verdicts, strict=True))
    ]
    return [rows[start : start + wave] for start in range(0, len(rows), wave)]
