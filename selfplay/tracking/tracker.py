"""Writes what a run says of itself, first to its own directory."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from selfplay.config.recipe import Recipe
from selfplay.config.values.secrets import struck
from selfplay.run.files import repair_lines, write_text
from selfplay.run.place import inside
from selfplay.run.plan import Plan
from selfplay.tracking.metric_log import METRICS_FILE, TABLES_FOLDER, Follower
from selfplay.tracking.mirror_process import MirrorProcess
from selfplay.tracking.sinks import wanted_sinks

logger = logging.getLogger(__name__)

Histogram = Mapping[str, Sequence[float]]
"""`edges`, one more than `counts`."""


class Tracker:
    """Writes the metrics of one run, and has copies made. Use it as a context manager, or call `close`.

    Args:
        run_path: the run directory; its `recipe.json` tells the copies where to go.
        recipe: what is tracked where.
        say: hears one sentence when a copy cannot be made.
        plan: tells the kind and the round of each stage.
    """

    def __init__(
        self,
        run_path: Path,
        recipe: Recipe,
        say: Callable[[str], None] = logger.warning,
        plan: Plan | None = None,
    ) -> None:
        self._run_path = run_path
        self._plan = plan or Plan()
        run_path.mkdir(parents=True, exist_ok=True)
        file = run_path / METRICS_FILE
        repair_lines(file)
        before, self._is_closed = _lines_before(file)
        self._wrote = False
        # Line buffering hands each line to the kernel at once, so that a killed process loses none.
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._mirrors = [MirrorProcess(run_path, name, before, say) for name in wanted_sinks(recipe.tracking)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(failed=kind is not None)

    def log(
        self,
        stage: str,
        metrics: Mapping[str, float],
        step: int | None = None,
        histograms: Mapping[str, Histogram] | None = None,
    ) -> None:
        """Records numbers of a stage; one that is not finite is null in the file and kept from the copies."""
        numbers = {name: float(value) for name, value in metrics.items()}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        shapes = {"histograms": {name: dict(value) for name, value in histograms.items()}} if histograms else {}
        self._write(stage, {"step": step, "metrics": finite, **shapes})

    def table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        stage: str = "",
        step: int | None = None,
    ) -> None:
        """Keeps a table as `tables/<name>.jsonl`, one object a row.

        Args:
            step: of a training, where the table is one of a series: its file then bears the step, and the copies
                have all of them under one name.
        """
        objects = (dict(zip(columns, row, strict=True)) for row in rows)
        text = "".join(json.dumps(item, ensure_ascii=False, default=str) + "\n" for item in objects)
        kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "table"
        series = {} if step is None else {"series": kept, "step": step}
        kept = kept if step is None else f"{kept}-step-{step}"
        write_text(inside(self._run_path, TABLES_FOLDER, f"{kept}.jsonl"), text)
        self._write(stage, {"table": kept} | series)

    def done(self, stage: str, seconds: float, counts: Mapping[str, Any]) -> None:
        """Says that a stage ended; the copies then take its tables and models as artifacts."""
        self._write(stage, {"done": {"seconds": seconds, "counts": dict(counts)}})

    def alarm(self, stage: str, name: str, text: str) -> None:
        """Keeps an alarm."""
        self._write(stage, {"alarm": name, "text": text})

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Hands the closing figures on; the run itself keeps them in `summary.json`.

        A session that did nothing, since the run was finished, has no new ones.
        """
        if self._wrote or not self._is_closed:
            self._write("", {"summary": dict(summary)})

    def close(self, failed: bool = False) -> None:
        """Ends the tracking, after a bounded wait for the copies; may be called twice."""
        try:
            self._file.close()
        finally:
            for mirror in self._mirrors:
                mirror.close(failed)

    def _write(self, stage: str, content: Mapping[str, Any]) -> None:
        planned = self._plan.get(stage)
        place = {"kind": str(planned.kind), "round": planned.round} if planned is not None else {}
        line = {"time": round(time.time(), 3), "stage": stage} | place | dict(content)
        self._wrote = True
        self._file.write(struck(json.dumps(_plain(line), allow_nan=False)) + "\n")


def _lines_before(file: Path) -> tuple[int, bool]:
    """How many lines there are, and whether the last has the closing figures, so that the run was finished."""
    is_summary = False
    lines = Follower(file)
    for _, row in lines.new():
        is_summary = isinstance(row, dict) and "summary" in row
    return lines.count, is_summary


def _plain(value: Any) -> Any:
    """The value as JSON has it: null for numbers that it lacks, text for what it does not know."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
