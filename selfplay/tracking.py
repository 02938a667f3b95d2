"""Metrics and tables of a run: always to local JSON lines, and to Weights & Biases as the recipe asks.

The local files are the truth. W&B is a copy that may fail at any time, and the run
notices no more of it than one warning.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selfplay.config import Recipe
from selfplay.run import repair_lines, write_text

METRICS_FILE = "metrics.jsonl"
TABLES_FOLDER = "tables"
INIT_TIMEOUT_SECONDS = 8.0
FINISH_TIMEOUT_SECONDS = 30.0
WANDB_TABLE_ROWS = 2000
"""Most rows of a table that go to W&B; the local copy has them all."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One line of `metrics.jsonl`."""

    time: float
    """Unix seconds."""
    stage: str
    step: int | None
    metrics: dict[str, float]


class Tracker:
    """Writes the metrics of one run. Use it as a context manager, or call `close`."""

    def __init__(self, run_path: Path, recipe: Recipe) -> None:
        self._run_path = run_path
        run_path.mkdir(parents=True, exist_ok=True)
        file = run_path / METRICS_FILE
        repair_lines(file)
        # Line buffering hands each line to the kernel at once, so that a killed process loses none.
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._mirror = _WandbMirror(run_path, recipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def log(self, stage: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records numbers of a stage; one that is not finite is null in the file and kept from W&B."""
        numbers = {name: float(value) for name, value in metrics.items()}
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        line = {
            "time": round(time.time(), 3),
            "stage": stage,
            "step": step,
            "metrics": {name: finite.get(name) for name in numbers},
        }
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._mirror.log(stage, finite, step)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Keeps a table as `tables/<name>.jsonl`, one object a row, and as a W&B table."""
        kept = [list(row) for row in rows]
        objects = (dict(zip(columns, row, strict=True)) for row in kept)
        text = "".join(json.dumps(item, ensure_ascii=False, default=str) + "\n" for item in objects)
        write_text(self._run_path / TABLES_FOLDER / f"{_file_name(name)}.jsonl", text)
        self._mirror.table(name, columns, kept[:WANDB_TABLE_ROWS])

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Hands the closing figures to W&B; the run itself keeps them in `summary.json`."""
        self._mirror.summary(summary)

    def close(self, failed: bool = False) -> None:
        """Ends the tracking; may be called twice."""
        self._file.close()
        self._mirror.close(failed)


def read_metrics(run_path: Path) -> list[MetricLine]:
    """The metrics of a run, also of one still going on; lines that are no whole record are passed over."""
    file = run_path / METRICS_FILE
    if not file.exists():
        return []
    with file.open(encoding="utf-8", errors="replace") as lines:
        parsed = [_parse(line) for line in lines]
    return [line for line in parsed if line is not None]


def latest_by_step(lines: Iterable[MetricLine], stage: str, metric: str) -> list[tuple[int, float]]:
    """A metric's curve over the steps of a stage; of a stage begun twice, the last attempt counts."""
    curve = {
        line.step: line.metrics[metric]
        for line in lines
        if line.stage == stage and line.step is not None and metric in line.metrics
    }
    return sorted(curve.items())


def _parse(line: str) -> MetricLine | None:
    try:
        row = json.loads(line)
        metrics = {name: float(value) for name, value in row["metrics"].items() if value is not None}
        step = row["step"]
        return MetricLine(float(row["time"]), str(row["stage"]), None if step is None else int(step), metrics)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "table"


class _WandbMirror:
    """A W&B run that gives up for good, with one warning, on the first failure of any kind."""

    def __init__(self, run_path: Path, recipe: Recipe) -> None:
        self._run: Any = None
        self._staged: set[str] = set()
        if recipe.tracking.wandb.mode != "disabled":
            self._attempt("start", lambda: self._start(run_path, recipe))

    def log(self, stage: str, metrics: Mapping[str, float], step: int | None) -> None:
        if self._run is None or not metrics:
            return
        values = {f"{stage}/{name}": value for name, value in metrics.items()}
        if step is not None:
            values[f"{stage}/step"] = step
        self._attempt("log", lambda: self._log(stage, values, step is not None))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if self._run is not None:
            self._attempt("log a table", lambda: self._table(name, columns, rows))

    def summary(self, summary: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._attempt("write the summary", lambda: self._run.summary.update(_flat(summary)))

    def close(self, failed: bool) -> None:
        if self._run is not None:
            self._attempt("finish", lambda: self._run.finish(exit_code=1 if failed else 0))
            self._run = None

    def _attempt(self, what: str, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever W&B raises, the run must go on
            self._run = None
            logger.warning(
                "W&B could not %s (%s); metrics are kept in the run directory only", what, _first_line(error)
            )

    def _start(self, run_path: Path, recipe: Recipe) -> None:
        _set_environment(run_path.resolve() / "wandb")
        import wandb

        wanted = recipe.tracking.wandb
        # Without this, wandb.init asks for a key on the terminal and waits.
        if wanted.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise RuntimeError("no API key: run `wandb login`, or set tracking.wandb.mode=offline")
        self._run = wandb.init(
            id=_run_id(run_path),
            name=recipe.name,
            dir=str(run_path),
            mode=wanted.mode,
            project=wanted.project,
            entity=wanted.entity,
            # Offline runs have nothing to resume from; runs of one id are joined when they are synced.
            resume="allow" if wanted.mode == "online" else None,
            config=recipe.model_dump(mode="json"),
            allow_val_change=True,
            settings=_settings(wandb),
        )

    def _log(self, stage: str, values: Mapping[str, float], stepped: bool) -> None:
        if stepped and stage not in self._staged:
            self._staged.add(stage)
            self._run.define_metric(f"{stage}/step", hidden=True)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        self._run.log(dict(values))

    def _table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        # Mixed columns are common (an answer may be absent), and wandb refuses them unless told so.
        self._run.log({name: wandb.Table(columns=list(columns), data=list(rows), allow_mixed_types=True)})


def _set_environment(folder: Path) -> None:
    """What wandb reads from the environment only, before it is imported."""
    # No crash reports about the user's run to W&B's own Sentry.
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["WANDB_SILENT"] = "true"
    # Tables are staged in the user's home unless told otherwise, and a run writes to its own directory only.
    os.environ["WANDB_DATA_DIR"] = str(folder / "data")
    os.environ["WANDB_CACHE_DIR"] = str(folder / "cache")


def _settings(wandb: Any) -> Any:
    return wandb.Settings(
        init_timeout=INIT_TIMEOUT_SECONDS,
        finish_timeout=FINISH_TIMEOUT_SECONDS,
        silent=True,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        host="",
        program="selfplay",
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _run_id(run_path: Path) -> str:
    """The run's W&B id. Its random part keeps two directories of one name apart in a shared project."""
    file = run_path / "wandb" / "run_id"
    if not file.exists():
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", run_path.resolve().name)[:64]
        write_text(file, f"{name}-{uuid.uuid4().hex[:8]}\n")
    return file.read_text(encoding="utf-8").strip()


def _flat(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Rows as scalars, which W&B's summary shows best: `evaluation/<round>/<domain>/<metric>/value`."""
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        if isinstance(value, list):
            flat.update(_flat_rows(name, value))
        else:
            flat[name] = value
    return flat


def _flat_rows(name: str, rows: Sequence[Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        labels = [str(row[key]) for key in ("round", "domain", "metric", "name") if key in row]
        numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and k not in ("round", "n")}
        flat.update({"/".join((name, *labels, k)): v for k, v in numbers.items()})
    return flat


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
