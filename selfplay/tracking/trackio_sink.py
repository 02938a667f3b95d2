"""The copy for trackio: its database lies in RUN/trackio, unless TRACKIO_DIR names another folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfplay.run.files import RunError
from selfplay.tracking.metric_log import MetricLine, values_of
from selfplay.tracking.sinks import NotingSink
from verifiers.untrusted.files import json_rows

FOLDER = "trackio"
TABLE_ROWS = 500


class TrackioSink(NotingSink):
    """A trackio run of the recipe's name, continued by later sessions; trackio has no summary.

    Args:
        recipe: the resolved recipe, which becomes the run's config.
    """

    def __init__(self, run_path: Path, recipe: Mapping[str, Any]) -> None:
        super().__init__(run_path / FOLDER)
        self._recipe = recipe
        self._name = run_path.resolve().name
        # trackio reads these when it is imported; it looks for news of itself on the network otherwise.
        os.environ.setdefault("TRACKIO_DIR", str(self._folder.resolve()))
        os.environ.setdefault("HF_HUB_OFFLINE", "1")

    def start(self) -> int:
        """Opens or resumes the run."""
        import trackio

        project = self._recipe["tracking"]["trackio"]
        trackio.init(
            project=project,
            name=self._name,
            resume="allow",
            config=dict(self._recipe),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return self._lines()

    def metrics(self, number: int, line: MetricLine, histograms: Mapping[str, Any]) -> None:
        """Logs numbers and histograms under the stage's name, and over rounds."""
        import trackio

        values = values_of(number, line)
        for name, shape in histograms.items():
            middles = [(low + high) / 2 for low, high in itertools.pairwise(shape["edges"])]
            # trackio bins for itself.
            points = [m for m, count in zip(middles, shape["counts"], strict=True) for _ in range(int(count))]
            values[f"{line.stage}/{name}"] = trackio.Histogram(points, num_bins=len(middles))
        if values:
            trackio.log(values, step=number)

    def table(self, number: int, name: str, file: Path) -> None:
        """Logs a table's first rows."""
        import pandas
        import trackio

        if not file.exists():
            return
        rows = [row for _, row in itertools.islice(json_rows(file, RunError), TABLE_ROWS)]
        trackio.log({name: trackio.Table(dataframe=pandas.DataFrame(rows))}, step=number)

    def done(self, number: int, stage: str, done: Mapping[str, Any]) -> None:
        """Logs a stage's counts."""
        import trackio

        numbers = {k: v for k, v in done["counts"].items() if isinstance(v, int | float)}
        trackio.log({f"done/{stage}/{k}": v for k, v in (numbers | {"seconds": done["seconds"]}).items()}, step=number)

    def alarm(self, number: int, name: str, text: str) -> None:
        """Sends an alert."""
        import trackio

        trackio.alert(title=name.replace("_", " "), text=text)

    def finish(self, failed: bool) -> None:
        """Ends the run, which writes out what was logged."""
        import trackio

        trackio.finish()
