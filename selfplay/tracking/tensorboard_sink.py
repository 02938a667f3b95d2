"""The copy for TensorBoard: event files below RUN/tensorboard, with tags `<stage>/<metric>`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfplay.tracking.metric_log import MetricLine, round_curves
from selfplay.tracking.sinks import NotingSink

FOLDER = "tensorboard"


class TensorboardSink(NotingSink):
    """Event files; TensorBoard has no tables and no summary."""

    def __init__(self, run_path: Path) -> None:
        super().__init__(run_path / FOLDER)
        self._writer: Any = None

    def start(self) -> int:
        """Opens one more event file."""
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(self._folder))
        return self._lines()

    def metrics(self, number: int, line: MetricLine, histograms: Mapping[str, Any]) -> None:
        """Adds numbers and histograms over the stage's steps, or over the lines of the run where it has none."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=f"{line.stage}/{n}", simple_value=value) for n, value in line.metrics.items()]
        values += [Summary.Value(tag=f"{line.stage}/{n}", histo=_histogram(shape)) for n, shape in histograms.items()]
        self._add(Summary(value=values), number if line.step is None else line.step, line.time)
        curves = round_curves(number, line)
        if curves is not None:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in curves.metrics.items()]
            self._add(Summary(value=values), curves.x, line.time)

    def done(self, number: int, stage: str, done: Mapping[str, Any]) -> None:
        """Adds the seconds that a stage took."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(Summary(value=[Summary.Value(tag=f"done/{stage}", simple_value=done["seconds"])]), number)

    def alarm(self, number: int, name: str, text: str) -> None:
        """Adds an alarm as text."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.plugins.text.metadata import create_summary_metadata

        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()])
        metadata = create_summary_metadata(display_name=name, description="alarm")
        self._add(Summary(value=[Summary.Value(tag=f"alarms/{name}", tensor=tensor, metadata=metadata)]), number)

    def flush(self, count: int) -> None:
        """Writes out what was added, then the count."""
        self._writer.flush()
        super().flush(count)

    def finish(self, failed: bool) -> None:
        """Closes the event file."""
        self._writer.close()

    def _add(self, summary: Any, step: int, time: float | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.add_event(Event(step=step, summary=summary, **({} if time is None else {"wall_time": time})))


def _histogram(shape: Mapping[str, Any]) -> Any:
    """Counts between edges as TensorBoard has them: upper limits, and sums over the middles of the bins."""
    from tensorboard.compat.proto.histogram_pb2 import HistogramProto

    edges, counts = shape["edges"], shape["counts"]
    middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
    return HistogramProto(
        min=edges[0],
        max=edges[-1],
        num=sum(counts),
        sum=sum(m * c for m, c in zip(middles, counts, strict=True)),
        sum_squares=sum(m * m * c for m, c in zip(middles, counts, strict=True)),
        bucket_limit=edges[1:],
        bucket=counts,
    )
