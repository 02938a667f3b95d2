"""Hears what the pipeline tells, and passes it on: to the terminal, to the trackers, to those who watch elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from selfplay.config.errors import RunStopped
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind, Plan
from selfplay.run.progress import ProgressFile
from selfplay.tracking.alarms import Curves, raised
from selfplay.tracking.metric_log import METRICS_FILE, Follower, metric_line
from selfplay.tracking.tracker import Tracker
from selfplay.watching.rollout_tables import draws_rollouts, newest_rollouts
from selfplay.watching.stage_figures import stage_figures
from selfplay.watching.terminal import Progress


class AlarmStop(RunStopped):
    """An alarm was raised that the recipe wants to stop the run; the message is its sentence and the remedy."""

    of_run = "{error} Finished work is kept in {folder}."


class RunListener:
    """The listener of a run. As a context manager, it tells of the last stage when the run ends."""

    def __init__(self, run: RunDirectory, plan: Plan, progress: Progress, tracker: Tracker) -> None:
        self._run = run
        self._plan = plan
        self._progress = progress
        self._tracker = tracker
        self._file = ProgressFile(run.path)
        self._settings = run.recipe.tracking.alarms
        self._curves = Curves()
        self._told: set[str] = set()
        self._raised: set[tuple[str, str]] = set()
        self._shown: dict[str, int] = {}
        """By stage, the step of the last table of rollouts."""
        self._stage = ""
        for _, row in Follower(run.path / METRICS_FILE).new():
            self._remember(row)

    def _remember(self, row: object) -> None:
        """Takes in what an earlier session logged, so that nothing is told twice."""
        line = metric_line(row)
        if line is not None:
            self._curves.add(line)
        elif isinstance(row, dict) and "done" in row:
            self._told.add(str(row.get("stage")))
        elif isinstance(row, dict) and "alarm" in row:
            self._raised.add((str(row.get("stage")), str(row["alarm"])))
        elif isinstance(row, dict) and "series" in row and isinstance(row.get("step"), int):
            self._shown[str(row.get("stage"))] = row["step"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, AlarmStop):
            self._end_stage()

    def stage(self, name: str, index: int, total: int, done: bool) -> None:
        """A stage begins, or is done already; so the one before it has ended.

        Raises:
            AlarmStop: an alarm of before is to stop the run.
        """
        self._end_stage()
        self._stage = name
        self._progress.stage(name, index, total, done)
        if not done:
            self._file.stage(name, index, total)
            # What stopped a session stops the next one too, unless the recipe was changed.
            self._warn()

    def begin(self, description: str, total: int) -> None:
        """A piece of work begins."""
        self._progress.begin(description, total)
        self._file.begin(description, total)

    def advance(self, count: int) -> None:
        """Some of it is done."""
        self._progress.advance(count)
        self._file.advance(count)

    def note(self, text: str) -> None:
        """Something that a person should know at once."""
        self._progress.note(text)

    def log(self, stage: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Metrics of a stage.

        Raises:
            AlarmStop: they raise an alarm that is to stop the run.
        """
        self._tracker.log(stage, metrics, step)
        self._show_rollouts(stage, step)
        self._progress.hear(metrics, step)
        self._take(stage, metrics, step)

    def table(self, stage: str, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows of a stage, for the copies and `tables/`."""
        self._tracker.table(name, columns, rows, stage)

    def _show_rollouts(self, stage: str, step: int | None) -> None:
        """Logs a table of the newest rollouts of a training that draws them as it goes on, every some steps."""
        every, planned = self._run.recipe.tracking.rollouts_every, self._plan.get(stage)
        if not every or step is None or planned is None or planned.kind is not Kind.SELFPLAY:
            return
        if step // every <= self._shown.get(stage, 0) // every or not draws_rollouts(self._run.path, stage):
            return
        self._shown[stage] = step
        columns, rows = newest_rollouts(self._run.path, stage)
        self._tracker.table(f"rollouts_{stage}", columns, rows, stage, step)

    def _take(self, stage: str, metrics: Mapping[str, float], step: int | None) -> None:
        planned = self._plan.get(stage)
        place = {"kind": planned.kind, "round": planned.round} if planned is not None else {}
        line = metric_line({"time": 0.0, "stage": stage, "step": step, "metrics": metrics} | place)
        if line is None:
            return
        self._curves.add(line)
        self._warn()

    def _warn(self) -> None:
        """Raises what alarms there are, each once for a stage."""
        for name, alarm in raised(self._curves, self._settings).items():
            if (alarm.stage, name) not in self._raised:
                self._raised.add((alarm.stage, name))
                self._tracker.alarm(alarm.stage, name, alarm.text)
                self._progress.note(f"Alarm: {alarm.text}")
            if name in self._settings.stop:
                raise AlarmStop(
                    f"Stopped by an alarm. {alarm.text} The recipe's tracking.alarms.stop names {name}: "
                    "take it out to go on."
                )

    def _end_stage(self) -> None:
        """Logs what the tables of the stage say that was told of last, if it is done and that is not logged yet."""
        name, planned = self._stage, self._plan.get(self._stage)
        if planned is None or name in self._told:
            return
        stage = self._run.stage(name)
        if not stage.done:
            return
        self._told.add(name)
        manifest = stage.manifest
        found = stage_figures(stage.folder, planned.kind)
        if found.metrics or found.histograms:
            self._tracker.log(name, found.metrics, None, found.histograms)
        for title, (columns, rows) in found.tables.items():
            self._tracker.table(title, columns, rows, name)
        self._tracker.done(name, manifest["seconds"], manifest["counts"])
        self._take(name, found.metrics, None)
