"""One self-play round: the policy of the last round, the labelled prompts, one update rule, the next policy."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from selfplay.context import Context
from selfplay.engines.base import ModelRef
from selfplay.records import LabelledTask, Seed
from selfplay.run import Stage
from selfplay.trainers.model_folder import trained_model
from selfplay.trainers.sft import NothingToLearn
from selfplay.training import rules
from selfplay.training.rules import POLICY, Round
from selfplay.training_settings import UpdateRule

RULES: dict[str, Callable[[Round], dict[str, Any]]] = {
    "grpo": rules.grpo,
    "dpo": rules.dpo,
    "rft": rules.rft,
    "continued_sft": rules.continued_sft,
}


def selfplay_stage(
    stage: Stage,
    context: Context,
    number: int,
    policy: ModelRef,
    tasks: Sequence[LabelledTask],
    seeds: Sequence[Seed],
) -> dict[str, Any]:
    """Runs round `number`; writes `rollouts` and the policy it made.

    Raises:
        NothingToLearn: no prompt, pair or sample is left to train on.
    """
    training = context.recipe.training
    settings = getattr(training, training.algorithm)
    chosen = choose_tasks(tasks, settings, number, context.seed("selfplay", "order"))
    made = RULES[training.algorithm](Round(stage, context, number, policy, chosen, seeds))
    return {"prompts": len(chosen)} | made


def round_policy(stage: Stage, context: Context) -> ModelRef:
    """The policy that a round made."""
    return trained_model(stage.folder / POLICY, context.chat)


def choose_tasks(tasks: Sequence[LabelledTask], settings: Any, number: int, seed: int) -> list[LabelledTask]:
    """The tasks of round `number`: the next ones of one shuffled order, which starts again at its end.

    Raises:
        NothingToLearn: no labelled prompt is left.
    """
    if not isinstance(settings, UpdateRule):
        return []
    usable = [task for task in tasks if not task.dropped and task.agreement >= settings.min_agreement]
    if not usable:
        raise NothingToLearn("no labelled prompt is left: look at the funnel in the report, and loosen what lost most")
    random.Random(seed).shuffle(usable)
    count = min(settings.prompts or len(usable), len(usable))
    start = (number - 1) * count
    return [usable[place % len(usable)] for place in range(start, start + count)]
