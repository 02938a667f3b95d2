"""A comparison of EM arms as SVG: the curves of a few arms over the updates of p, or the last round of many."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot

matplotlib.use("svg")

PANELS = {
    "joint_nll": "−log p(z, x | c) at the greedy z",
    "bound": "importance-weighted bound on −log p(x | c)",
    "nll_given_rationale": "−log p(x | z, c) at the greedy z",
    "length": "length of the greedy rationale",
}
ENDS = {
    "joint_nll": "joint NLL\nat greedy z",
    "bound": "bound on\nNLL of x",
    "nll_given_rationale": "NLL of x\ngiven z",
    "nll_without_rationale": "NLL of x\nwithout z",
    "length": "tokens of\ngreedy z",
    "solvable_share": "solvable\nshare",
    "pass_rate": "pass rate\n(difficulty)",
    "gain": "gain of\nself-play",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
"""Wong's palette, which stays apart for colour-blind eyes, and one more."""
MARKERS = "osD^vPX*"
INK, FAINT = "#333333", "#d8d8d8"


def draw_curves(figures: Mapping[str, Any], file: Path, title: str) -> None:
    """Writes the curves of all arms over the updates of p: mean over the seeds, and a band from least to most."""
    with _plain_style() as pyplot:
        canvas, axes = pyplot.subplots(2, 2, figsize=(9, 6.6), layout="constrained")
        arms = figures["arms"].values()
        by_size = any("bounds" in arm for arm in arms)
        for axis, (name, label) in zip(axes.flat, PANELS.items(), strict=True):
            for place, arm in enumerate(arms):
                if name == "bound" and by_size:
                    _bound_curve(axis, arm, place)
                else:
                    _curve(axis, arm, name, place)
            axis.set_title(label, loc="left", fontsize=9.5, fontweight="bold")
            axis.grid(axis="y", color=FAINT, linewidth=0.6)
            axis.set_ylabel("tokens" if name == "length" else "nats a problem")
        steps = sorted({row["steps"] for arm in arms for row in arm["rounds"]})
        for axis in axes.flat:
            if by_size and axis is axes[0, 1]:
                _axis_of_sizes(axis, next(list(arm["bounds"]["last"]) for arm in arms if "bounds" in arm))
                continue
            axis.set_xticks(steps)
            if axis in axes[-1]:
                axis.set_xlabel("updates of p; the first point is the cold start")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        canvas.suptitle(f"{title}: mean of {_seeds(figures)}, bands from the least to the most", fontsize=10)
        canvas.savefig(file, metadata={"Date": None})
        pyplot.close(canvas)


def draw_ends(figures: Mapping[str, Any], file: Path, title: str) -> None:
    """Writes each arm's last round: a row an arm, a column a measure, a dot a seed, a bar at the mean."""
    arms = list(figures["arms"].values())
    shown = {name: label for name, label in ENDS.items() if any(_end(arm, name) is not None for arm in arms)}
    with _plain_style() as pyplot:
        canvas, axes = pyplot.subplots(
            1, len(shown), figsize=(10, 1.3 + 0.34 * len(arms)), layout="constrained", sharey=True, squeeze=False
        )
        rows = range(len(arms))
        for axis, (name, label) in zip(axes[0], shown.items(), strict=True):
            for row, arm in zip(rows, arms, strict=True):
                _dots(axis, _end(arm, name), row)
            axis.set_title(label, fontsize=8.5, fontweight="bold")
            axis.grid(axis="y", color=FAINT, linewidth=0.6)
            axis.margins(x=0.18)
            axis.locator_params(axis="x", nbins=2)
            axis.tick_params(axis="x", labelsize=7.5)
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
        axes[0, 0].set_yticks(rows, [arm["label"] for arm in arms])
        axes[0, 0].set_ylim(len(arms) - 0.5, -0.5)
        canvas.suptitle(f"{title} after the last round: dots are the {_seeds(figures)}, bars their mean", fontsize=10)
        canvas.savefig(file, metadata={"Date": None})
        pyplot.close(canvas)


@contextlib.contextmanager
def _plain_style() -> Iterator[Any]:
    # Text stays text, and equal figures give equal files.
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "em-ablation",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#999999",
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
    }
    with matplotlib.rc_context(settings):
        yield pyplot


def _curve(axis: Any, arm: Mapping[str, Any], name: str, place: int) -> None:
    points = [(row["steps"], row[name]) for row in arm["rounds"] if row[name]["mean"] is not None]
    if not points:
        return
    steps: Sequence[float] = [step for step, _ in points]
    colour = COLOURS[place % len(COLOURS)]
    means = [value["mean"] for _, value in points]
    axis.plot(steps, means, color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4.5, label=arm["label"])
    axis.fill_between(
        steps, [v["low"] for _, v in points], [v["high"] for _, v in points], color=colour, alpha=0.18, linewidth=0
    )


def _bound_curve(axis: Any, arm: Mapping[str, Any], place: int) -> None:
    """The bound after the last round by K; the band is from least to most over the seeds."""
    if "bounds" not in arm:
        return
    colour, values = COLOURS[place % len(COLOURS)], arm["bounds"]["last"]
    known = {int(size): value for size, value in values.items() if value["mean"] is not None}
    means = [value["mean"] for value in known.values()]
    axis.plot(list(known), means, color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4.5)
    lows, highs = ([value[end] for value in known.values()] for end in ("low", "high"))
    axis.fill_between(list(known), lows, highs, color=colour, alpha=0.18, linewidth=0)


def _axis_of_sizes(axis: Any, sizes: Sequence[str]) -> None:
    axis.set_xscale("log")
    axis.set_xticks([int(size) for size in sizes], sizes)
    axis.minorticks_off()
    axis.set_xlabel("K, samples a problem, after the last round")


def _dots(axis: Any, value: Mapping[str, Any] | None, row: int) -> None:
    if value is None:
        return
    known = [each for each in value["seeds"] if each is not None and math.isfinite(each)]
    axis.plot(known, [row] * len(known), "o", color=COLOURS[0], markersize=4, alpha=0.55, markeredgewidth=0)
    axis.plot([value["mean"]], [row], "|", color=INK, markersize=11, markeredgewidth=1.6)


def _end(arm: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A measure of the last round, or of what came after it; None where no seed has one."""
    found = (arm["rounds"][-1] | arm.get("downstream", {})).get(name)
    return None if found is None or found["mean"] is None else found


def _seeds(figures: Mapping[str, Any]) -> str:
    count = len(figures["seeds"])
    return "1 seed" if count == 1 else f"{count} seeds"
