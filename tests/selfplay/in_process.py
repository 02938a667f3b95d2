"""Workers without processes, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class InProcess:
    """Stands for the workers: every job runs in this process."""

    device = "cpu"
    count = 1
    busy_seconds = 0.0
    shared = None

    def __init__(self, *_: Any) -> None:
        self.jobs = 0

    def start(self, first: Callable[[], None]) -> None:
        first()

    def wait_until_ready(self) -> None:
        """They always are."""

    def stop(self) -> None:
        """Nothing runs between jobs."""

    renew = stop

    def sparing(self, gpus: int) -> AbstractContextManager[tuple[str, ...]]:
        """There are no GPUs to spare."""
        return nullcontext(())

    def as_done(self, function: Any, jobs: Any, on_tick: Any = None) -> Iterator[tuple[int, Any]]:
        for place, job in enumerate(jobs):
            self.jobs += 1
            yield place, function(job)

    def ticking(self, function: Any, jobs: Any) -> Iterator[None]:
        for _ in self.as_done(function, jobs):
            yield

    def map(self, function: Any, jobs: Any, on_tick: Any = None) -> list[Any]:
        return [done for _, done in self.as_done(function, jobs)]

    def together(
        self, function: Any, job: Any, on_tick: Any = None, timeout_s: float = 0.0, before_again: Any = None
    ) -> Any:
        return function(job)
