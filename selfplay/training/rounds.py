"""One self-play round: the policy of the last round, the labelled prompts, one update rule, the next policy."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfplay import formats
from selfplay.context import Context, Training
from selfplay.engines.base import ModelRef, Sampling
from selfplay.judging import Item, task_of
from selfplay.records import LabelledTask, Pair, Rollout, Seed
from selfplay.run import Stage
from selfplay.seeding import content_id
from selfplay.trainers.dpo import train_dpo
from selfplay.trainers.grpo import train_grpo, write_tasks
from selfplay.trainers.session import trained_model
from selfplay.trainers.sft import Example, train_sft, write_examples
from selfplay.training.selection import make_pairs, right_completions

POLICY = "policy"


class NothingToLearn(RuntimeError):
    """A round has no prompt, pair or sample to train on; the message says why and what to change."""


def selfplay_stage(
    stage: Stage,
    context: Context,
    number: int,
    policy: ModelRef,
    tasks: Sequence[LabelledTask],
    seeds: Sequence[Seed],
) -> dict[str, Any]:
    """Runs round `number`; writes `rollouts` and the policy it made."""
    chosen = round_tasks(context, number, tasks)
    rule: Callable[..., dict[str, Any]] = {
        "grpo": _grpo,
        "dpo": _dpo,
        "rft": _rft,
        "continued_sft": _continued_sft,
    }[context.recipe.training.algorithm]
    return {"prompts": len(chosen)} | rule(stage, context, number, policy, chosen, seeds)


def round_policy(stage: Stage, context: Context) -> ModelRef:
    """The policy that a round made."""
    return trained_model(stage.folder / POLICY, context.chat)


def round_tasks(context: Context, number: int, tasks: Sequence[LabelledTask]) -> list[LabelledTask]:
    """The tasks of a round: all, or the next ones of one shuffled order, which starts again at its end."""
    usable = [task for task in tasks if not task.dropped]
    if not usable:
        raise NothingToLearn("no labelled prompt is left: look at the funnel in the report, and loosen what lost most")
    random.Random(context.seed("selfplay", "order")).shuffle(usable)
    count = context.recipe.training.prompts or len(usable)
    start = (number - 1) * count
    return [usable[place % len(usable)] for place in range(start, start + min(count, len(usable)))]


def _prompt(context: Context, task: LabelledTask) -> str:
    return formats.solver_input(context.recipe.domains[task.domain], task.problem)


def _train(stage: Stage, context: Context, function: Callable[..., Any], job: dict[str, Any]) -> None:
    settings = context.recipe.training
    common = {"args": settings.args, "lora": settings.lora}
    context.train(stage, [Training(POLICY, function, common | job, context.chat)])


def _grpo(
    stage: Stage, context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], _: Sequence[Seed]
) -> dict[str, Any]:
    file = stage.folder / "tasks.parquet"
    write_tasks(file, [(t.id, t.domain, _prompt(context, t), task_of(t.answer, t.tests)) for t in tasks])
    settings = context.recipe.training
    sampling = {"temperature": settings.sampling.temperature, "max_completion_length": settings.sampling.max_new_tokens}
    job = {
        "model": policy,
        "tasks": str(file),
        "args": sampling | settings.args,
        "recipe": context.recipe.model_dump(mode="json"),
        "store": str(context.run.store_folder),
        "shuffled": settings.rewards == "shuffled",
    }
    _train(stage, context, train_grpo, job)
    rows = _rollouts_of_training(stage, number, settings.sampling.temperature)
    stage.write("rollouts", Rollout, rows)
    return {"rollouts": len(rows), "not_checked": sum(row.passed is None for row in rows)}


def _rollouts_of_training(stage: Stage, number: int, temperature: float) -> list[Rollout]:
    """What each rank logged; a step that was done again after a crash counts once."""
    latest: dict[tuple[int, int, int], dict[str, Any]] = {}
    for file in sorted((stage.folder / f"{POLICY}-training").glob("rollouts-*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                latest[row["step"], row["rank"], row["place"]] = row
    return [
        Rollout(
            id=content_id("rollout", number, *key),
            task_id=row["task_id"],
            domain=row["domain"],
            round=number,
            mode=f"T={temperature}",
            index=key[2],
            completion=row["completion"],
            passed=row["passed"],
            reward=row["reward"],
            status=row["status"],
            reason=row["reason"],
        )
        for key, row in sorted(latest.items())
    ]


def _verified_rollouts(context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask]) -> list[Rollout]:
    """k rollouts a task with their verdicts; for the control, the verdicts are permuted."""
    settings = context.recipe.training
    repeated = [task for task in tasks for _ in range(settings.rollouts)]
    context.listener.begin(f"selfplay {number}: rollouts", len(repeated))
    how = settings.sampling
    samples = context.engine(policy).generate(
        [_prompt(context, task) for task in repeated],
        Sampling(how.temperature, how.max_new_tokens, how.top_p),
        context.seed("selfplay", number, "rollouts"),
        context.listener.advance,
    )
    items: list[Item] = [
        (task.domain, task_of(task.answer, task.tests), sample.text)
        for task, sample in zip(repeated, samples, strict=True)
    ]
    verdicts = context.judge.judge(items)
    rows = [
        Rollout(
            id=content_id("rollout", number, task.id, place % settings.rollouts),
            task_id=task.id,
            domain=task.domain,
            round=number,
            mode=f"T={how.temperature}",
            index=place % settings.rollouts,
            completion=sample.text,
            passed=verdict.passed,
            reward=verdict.reward,
            status=verdict.status,
            reason=verdict.reason,
        )
        for place, (task, sample, verdict) in enumerate(zip(repeated, samples, verdicts, strict=True))
    ]
    context.listener.log(f"selfplay_{number}", _means(rows), None)
    return _shuffled(context, number, rows) if settings.rewards == "shuffled" else rows


def _means(rows: Sequence[Rollout]) -> dict[str, float]:
    reached = [row.reward for row in rows if row.reward is not None]
    return {"rollouts/reward": sum(reached) / len(reached) if reached else float("nan")}


def _shuffled(context: Context, number: int, rows: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts with the verdicts of one another, so that a reward says nothing about its completion."""
    verdicts = [(row.passed, row.reward, row.status) for row in rows]
    random.Random(context.seed("selfplay", number, "shuffle")).shuffle(verdicts)
    return [
        dataclasses.replace(row, passed=passed, reward=reward, status=status)
        for row, (passed, reward, status) in zip(rows, verdicts, strict=True)
    ]


