"""Pass rates of tasks against their labels, by rollouts of the policy that stop early where more would tell nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from selfplay.config.labelling import Difficulty
from selfplay.engines.base import ModelRef
from selfplay.labelling.difficulty import Decision, decide, limits_of
from selfplay.rollouts.completions import Origin
from selfplay.rollouts.rollout import stream_rollouts
from selfplay.rollouts.waves import Waves
from selfplay.run.directory import Stage
from selfplay.run.records import LabelledTask
from selfplay.stage.context import Context


def measure_pass_rates(
    stage: Stage, context: Context, policy: ModelRef, tasks: Sequence[LabelledTask], settings: Difficulty, number: int
) -> list[Decision]:
    """Rolls each task out in waves, until its decision is sure; writes `rollouts`, all that were drawn.

    Also those of the last wave that a decision did not need.

    Args:
        tasks: labelled.
        settings: how many, in which waves, and when to stop.
        number: of the round, for the table and the seed.
    """
    limits = limits_of(context.recipe.labelling)
    outcomes: dict[str, list[bool | None]] = {task.id: [] for task in tasks}
    left, drawn, waves = list(tasks), 0, Waves(stage, "rollouts")
    while left and drawn < settings.rollouts:
        wave = min(settings.wave, settings.rollouts - drawn)
        context.listener.begin(f"difficulty: rollouts from {drawn + 1} on", len(left) * wave)
        batches = stream_rollouts(
            context.engine(policy),
            left,
            settings.sampling,
            wave,
            context.seed("difficulty", number, drawn),
            context.judge,
            domains=context.recipe.domains,
            origin=Origin(("difficulty", number), number, f"T={settings.sampling.temperature}"),
            first=drawn,
            on_progress=context.listener.advance,
        )
        for task, passed in waves.add(itertools.chain.from_iterable(batches), ("task_id", "passed")):
            outcomes[task].append(passed)
        drawn += wave
        left = [task for task in left if not decide(outcomes[task.id], limits, settings).sure]
    waves.merge(tasks)
    return [decide(outcomes[task.id], limits, settings) for task in tasks]
