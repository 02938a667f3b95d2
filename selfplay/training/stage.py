"""One self-play round: the policy of the last round, its prompts, one update rule, the next policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from selfplay.config.rules import UpdateRule
from selfplay.curation.reserved import Reserved
from selfplay.engines.base import ModelRef
from selfplay.run.directory import Stage
from selfplay.run.records import RoundPrompt, Seed
from selfplay.run.results import SelfplayResult
from selfplay.stage.context import Context
from selfplay.training import rules
from selfplay.training.prompt_pool import Draw, Pools, choose, missed_shares, source_counts
from selfplay.training.rules import POLICY, Round
from selfplay.training.teacher import learn_from_teacher
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.sft import NothingToLearn

RULES: dict[str, Callable[[Round], dict[str, Any]]] = {
    "grpo": rules.grpo,
    "dpo": rules.dpo,
    "rft": rules.rft,
    "sft": learn_from_teacher,
    "continued_sft": rules.continued_sft,
}


def selfplay_stage(
    stage: Stage,
    context: Context,
    number: int,
    policy: ModelRef,
    pools: Pools,
    seeds: Sequence[Seed],
    teacher: ModelRef | None = None,
    reserved: Reserved | None = None,
) -> SelfplayResult:
    """Runs round `number`; writes `prompts`, `rollouts` and the policy it made.

    Args:
        number: from 1.
        pools: the tasks that rounds may draw from.
        seeds: training seeds, which the control learns from.
        teacher: a model that the run trained for SFT from a teacher.
        reserved: problems that nothing may be trained on, where people's own files are read.

    Raises:
        NothingToLearn: no prompt, pair or sample is left to train on.
    """
    chosen = choose_prompts(context, pools, number)
    stage.write("prompts", RoundPrompt, chosen)
    short = missed_shares(chosen, context.recipe.training.pool, number)
    if short:
        context.listener.note(f"round {number}: {short}, for want of more")
    this = Round(stage, context, number, policy, [one.task for one in chosen], seeds, teacher, reserved)
    made = RULES[context.recipe.training.algorithm](this)
    return SelfplayResult(prompts=len(chosen), sources=source_counts(chosen), **made)


def round_policy(stage: Stage, context: Context) -> ModelRef:
    """The policy that a round made."""
    return trained_model(stage.folder / POLICY, context.chat)


def choose_prompts(context: Context, pools: Pools, number: int) -> list[RoundPrompt]:
    """The tasks of round `number`; none for a rule that learns from something else.

    Raises:
        NothingToLearn: no labelled prompt is left.
    """
    training = context.recipe.training
    if training.algorithm == "continued_sft" or not training.needs_prompts:
        return []
    rule: Any = getattr(training, training.algorithm)
    draw = Draw(
        prompts=rule.prompts,
        # That of sft is about a teacher's traces.
        min_agreement=rule.min_agreement if isinstance(rule, UpdateRule) else 0.0,
        seed=context.seed("selfplay", "order"),
    )
    chosen = choose(pools, training.pool, draw, number)
    if not chosen:
        raise NothingToLearn("no labelled prompt is left: look at the funnel in the report, and loosen what lost most")
    return chosen
