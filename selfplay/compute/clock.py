"""Where a run's time goes: for each stage its seconds, and those in which a model generated, scored or trained."""

from __future__ import annotations

import time
from pathlib import Path

from selfplay.compute.workers import Workers
from selfplay.run.files import write_json
from selfplay.run.shapes import ClockTimes, read_as

START_UP = "start-up"

Times = dict[str, float]


class Clock:
    """Keeps the time over all the sessions that a run takes; starts when it is made."""

    def __init__(self, file: Path, workers: Workers) -> None:
        self._file = file
        self._workers = workers
        known = read_as(file, ClockTimes) if file.exists() else {"stages": {}}
        order = known.get("order") or known["stages"]
        self._stages: dict[str, Times] = {name: known["stages"][name] for name in order}
        self._since = time.monotonic()
        self._busy = workers.busy_seconds
        self._waited = 0.0

    def wait_for_verdicts(self, seconds: float) -> None:
        """Takes time out of model time that a training spent waiting for verdicts."""
        self._waited += seconds

    def wait_for_models(self, seconds: float) -> None:
        """Takes time for model time that the run waited for models elsewhere than in its workers."""
        self._waited -= seconds

    def mark(self, stage: str) -> None:
        """Books the time since the last mark on a stage."""
        now, busy = time.monotonic(), self._workers.busy_seconds
        times = self._stages.setdefault(stage, {"seconds": 0.0, "model_seconds": 0.0})
        times["seconds"] += now - self._since
        times["model_seconds"] += busy - self._busy - self._waited
        self._since, self._busy, self._waited = now, busy, 0.0
        # Names of a JSON object are sorted when it is written.
        write_json(self._file, {"stages": self._stages, "order": list(self._stages)})

    def skip(self) -> None:
        """Books the time since the last mark on nothing: no work was done."""
        self._since, self._busy, self._waited = time.monotonic(), self._workers.busy_seconds, 0.0

    def rows(self) -> list[dict[str, str | float]]:
        """One row a stage, in the order in which they were first booked."""
        return [{"name": name} | {k: round(v, 3) for k, v in times.items()} for name, times in self._stages.items()]

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run."""
        return sum(times["seconds"] for times in self._stages.values())

    @property
    def overhead_share(self) -> float:
        """Share of the run's time outside generation, scoring and training."""
        model = sum(times["model_seconds"] for times in self._stages.values())
        return 1.0 - model / self.seconds
