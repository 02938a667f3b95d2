"""The report's charts as plain data, which `charts.js.j2` draws: traces and axes, named as Plotly names them.

The page gives them its colours, by the number in `series`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from selfplay.run.plan import PlannedStage
from selfplay.tracking.digest import MetricDigest

Chart = dict[str, Any]
Row = Mapping[str, Any]

MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_POINTS = 700
NLL_CURVES = {
    "joint_nll": "joint, greedy rationale",
    "bound": "importance-weighted bound",
    "nll_given_rationale": "problem, given its rationale",
    "nll_without_rationale": "problem, without rationale",
}
EM_CURVES = {
    "reward": ("Reward of the chosen rationales", "nats"),
    "length": ("Length of rationales", "tokens"),
    "copy_rate": ("Copy rate of rationales", "share"),
    "distinct_2": ("Distinct 2-grams of rationales", "share"),
    "parse_rate": ("Well-formed completions", "share"),
    "repetition": ("Repeated 4-grams in completions", "share"),
}
GREEN, RED, GREY = 2, 1, 5


def accuracy_charts(evaluation: Sequence[Row], what: str = "held-out accuracy") -> dict[str, Chart]:
    """One chart a domain: each metric over the rounds, with its interval."""
    charts = {}
    for number, domain in enumerate(dict.fromkeys(row["domain"] for row in evaluation)):
        ours = [row for row in evaluation if row["domain"] == domain]
        names = dict.fromkeys(row["metric"] for row in ours)
        traces = [
            _accuracy_trace(series, name, [row for row in ours if row["metric"] == name], len(names))
            for series, name in enumerate(names)
        ]
        charts[f"accuracy-{number}"] = figure(domain, traces, "round", what, percent=True, rounds=True)
    return charts


def _accuracy_trace(series: int, name: str, rows: Sequence[Row], of: int) -> Chart:
    ordered = sorted((row for row in rows if math.isfinite(row["value"])), key=lambda row: int(row["round"]))
    # Side by side, so that the intervals of one round do not hide each other.
    shift = 0.05 * (series - (of - 1) / 2)
    return _with_intervals(series, name, [row["round"] + shift for row in ordered], ordered)


def _with_intervals(series: int, name: str, x: Sequence[float], rows: Sequence[Row]) -> Chart:
    """A line through accuracies, with a bar for the interval of each."""
    trace = line(series, name, x, [row["value"] for row in rows])
    trace["error_y"] = {
        "array": [row["high"] - row["value"] for row in rows],
        "arrayminus": [row["value"] - row["low"] for row in rows],
    }
    trace["text"] = [f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]" for row in rows]
    return trace


def size_charts(rows: Sequence[Row]) -> dict[str, Chart]:
    """One chart a suite: accuracy with its interval over the number of training prompts, on a logarithmic axis, and
    that of the base, whose size is 0, as a line across."""
    charts = {}
    for number, suite in enumerate(dict.fromkeys(row["suite"] for row in rows)):
        ours = [row for row in rows if row["suite"] == suite and math.isfinite(row["value"])]
        ordered = sorted((row for row in ours if row["size"]), key=lambda row: int(row["size"]))
        sizes = [row["size"] for row in ordered]
        traces = [_with_intervals(0, "trained", sizes, ordered)]
        for base in (row for row in ours if not row["size"] and sizes):
            across = line(1, "base", [sizes[0], sizes[-1]], [base["value"]] * 2) | {"mode": "lines"}
            text = f"{base['value']:.1%} [{base['low']:.1%}, {base['high']:.1%}]"
            traces.append(across | {"text": [text, text]})
        chart = figure(suite, traces, "training prompts a round", "accuracy", percent=True)
        chart["layout"]["xaxis"] |= {"type": "log", "tickvals": sizes}
        charts[f"size-{number}"] = chart
    return charts


def reward_chart(digest: MetricDigest, stages: Sequence[PlannedStage]) -> Chart | None:
    """The mean reward of training over the steps of all rounds, raw and smoothed."""
    traces: list[Chart] = []
    start = 0
    for series, stage in enumerate(stages):
        curve = sorted(digest.rewards.get(stage.name, {}).items())
        if not curve:
            continue
        steps = [start + step for step, _ in curve]
        values = [value for _, value in curve]
        start = steps[-1] + 1
        label = f"round {stage.round}"
        traces += smoothed(series, label, steps, values)
    return figure("Reward in training", traces, "training step", "mean reward") if traces else None


def round_reward_chart(digest: MetricDigest, stages: Sequence[PlannedStage]) -> Chart | None:
    """The mean reward of a round's rollouts, for algorithms that draw them all before they train."""
    latest = digest.round_rewards
    known = [stage for stage in stages if stage.name in latest]
    if not known:
        return None
    values, rounds = [latest[stage.name] for stage in known], [stage.round for stage in known]
    trace = line(0, "reward", rounds, values)
    return figure("Reward of the rollouts that each round learns from", [trace], "round", "mean reward", rounds=True)


def em_charts(rows: Sequence[Row]) -> dict[str, Chart]:
    """The EM loop's curves over its rounds; round 0 is the cold start."""
    ordered = sorted(rows, key=lambda row: int(row["round"]))
    charts = {}
    nll = [
        line(series, label, *_curve(ordered, key))
        for series, (key, label) in enumerate(NLL_CURVES.items())
        if _curve(ordered, key)[0]
    ]
    if nll:
        charts["em-nll"] = figure("Held-out negative log-likelihood", nll, "EM round", "nats a problem", rounds=True)
    for key, (title, unit) in EM_CURVES.items():
        points = _curve(ordered, key)
        if points[0]:
            chart = figure(title, [line(0, title, *points)], "EM round", unit, rounds=True)
            if min(points[1]) >= 0:
                # Small changes of a length or a share should look small.
                chart["layout"]["yaxis"]["rangemode"] = "tozero"
            charts[f"em-{key}"] = chart
    return charts