def _dpo(
    stage: Stage, context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], _: Sequence[Seed]
) -> dict[str, Any]:
    rollouts = _verified_rollouts(context, number, policy, tasks)
    stage.write("rollouts", Rollout, rollouts)
    prompts = {task.id: _prompt(context, task) for task in tasks}
    cap = context.recipe.training.pairs_per_prompt
    pairs = make_pairs(rollouts, prompts, cap, context.seed("selfplay", number))
    if not pairs:
        raise NothingToLearn(
            "no prompt has both a right and a wrong rollout: raise training.rollouts or its temperature"
        )
    stage.write("pairs", Pair, pairs)
    _train(stage, context, train_dpo, {"model": policy, "pairs": str(stage.folder / "pairs.parquet")})
    return {"rollouts": len(rollouts), "pairs": len(pairs)}


def _rft(
    stage: Stage, context: Context, number: int, policy: ModelRef, tasks: Sequence[LabelledTask], _: Sequence[Seed]
) -> dict[str, Any]:
    rollouts = _verified_rollouts(context, number, policy, tasks)
    stage.write("rollouts", Rollout, rollouts)
    chosen = right_completions(rollouts, context.recipe.training.samples_per_prompt)
    if not chosen:
        raise NothingToLearn("no rollout passed: raise training.rollouts, or synthesise easier prompts")
    prompts = {task.id: _prompt(context, task) for task in tasks}
    examples = [Example(prompts[row.task_id], (row.completion,)) for row in chosen]
    _fit(stage, context, policy, examples)
    return {"rollouts": len(rollouts), "samples": len(chosen)}


def _continued_sft(
    stage: Stage, context: Context, number: int, policy: ModelRef, _: Sequence[LabelledTask], seeds: Sequence[Seed]
) -> dict[str, Any]:
    """The control: further training on the seeds' own solutions, with no self-play in it."""
    solved = [seed for seed in seeds if seed.solution]
    if not solved:
        raise NothingToLearn("the seeds carry no worked solutions, which continued_sft trains on")
    domains = context.recipe.domains
    examples = [Example(formats.solver_input(domains[s.domain], s.problem), (s.solution,)) for s in solved]
    _fit(stage, context, policy, examples)
    return {"samples": len(solved)}


def _fit(stage: Stage, context: Context, policy: ModelRef, examples: Sequence[Example]) -> None:
    file: Path = stage.folder / "examples.parquet"
    write_examples(file, examples)
    _train(stage, context, train_sft, {"model": policy, "examples": str(file), "loss": "completion"})
