"""The curves of a comparison of EM arms, as one SVG: mean over the seeds, and a band from the least to the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PANELS = {
    "joint_nll": "-log p(z, x | c), greedy z",
    "bound": "importance-weighted bound on -log p(x|c)",
    "nll_given_rationale": "-log p(x | z, c), greedy z",
    "length": "tokens of the greedy rationale",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
"""Wong's palette, which stays apart for colour-blind eyes, and one more."""
MARKERS = "osD^vPX*"


class PlotsMissing(RuntimeError):
    """The library that draws is not installed; the message says how to get it."""


def demand_plots() -> None:
    """Looks for the library before anything is run.

    Raises:
        PlotsMissing: it is not there.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise PlotsMissing("plots need matplotlib: pip install 'promptcot[plots]'") from error


def draw(figures: Mapping[str, Any], file: Path, title: str) -> None:
    """Writes the curves of all arms over the updates of p."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and equal figures give equal files.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "em-ablation", "font.size": 9, "axes.spines.top": False}
    with matplotlib.rc_context(settings | {"axes.spines.right": False}):
        from matplotlib import pyplot

        canvas, axes = pyplot.subplots(2, 2, figsize=(9, 6.5), layout="constrained", sharex=True)
        for axis, (name, label) in zip(axes.flat, PANELS.items(), strict=True):
            for place, arm in enumerate(figures["arms"].values()):
                _curve(axis, arm, name, place)
            axis.set_title(label, fontsize=9)
            axis.grid(alpha=0.25, linewidth=0.5)
            axis.set_ylabel("tokens" if name == "length" else "nats a problem")
        for axis in axes[-1]:
            axis.set_xlabel("updates of p, cold start included")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        canvas.suptitle(f"{title}; bands: least and most of {len(figures['seeds'])} seeds", fontsize=10)
        canvas.savefig(file, metadata={"Date": None})
        pyplot.close(canvas)


def _curve(axis: Any, arm: Mapping[str, Any], name: str, place: int) -> None:
    points = [(row["steps"], row[name]) for row in arm["rounds"] if row[name]["mean"] is not None]
    if not points:
        return
    steps: Sequence[float] = [step for step, _ in points]
    colour = COLOURS[place % len(COLOURS)]
    means = [value["mean"] for _, value in points]
    axis.plot(steps, means, color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4, label=arm["label"])
    axis.fill_between(
        steps, [v["low"] for _, v in points], [v["high"] for _, v in points], color=colour, alpha=0.18, linewidth=0
    )