def agreement_chart(bars: Sequence[tuple[float, int, int, int]]) -> Chart:
    """Labels by how many votes agreed on them; each bar is (agreement, right, wrong, not measurable)."""
    names = (("label right", GREEN, 1), ("label wrong", RED, 2), ("not measurable", GREY, 3))
    traces = [
        {
            "type": "bar",
            "name": name,
            "series": series,
            "x": [bar[0] for bar in bars],
            "y": [bar[at] for bar in bars],
        }
        for name, series, at in names
        if any(bar[at] for bar in bars)
    ]
    chart = figure("Agreement of the votes", traces, "share of votes for the label", "tasks")
    chart["layout"]["barmode"] = "stack"
    chart["layout"]["xaxis"] |= {
        "tickformat": ".0%",
        # Room for the bars at both ends, of which a share has none.
        "range": [-0.12, 1.12],
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
    }
    return chart


def analysis_charts(known: Mapping[str, Any]) -> dict[str, Chart]:
    """A map of the data sets where there are several, and bars of how hard problems are, the doubtful ones apart.

    Args:
        known: by kind; None where one was not made.
    """
    charts = {}
    if known["distribution"] and len(known["distribution"]["sets"]) > 1:
        traces = [_point(series, one) for series, one in enumerate(known["distribution"]["sets"])]
        title = "How far data sets lie apart: 1 - cosine of their means, in two dimensions"
        charts["analysis-map"] = figure(title, traces, "first dimension", "second dimension")
    if known["difficulty"]:
        rows = known["difficulty"]["rows"]
        counts = {
            "nothing speaks against it": (0, [row["problems"] - row["doubtful"] for row in rows]),
            "doubtful": (GREY, [row["doubtful"] for row in rows]),
        }
        bars = [
            {"type": "bar", "name": name, "series": series, "x": list(range(len(rows))), "y": heights}
            for name, (series, heights) in counts.items()
        ]
        chart = figure("Problems by how often the weak solver agrees with the reference", bars, "", "problems")
        chart["layout"] |= {"barmode": "stack"}
        chart["layout"]["xaxis"] |= {"tickvals": list(range(len(rows))), "ticktext": [row["weak"] for row in rows]}
        charts["analysis-difficulty"] = chart
    return charts


def _point(series: int, one: Mapping[str, Any]) -> Chart:
    x, y = one["place"]
    return line(series, one["name"], [round(x, 6)], [round(y, 6)]) | {"mode": "markers"}


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and those around it; near the ends the window is smaller."""
    half, sums = window // 2, list(itertools.accumulate(values, initial=0.0))
    ends = ((max(0, at - half), min(len(values), at + half + 1)) for at in range(len(values)))
    return [(sums[high] - sums[low]) / (high - low) for low, high in ends]


def _curve(rows: Sequence[Row], key: str) -> tuple[list[int], list[float]]:
    known = [(int(row["round"]), float(row[key])) for row in rows if row.get(key) is not None]
    known = [point for point in known if math.isfinite(point[1])]
    return [point[0] for point in known], [point[1] for point in known]


def smoothed(series: int, label: str, steps: Sequence[int], values: Sequence[float]) -> list[Chart]:
    """A curve as it was, thin, and its moving mean."""
    raw = line(series, label, *thinned(steps, values))
    raw |= {"mode": "lines", "opacity": 0.35, "showlegend": False, "hoverinfo": "skip"}
    mean = line(series, label, *thinned(steps, moving_mean(values, max(1, len(values) // 10))))
    mean["mode"] = "lines" if len(values) > 1 else "markers"
    return [raw, mean]


def thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points of a curve, at most `MOST_POINTS`, as they are written down."""
    step = -(-len(x) // MOST_POINTS)
    return list(x[::step]), [round(value, 6) for value in y[::step]]


def line(series: int, name: str, x: Sequence[float], y: Sequence[float]) -> Chart:
    """A trace of points that are joined by a line."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "series": series,
        "x": list(x),
        "y": list(y),
        "line": {"width": 2, "dash": DASHES[series % len(DASHES)]},
        "marker": {"size": 8, "symbol": MARKERS[series % len(MARKERS)]},
    }


def figure(title: str, traces: list[Chart], x: str, y: str, *, percent: bool = False, rounds: bool = False) -> Chart:
    """A chart of traces.

    Args:
        title: in words.
        traces: as `line` makes them, or bars.
        x: what the lower axis is.
        y: what the other is.
        percent: whether its values are shares.
        rounds: whether the lower axis counts rounds.
    """
    xaxis: Chart = {"title": {"text": x}}
    if rounds:
        xaxis |= {"tickmode": "linear", "dtick": _round_tick(traces), "tick0": 0}
    yaxis: Chart = {"title": {"text": y}} | ({"tickformat": ".0%"} if percent else {})
    layout = {"xaxis": xaxis, "yaxis": yaxis, "showlegend": len({trace["name"] for trace in traces}) > 1}
    return {"title": title, "data": traces, "layout": layout}


def _round_tick(traces: Sequence[Chart]) -> int:
    return max(1, round(max(max(trace["x"], default=0) for trace in traces) / 10))
