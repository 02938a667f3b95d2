"""Analyses that `selfplay analyse` and `selfplay difficulty` left beside a run, for its page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfplay.report.charts import GREY, Chart, figure, line
from selfplay.run.analysis import read_analysis

SOLID, DOUBTFUL = 0, GREY


def analyses_of(run_path: Path) -> dict[str, Any]:
    """The analyses that there are, and None for each that there is not. Raises RunError where the file is damaged."""
    known = read_analysis(run_path)
    return {"distribution": known.get("distribution"), "difficulty": known.get("difficulty")}


def analysis_charts(known: Mapping[str, Any]) -> dict[str, Chart]:
    """A map of the data sets where there are several, and bars of how hard problems are, the doubtful ones apart.

    Args:
        known: as `analyses_of` gives it.
    """
    charts = {}
    if known["distribution"] and len(known["distribution"]["sets"]) > 1:
        traces = [_point(series, one) for series, one in enumerate(known["distribution"]["sets"])]
        title = "How far data sets lie apart: 1 - cosine of their means, in two dimensions"
        charts["analysis-map"] = figure(title, traces, "first dimension", "second dimension")
    if known["difficulty"]:
        rows = known["difficulty"]["rows"]
        counts = {
            "nothing speaks against it": (SOLID, [row["problems"] - row["doubtful"] for row in rows]),
            "doubtful": (DOUBTFUL, [row["doubtful"] for row in rows]),
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
