"""The gains of several arms as one SVG: a row an arm, a column a measure, a dot a seed, and their mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

POINT, MEAN, FAINT = "#0072b2", "#d55e00", "#d8d8d8"


def draw_arms(arms: Mapping[str, Mapping[str, Mapping[str, Any]]], file: Path, title: str) -> None:
    """Writes the plot.

    Args:
        arms: for each arm and measure `mean`, `low`, `high` (None of one seed) and `seeds`, as shares of 1.
        file: the SVG.
        title: stands above it.
    """
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and equal figures give equal files.
    style = {"svg.fonttype": "none", "svg.hashsalt": "arms", "font.size": 9, "axes.axisbelow": True}
    with matplotlib.rc_context(style):
        from matplotlib import pyplot

        measures = [name for name in next(iter(arms.values())) if "avg@" in name or "greedy" in name]
        size = (2.2 + 1.75 * len(measures), 1.2 + 0.3 * len(arms))
        canvas, axes = pyplot.subplots(1, len(measures), figsize=size, layout="constrained", sharey=True, squeeze=False)
        for axis, measure in zip(axes[0], measures, strict=True):
            for row, arm in enumerate(arms.values()):
                _row(axis, arm[measure], row)
            axis.axvline(0, color="#999999", linewidth=0.8)
            axis.grid(axis="y", color=FAINT, linewidth=0.6)
            axis.set_title(measure.replace(" ", "\n", 1), fontsize=8.5, fontweight="bold")
            axis.locator_params(axis="x", nbins=4)
            axis.tick_params(axis="y", length=0)
            for side in ("top", "right", "left"):
                axis.spines[side].set_visible(False)
        axes[0, 0].set_yticks(range(len(arms)), [name.replace("_", ", ") for name in arms])
        axes[0, 0].set_ylim(len(arms) - 0.5, -0.5)
        canvas.supxlabel("points; dots are seeds, bars their mean with its 95% interval over seeds", fontsize=8.5)
        canvas.suptitle(title, fontsize=10)
        canvas.savefig(file, metadata={"Date": None})
        pyplot.close(canvas)


def _row(axis: Any, value: Mapping[str, Any], row: int) -> None:
    seeds = [100 * each for each in value["seeds"]]
    axis.plot(seeds, [row] * len(seeds), "o", color=POINT, markersize=3.5, alpha=0.5, markeredgewidth=0)
    if value["low"] is not None:
        axis.plot([100 * value["low"], 100 * value["high"]], [row, row], color=MEAN, linewidth=1.6)
    axis.plot([100 * value["mean"]], [row], "|", color=MEAN, markersize=10, markeredgewidth=1.8)
