"""The labelling stage: the policy solves each prompt k times, and the majority gives the label."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from selfplay import formats
from selfplay.context import Context
from selfplay.engines.base import ModelRef, Sampling
from selfplay.judging import sandbox_opener
from selfplay.labelling.answer_vote import Label, label_by_answers
from selfplay.labelling.consensus import label_by_consensus
from selfplay.labelling_settings import Labelling
from selfplay.quickstart.true_labels import exact_solver
from selfplay.records import LabelledTask, Prompt, Rollout, Seed
from selfplay.run import Stage
from selfplay.seeding import content_id
from verifiers.math_answer import MathVerifier
from verifiers.program_runner import ProgramRunner

GROUP = 256
"""Prompts that are solved together while the group before is voted on."""


def labelling_stage(
    stage: Stage, context: Context, labeller: ModelRef, prompts: Sequence[Prompt], seeds: Sequence[Seed]
) -> dict[str, Any]:
    """Writes `tasks` (every kept prompt, with its label or why it has none) and `completions` (the votes)."""
    kept = sorted((prompt for prompt in prompts if not prompt.dropped), key=lambda prompt: prompt.id)
    groups = [kept[start : start + GROUP] for start in range(0, len(kept), GROUP)]
    runner = ProgramRunner(workers=context.recipe.sandbox.workers, open_sandbox=sandbox_opener(context.recipe))
    # One group of prompts is voted on while the next is solved; by id, so that the domains are mixed in each.
    with closing(runner), ThreadPoolExecutor(1) as voting:
        votes: list[list[str]] = []
        pending = []
        for number, group in enumerate(groups):
            texts = _solve(context, labeller, number, group)
            votes.append(texts)
            pending.append(voting.submit(_labels, context, runner, group, texts, seeds))
        labels = [label for found in pending for label in found.result()]
    tasks = [_task(context, prompt, label) for prompt, label in zip(kept, labels, strict=True)]
    stage.write("tasks", LabelledTask, tasks)
    stage.write("completions", Rollout, _rollouts(context, tasks, labels, [text for texts in votes for text in texts]))
    return _counts(tasks)


def _solve(context: Context, labeller: ModelRef, number: int, prompts: Sequence[Prompt]) -> list[str]:
    settings = context.recipe.labelling
    repeated = [prompt for prompt in prompts for _ in range(settings.samples)]
    context.listener.begin(f"labelling: solving group {number + 1}", len(repeated))
    inputs = [formats.solver_input(context.recipe.domains[prompt.domain], prompt.problem) for prompt in repeated]
    how = settings.sampling
    completions = context.engine(labeller).generate(
        inputs,
        Sampling(how.temperature, how.max_new_tokens, how.top_p),
        context.seed("labelling", number),
        context.listener.advance,
    )
    # What was cut at the token limit has no vote: its last number is not an answer.
    return [completion.text if completion.complete else "" for completion in completions]


def _labels(
    context: Context, runner: ProgramRunner, prompts: Sequence[Prompt], texts: Sequence[str], seeds: Sequence[Seed]
) -> list[Label]:
    settings = context.recipe.labelling
    labels = []
    for place, prompt in enumerate(prompts):
        votes = texts[place * settings.samples : (place + 1) * settings.samples]
        verifier = context.judge.verifiers[prompt.domain]
        if isinstance(verifier, MathVerifier):
            labels.append(label_by_answers(verifier, votes, settings))
        else:
            inputs = _inputs(context, prompt, seeds, settings.tests)
            labels.append(label_by_consensus(runner, votes, inputs, settings))
    return labels


def _inputs(context: Context, prompt: Prompt, seeds: Sequence[Seed], count: int) -> list[str]:
    """Inputs of the domain's seed problems: the one format that its programs read."""
    known = sorted({test.input for seed in seeds if seed.domain == prompt.domain for test in seed.tests})
    rng = random.Random(context.seed("labelling", "inputs", prompt.id))
    return rng.sample(known, min(count, len(known)))


def _task(context: Context, prompt: Prompt, label: Label) -> LabelledTask:
    pass_rate = sum(label.votes) / len(label.votes) if label.votes else 0.0
    dropped = f"label: {label.fault}" if label.fault else too_easy(pass_rate, context.recipe.labelling)
    solver = exact_solver(context.recipe.domains[prompt.domain])
    right = None if label.fault or solver is None else solver(prompt.problem, label.answer, label.tests)
    return LabelledTask(
        id=content_id("task", prompt.id, label.answer, label.tests),
        prompt_id=prompt.id,
        domain=prompt.domain,
        problem=prompt.problem,
        answer=label.answer,
        tests=label.tests,
        agreement=label.agreement,
        pass_rate=pass_rate,
        dropped=dropped,
        label_is_right=right,
    )


def too_easy(pass_rate: float, settings: Labelling) -> str:
    """Why a difficulty filter drops a task that is solved this often; empty when none does."""
    for name in settings.drop:
        if name == "always_solved" and pass_rate >= 1:
            return "difficulty: always solved"
        if name == "at_least_half_solved" and pass_rate >= 0.5:
            return "difficulty: solved in at least half of the tries"
        if name == "above_half_solved" and (pass_rate > 0.5 or pass_rate == 0):
            return "difficulty: solved in more than half of the tries, or never"
    return ""


def _rollouts(
    context: Context, tasks: Sequence[LabelledTask], labels: Sequence[Label], texts: Sequence[str]
) -> list[Rollout]:
    settings = context.recipe.labelling
    rows = []
    for place, (task, label) in enumerate(zip(tasks, labels, strict=True)):
        for index in range(settings.samples):
            agrees = label.votes[index] if label.votes else None
            rows.append(
                Rollout(
                    id=content_id("vote", task.id, index),
                    task_id=task.id,
                    domain=task.domain,
                    round=0,
                    mode=f"T={settings.sampling.temperature}",
                    index=index,
                    completion=texts[place * settings.samples + index],
                    passed=agrees,
                    reward=None if agrees is None else float(agrees),
                    status="no_label" if agrees is None else ("agrees" if agrees else "disagrees"),
                    reason=label.fault,
                )
            )
    return rows


def _counts(tasks: Sequence[LabelledTask]) -> dict[str, Any]:
    usable = [task for task in tasks if not task.dropped]
    measured = [task.label_is_right for task in usable if task.label_is_right is not None]
    return {
        "tasks": len(usable),
        "lost": dict(Counter(task.dropped for task in tasks if task.dropped)),
        "label_accuracy": sum(measured) / len(measured) if measured else None,
        "measured": len(measured),
    }
