"""The evaluation stage: held-out problems, the same for every round, sampled and greedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from selfplay.config.errors import RunStopped
from selfplay.config.evaluation import Evaluation
from selfplay.config.section import SamplingSettings
from selfplay.engines.base import ModelRef
from selfplay.evaluation.metrics import Estimate, avg_at_k, estimate, paired_gain, pass_at_k
from selfplay.rollouts.completions import Completion, Origin, complete
from selfplay.rollouts.judge import CUT
from selfplay.rollouts.rollout import judged
from selfplay.run.directory import Stage
from selfplay.run.records import Rollout, Seed
from selfplay.run.results import EvaluationResult
from selfplay.run.seeding import derive
from selfplay.stage.context import Context


class NothingJudged(RunStopped):
    """A verifier reached no verdict on any completion."""


Row = dict[str, Any]
GREEDY = "greedy"
HEADLINE, VOTED = "avg@", "maj@"
"""Beginnings of the names of metrics."""


def evaluation_stage(
    stage: Stage, context: Context, number: int, policy: ModelRef, problems: Sequence[Seed], suites: Values
) -> EvaluationResult:
    """Writes `rollouts`: every completion of the held-out problems with its verdict.

    Args:
        stage: where to write.
        context: the run.
        number: the round, 0 for the base.
        policy: that of the round.
        problems: the held-out ones.
        suites: what it did on suites, to be logged with the rest.

    Raises:
        NothingJudged: a domain has not one verdict.
    """
    settings = context.recipe.evaluation
    # The modes are one stream, so that the end of one is judged while the next is sampled.
    completions = _completions(context, number, policy, problems)
    count = stage.write("rollouts", Rollout, chain.from_iterable(judged(context.judge, completions)))
    _demand_verdicts(stage)
    table = metric_rows(metric_values(outcomes_of(stage)) | suites, settings, number, context.recipe.seed)
    context.listener.log(stage.name, {f"{row['domain']}/{row['metric']}": row["value"] for row in table}, number)
    not_checked = sum(passed is None for *_, passed in outcomes_of(stage))
    return EvaluationResult(rollouts=count, not_checked=not_checked)


def _demand_verdicts(stage: Stage) -> None:
    """Without a verdict on the base a run would train on no rewards; that of a cut completion is no verifier's."""
    reasons: dict[str, str] = {}
    judged_domains: set[str] = set()
    for domain, passed, status, reason in stage.columns("rollouts", Rollout, ("domain", "passed", "status", "reason")):
        if passed is None:
            reasons.setdefault(domain, reason)
        elif status != CUT.status:
            judged_domains.add(domain)
    for domain, reason in reasons.items():
        if domain not in judged_domains:
            raise NothingJudged(
                f"domains.{domain}.verifier: could judge no completion of {stage.name} ({reason}); mend it, and give "
                "the same command again"
            )


def modes(settings: Evaluation) -> list[tuple[str, SamplingSettings, int]]:
    """How the problems are sampled: a name, the settings, and the completions a problem."""
    ways = [(f"T={temperature}", temperature, settings.samples) for temperature in settings.temperatures]
    if settings.greedy:
        ways.append((GREEDY, 0.0, 1))
    return [(name, settings.sampling_at(temperature), k) for name, temperature, k in ways]


def _completions(
    context: Context, number: int, policy: ModelRef, problems: Sequence[Seed]
) -> Iterator[list[Completion]]:
    for mode, sampling, k in modes(context.recipe.evaluation):
        context.listener.begin(f"evaluation {number}: {mode}", len(problems) * k)
        yield from complete(
            context.engine(policy),
            problems,
            sampling,
            k,
            context.seed("evaluation", mode),
            domains=context.recipe.domains,
            origin=Origin(("evaluation", number, mode), number, mode),
            on_progress=context.listener.advance,
        )


def choose_problems(context: Context, seeds: Iterable[Seed], limit: int | None = None) -> list[Seed]:
    """The first `evaluation.problems` of each domain, or as many as are asked for."""
    chosen: list[Seed] = []
    for domain in context.recipe.domains:
        chosen += [seed for seed in seeds if seed.domain == domain][: limit or context.recipe.evaluation.problems]
    return chosen


Values = dict[tuple[str, str], dict[str, float | None]]
"""For each (domain, metric): a value a problem."""


Judged = tuple[str, str, str, bool | None]
"""Of a rollout: domain, mode, task, and whether it passed."""
OUTCOMES = ("domain", "mode", "task_id", "passed")
"""The fields that hold these."""


def outcomes_of(stage: Stage) -> Iterator[Judged]:
    """The outcomes of a stage's rollouts, of which metrics are made; their texts are not read."""
    return stage.columns("rollouts", Rollout, OUTCOMES)


def metric_values(outcomes: Iterable[Judged]) -> Values:
    """avg@k and pass@k of sampled modes, and greedy accuracy, problem by problem."""
    found: dict[tuple[str, str], dict[str, list[bool | None]]] = {}
    for domain, mode, task, passed in outcomes:
        found.setdefault((domain, mode), {}).setdefault(task, []).append(passed)
    values: Values = {}
    for (domain, mode), problems in found.items():
        if mode == GREEDY:
            values[domain, GREEDY] = {task: avg_at_k(of) for task, of in problems.items()}
            continue
        k = max(len(of) for of in problems.values())
        values[domain, f"avg@{k} {mode}"] = {task: avg_at_k(of) for task, of in problems.items()}
        values[domain, f"pass@{k} {mode}"] = {task: pass_at_k(of, k) for task, of in problems.items()}
    return values


def metric_rows(values: Values, settings: Evaluation, number: int, seed: int) -> list[Row]:
    """Rows {round, domain, metric, value, low, high, n} of one round."""
    return [
        _row(number, domain, metric, estimate(list(found.values()), settings.bootstrap, derive(seed, "bootstrap")))
        for (domain, metric), found in values.items()
    ]


def comparable(evaluations: Sequence[Values]) -> list[Values]:
    """Evaluations of one run that have the same metrics: a policy that gives no answer at all has no vote on a suite,
    where others have one, and its votes are then never right."""
    voted = {key for values in evaluations for key in values if key[1].startswith(VOTED)}
    return [
        values | {key: found for key in sorted(voted - values.keys()) if (found := _no_votes(values, *key))}
        for values in evaluations
    ]


def _no_votes(values: Values, domain: str, metric: str) -> dict[str, float | None]:
    """0 for each problem with a checked completion; none where the round did not measure that suite."""
    shares = values.get((domain, HEADLINE + metric.removeprefix(VOTED)), {})
    return {task: None if share is None else 0.0 for task, share in shares.items()}


def gain_rows(before: Values, after: Values, settings: Evaluation, number: int, seed: int) -> list[Row]:
    """Rows like `metric_rows`, of the paired difference between a round and the base."""
    rows = []
    for (domain, metric), found in after.items():
        base = before[domain, metric]
        gain = paired_gain(
            [base[task] for task in found], list(found.values()), settings.bootstrap, derive(seed, "bootstrap")
        )
        rows.append(_row(number, domain, metric, gain))
    return rows


def _row(number: int, domain: str, metric: str, found: Estimate) -> Row:
    return {"round": number, "domain": domain, "metric": metric} | asdict(found)
