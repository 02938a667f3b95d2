"""The evaluation stage: held-out problems, the same for every round, sampled and greedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from selfplay import formats
from selfplay.config.recipe import Evaluation
from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.evaluation.metrics import Estimate, avg_at_k, estimate, paired_gain, pass_at_k
from selfplay.run.directory import Stage
from selfplay.run.records import Rollout, Seed
from selfplay.run.results import EvaluationResult
from selfplay.run.seeding import content_id, derive
from selfplay.stage.context import Context

Row = dict[str, Any]
GREEDY = "greedy"


def evaluation_stage(
    stage: Stage, context: Context, number: int, policy: ModelRef, problems: Sequence[Seed]
) -> EvaluationResult:
    """Writes `rollouts`: every completion of the held-out problems with its verdict."""
    settings = context.recipe.evaluation
    # One mode is judged while the next is sampled.
    with ThreadPoolExecutor(1) as judging:
        pending = [
            judging.submit(
                _judged, context, number, problems, mode, _sample(context, number, policy, problems, mode, t)
            )
            for mode, t in modes(settings)
        ]
        rows = [row for found in pending for row in found.result()]
    stage.write("rollouts", Rollout, rows)
    table = metric_rows(rows, settings, number, context.recipe.seed)
    context.listener.log(stage.name, {f"{row['domain']}/{row['metric']}": row["value"] for row in table}, number)
    return EvaluationResult(rollouts=len(rows), not_checked=sum(row.passed is None for row in rows))


def modes(settings: Evaluation) -> list[tuple[str, float]]:
    """How the problems are sampled: a name and a temperature."""
    drawn = [(f"T={temperature}", temperature) for temperature in settings.temperatures]
    return drawn + ([(GREEDY, 0.0)] if settings.greedy else [])


def _repeated(settings: Evaluation, problems: Sequence[Seed], mode: str) -> list[tuple[Seed, int]]:
    """Each problem as often as the mode samples it, with the index of the sample."""
    k = 1 if mode == GREEDY else settings.samples
    return [(seed, index) for seed in problems for index in range(k)]


def _sample(
    context: Context, number: int, policy: ModelRef, problems: Sequence[Seed], mode: str, temperature: float
) -> list[Sample]:
    settings = context.recipe.evaluation
    repeated = _repeated(settings, problems, mode)
    context.listener.begin(f"evaluation {number}: {mode}", len(repeated))
    return context.engine(policy).generate(
        [formats.solver_input(context.recipe.domains[seed.domain], seed.task) for seed, _ in repeated],
        Sampling(temperature, settings.max_new_tokens),
        context.seed("evaluation", mode),
        context.listener.advance,
    )


def _judged(
    context: Context, number: int, problems: Sequence[Seed], mode: str, samples: Sequence[Sample]
) -> list[Rollout]:
    repeated = _repeated(context.recipe.evaluation, problems, mode)
    verdicts = context.judge.judge_samples([(seed.domain, seed.task) for seed, _ in repeated], samples)
    return [
        Rollout(
            id=content_id("evaluation", number, mode, seed.id, index),
            task_id=seed.id,
            domain=seed.domain,
            round=number,
            mode=mode,
            index=index,
            completion=sample.text,
            passed=verdict.passed,
            reward=verdict.reward,
            status=verdict.status,
            reason=verdict.reason,
        )
        for (seed, index), sample, verdict in zip(repeated, samples, verdicts, strict=True)
    ]


def choose_problems(context: Context, seeds: Iterable[Seed], limit: int | None = None) -> list[Seed]:
    """The first `evaluation.problems` of each domain, or as many as are asked for."""
    chosen: list[Seed] = []
    for domain in context.recipe.domains:
        chosen += [seed for seed in seeds if seed.domain == domain][: limit or context.recipe.evaluation.problems]
    return chosen


Values = dict[tuple[str, str], dict[str, float | None]]
"""For each (domain, metric): a value a problem."""


def metric_values(rows: Sequence[Rollout]) -> Values:
    """avg@k and pass@k of sampled modes, and greedy accuracy, problem by problem."""
    outcomes: dict[tuple[str, str], dict[str, list[bool | None]]] = {}
    for row in rows:
        outcomes.setdefault((row.domain, row.mode), {}).setdefault(row.task_id, []).append(row.passed)
    values: Values = {}
    for (domain, mode), problems in outcomes.items():
        if mode == GREEDY:
            values[domain, GREEDY] = {task: avg_at_k(found) for task, found in problems.items()}
            continue
        k = max(len(found) for found in problems.values())
        values[domain, f"avg@{k} {mode}"] = {task: avg_at_k(found) for task, found in problems.items()}
        values[domain, f"pass@{k} {mode}"] = {task: pass_at_k(found, k) for task, found in problems.items()}
    return values


def metric_rows(rows: Sequence[Rollout], settings: Evaluation, number: int, seed: int) -> list[Row]:
    """Rows {round, domain, metric, value, low, high, n} of one round."""
    return [
        _row(number, domain, metric, estimate(list(found.values()), settings.bootstrap, derive(seed, "bootstrap")))
        for (domain, metric), found in metric_values(rows).items()
    ]


def gain_rows(
    before: Sequence[Rollout], after: Sequence[Rollout], settings: Evaluation, number: int, seed: int
) -> list[Row]:
    """Rows like `metric_rows`, of the paired difference between a round and the base."""
    first, second = metric_values(before), metric_values(after)
    rows = []
    for (domain, metric), found in second.items():
        base = first[domain, metric]
        gain = paired_gain(
            [base[task] for task in found], list(found.values()), settings.bootstrap, derive(seed, "bootstrap")
        )
        rows.append(_row(number, domain, metric, gain))
    return rows


def _row(number: int, domain: str, metric: str, found: Estimate) -> Row:
    return {"round": number, "domain": domain, "metric": metric} | asdict(found)
