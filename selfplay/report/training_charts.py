"""Charts of how a training went: its losses and lengths, rewards by domain, failures by status, difficulty, time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from selfplay.report.charts import Chart, figure, line, moving_mean, smoothed, thinned
from selfplay.run.plan import Kind, PlannedStage
from selfplay.tracking.digest import RIGHT, MetricDigest

CURVES = {
    "loss": ("loss", "Loss of self-play", "loss"),
    "entropy": ("entropy", "Entropy of the next token", "nats"),
    "kl": ("kl", "Distance from the reference (KL)", "nats a token"),
    "length": ("completions/mean_length", "Length of completions", "tokens"),
    "clipped": ("completions/clipped_ratio", "Completions cut at the token limit", "share"),
    "groups": ("groups/with_variance", "Groups whose rewards differ, which alone can teach", "share"),
    "chosen": ("chosen/change_per_token", "What right completions gained (DPO)", "nats a token"),
}
"""By chart: the metric, the title, the unit."""
SHARES = ("clipped", "groups")
SUPERVISED = {"loss": "model", "prompt-model/loss": "prompt model p", "rationale-model/loss": "rationale model q"}
TIMES = {"time/generation": "generation", "time/reward": "reward", "time/update": "update"}
KEPT = {metric for metric, *_ in CURVES.values()} | SUPERVISED.keys() | TIMES.keys()
REWARD = "reward/"
OF_PASS_RATES = {
    Kind.LABELLING: "labelling",
    Kind.RELABELLING: "relabelling",
    Kind.SELFPLAY: "training",
    Kind.EVALUATION: "held-out",
}
MOST_SERIES = 6
"""Statuses, or parts, of one chart; the rest is summed, or left out."""
OTHERS = "others"


def keeps(name: str) -> bool:
    """Whether a chart shows a metric over its steps."""
    return name in KEPT or name.startswith(REWARD)


def training_charts(digest: MetricDigest, stages: Sequence[PlannedStage]) -> dict[str, Chart]:
    """Those charts that there are figures for, by name."""
    rounds = [stage for stage in stages if stage.kind is Kind.SELFPLAY]
    charts: dict[str, Chart] = {}
    for name, (metric, title, unit) in CURVES.items():
        traces = _by_round(digest, rounds, metric)
        if traces:
            charts[f"train-{name}"] = figure(title, traces, "training step", unit, percent=name in SHARES)
    charts |= _rewards(digest, rounds)
    if times := _over_rounds(digest, rounds, TIMES):
        charts["train-seconds"] = figure("Where a step's time goes", times, "training step", "seconds")
    earlier = [stage for stage in stages if stage.kind in (Kind.BASE, Kind.COLD_START, Kind.EM)]
    if supervised := _over_rounds(digest, earlier, SUPERVISED):
        title = "Loss of the base" if {stage.kind for stage in earlier} == {Kind.BASE} else "Loss before self-play"
        charts["train-supervised"] = figure(title, supervised, "training step", "nats a token")
    return charts


def failure_charts(digest: MetricDigest, stages: Sequence[PlannedStage]) -> dict[str, Chart]:
    """Shares of the rollouts that did not pass, by status, over the rounds: of training, and of held-out problems."""
    charts = {}
    for kind, what in ((Kind.SELFPLAY, "training rollouts"), (Kind.EVALUATION, "held-out rollouts")):
        ours = [stage for stage in stages if stage.kind is kind]
        known = {stage.round: digest.statuses[stage.name] for stage in ours if stage.name in digest.statuses}
        for number, domain in enumerate(sorted({domain for shares in known.values() for domain, _ in shares})):
            traces = _stacked([(at, _failed(shares, domain)) for at, shares in known.items()])
            if traces:
                title = f"{domain}: {what} that did not pass"
                chart = figure(title, traces, "round", "share", percent=True, rounds=True)
                chart["layout"] |= {"barmode": "stack", "showlegend": True}
                charts[f"failures-{kind}-{number}"] = chart
    return charts


def _failed(shares: Mapping[tuple[str, str], float], domain: str) -> dict[str, float]:
    return {status: share for (of, status), share in shares.items() if of == domain and status not in RIGHT}


def difficulty_chart(digest: MetricDigest, stages: Sequence[PlannedStage]) -> Chart | None:
    """How many tasks of a stage have which pass rate: what is hard for the policy, and what it has learned."""
    traces = []
    known = [stage for stage in stages if stage.kind in OF_PASS_RATES and stage.name in digest.pass_rates]
    for series, stage in enumerate(_ends(known)):
        shape = digest.pass_rates[stage.name]
        total = sum(shape["counts"])
        if total > 0:
            middles = [(low + high) / 2 for low, high in itertools.pairwise(shape["edges"])]
            shares = [count / total for count in shape["counts"]]
            traces.append(line(series, f"{OF_PASS_RATES[stage.kind]}, round {stage.round}", middles, shares))
    if not traces:
        return None
    title = "Difficulty: tasks by the share of their completions that passed"
    chart = figure(title, traces, "pass rate", "share of tasks", percent=True)
    chart["layout"]["xaxis"]["tickformat"] = ".0%"
    return chart


def _ends(stages: Sequence[PlannedStage]) -> list[PlannedStage]:
    """The first and the last stage of each kind, in the order of the run."""
    kinds: dict[Kind, list[PlannedStage]] = {}
    for stage in stages:
        kinds.setdefault(stage.kind, []).append(stage)
    chosen = {stage.name for found in kinds.values() for stage in (found[0], found[-1])}
    return [stage for stage in stages if stage.name in chosen]


def _by_round(digest: MetricDigest, rounds: Sequence[PlannedStage], metric: str) -> list[Chart]:
    """A curve a round, one after the other: thin as it was, thick as its moving mean."""
    traces: list[Chart] = []
    start = 0
    for series, stage in enumerate(rounds):
        curve = sorted(digest.curves.get(stage.name, {}).get(metric, {}).items())
        if curve:
            steps, values = [start + step for step, _ in curve], [value for _, value in curve]
            traces += smoothed(series, f"round {stage.round}", steps, values)
            start += curve[-1][0] + 1
    return traces


def _rewards(digest: MetricDigest, rounds: Sequence[PlannedStage]) -> dict[str, Chart]:
    """The reward of each domain, and of the parts of its verifier where it has any."""
    names = {name for stage in rounds for name in digest.curves.get(stage.name, {}) if name.startswith(REWARD)}
    domains = sorted(name for name in names if name.count("/") == 1)
    charts = {}
    traces = _over_rounds(digest, rounds, {name: name.removeprefix(REWARD) for name in domains})
    if traces:
        charts["train-domains"] = figure("Reward by domain", traces, "training step", "mean reward")
    for number, domain in enumerate(domains):
        parts = {name: name.removeprefix(f"{domain}/") for name in sorted(names) if name.startswith(f"{domain}/")}
        if traces := _over_rounds(digest, rounds, parts):
            title = f"{domain.removeprefix(REWARD)}: reward by part of its verifier"
            charts[f"train-parts-{number}"] = figure(title, traces, "training step", "mean reward")
    return charts


def _over_rounds(digest: MetricDigest, stages: Sequence[PlannedStage], metrics: Mapping[str, str]) -> list[Chart]:
    """A curve a metric through all stages, smoothed within each; it is broken where the next stage begins."""
    traces = []
    starts, start = {}, 0
    for stage in stages:
        curves = digest.curves.get(stage.name, {})
        known = [step for metric in metrics for step in curves.get(metric, {})]
        starts[stage.name] = start
        start += max(known, default=-1) + 1
    for series, (metric, label) in enumerate(list(metrics.items())[:MOST_SERIES]):
        xs: list[float] = []
        ys: list[float] = []
        breaks = []
        for stage in stages:
            curve = sorted(digest.curves.get(stage.name, {}).get(metric, {}).items())
            if curve:
                values = moving_mean([value for _, value in curve], max(1, len(curve) // 10))
                x, y = thinned([starts[stage.name] + step for step, _ in curve], values)
                breaks.append(len(xs))
                xs, ys = [*xs, *x], [*ys, *y]
        if xs:
            trace = line(series, label, xs, ys)
            traces.append(trace | {"mode": "lines" if len(xs) > 1 else "markers", "breaks": breaks})
    return traces


def _stacked(table: Sequence[tuple[int, Mapping[str, float]]]) -> list[Chart]:
    """Bars over rounds, a series a status, the most frequent at the bottom; rare ones are summed."""
    totals: dict[str, float] = {}
    for _, shares in table:
        for status, share in shares.items():
            totals[status] = totals.get(status, 0.0) + share
    ranked = sorted((status for status, total in totals.items() if total), key=lambda status: (-totals[status], status))
    rare = ranked[MOST_SERIES - 1 :] if len(ranked) > MOST_SERIES else []
    names = [*(status for status in ranked if status not in rare), *([OTHERS] if rare else [])]
    return [
        {
            "type": "bar",
            "name": name.replace("_", " "),
            "series": series,
            "x": [at for at, _ in table],
            "y": [_sum(shares, rare if name == OTHERS and rare else [name]) for _, shares in table],
        }
        for series, name in enumerate(names)
    ]


def _sum(shares: Mapping[str, float], statuses: Iterable[str]) -> float:
    return round(sum(shares.get(status, 0.0) for status in statuses), 6)
