"""Labelled tasks out of labels and pass rates: what is kept for training, and why the rest is not."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from selfplay.config.labelling import Labelling
from selfplay.labelling.answer_vote import Label
from selfplay.labelling.difficulty import NOT_MEASURED, Decision, drop_reason, limits_of
from selfplay.quickstart.seeds import exact_solver
from selfplay.run.records import LabelledTask
from selfplay.run.seeding import task_id
from selfplay.stage.context import Context
from verifiers.conformance.report import wilson_interval

CONFIDENCE = 0.95
"""Level of the interval where the recipe has no `labelling.difficulty`."""


def with_label(context: Context, before: LabelledTask, label: Label) -> LabelledTask:
    """The task under another label; its pass rate is that of the votes until `with_decision` puts in another."""
    settings = context.recipe.labelling
    solver = exact_solver(context.recipe.domains[before.domain])
    known = [agreed for agreed in label.agrees if agreed is not None]
    labelled = dataclasses.replace(before.task, answer=label.answer, tests=label.tests, checker=label.checker)
    rate = sum(known) / len(known) if known else None
    dropped = f"label: {label.fault}" if label.fault else _too_easy_or_hard(rate, settings)
    task = LabelledTask(
        id=task_id(before.prompt_id, labelled),
        prompt_id=before.prompt_id,
        domain=before.domain,
        task=labelled,
        agreement=label.agreement,
        pass_rate=rate,
        dropped=dropped,
        label_correct=None if label.fault or solver is None else solver(labelled),
    )
    return _with_rate(task, sum(known), len(known), settings)


def _too_easy_or_hard(rate: float | None, settings: Labelling) -> str:
    limits = limits_of(settings)
    if rate is None:
        return NOT_MEASURED if limits else ""
    return drop_reason(rate, limits)


def with_decision(task: LabelledTask, decision: Decision, settings: Labelling) -> LabelledTask:
    """The task with the pass rate that rollouts measured, and dropped or kept by it."""
    rated = dataclasses.replace(task, pass_rate=decision.pass_rate, dropped=decision.reason)
    if decision.whole:
        return _with_rate(rated, decision.passed, decision.tried, settings)
    return dataclasses.replace(rated, tried=decision.tried, pass_rate_low=None, pass_rate_high=None)


def _with_rate(task: LabelledTask, passed: int, tried: int, settings: Labelling) -> LabelledTask:
    confidence = settings.difficulty.confidence if settings.difficulty else CONFIDENCE
    low, high = wilson_interval(passed, tried, confidence) if tried else (None, None)
    return dataclasses.replace(task, tried=tried, pass_rate_low=low, pass_rate_high=high)


def counts_of(tasks: Sequence[LabelledTask]) -> dict[str, Any]:
    """Counts of tasks kept and lost, by reason, and the accuracy of labels where it can be measured."""
    usable = [task for task in tasks if not task.dropped]
    measured = [task.label_correct for task in usable if task.label_correct is not None]
    return {
        "tasks": len(usable),
        "lost": dict(Counter(task.dropped.partition(" (")[0] for task in tasks if task.dropped)),
        "label_accuracy": sum(measured) / len(measured) if measured else None,
        "measured": len(measured),
    }
