"""The story of a run as it is told: each stage is done once, the listener hears of it, and the time is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from selfplay.compute.clock import START_UP
from selfplay.pipeline.summary import summarise
from selfplay.run.directory import Stage
from selfplay.stage.context import Context
from selfplay.stage.plan import is_finished, planned_stages


class Reached(Exception):
    """The stage after which the run was asked to stop is done."""


class StageRunner:
    """Runs stages one after the other, tells the listener, and keeps the time."""

    def __init__(self, context: Context, until: str | None) -> None:
        self.context = context
        self._until = until
        self._planned = planned_stages(context.recipe)
        self._done: list[Stage] = []
        if is_finished(context.run):
            context.clock.skip()
        else:
            context.clock.mark(START_UP)

    def run_stage(
        self, name: str, sections: Sequence[str], work: Callable[[Stage], dict[str, Any]], contents: str = ""
    ) -> Stage:
        """Runs one stage unless it is done; `contents` stands for files that it reads."""
        done = self.context.run.stage(name).done
        self.context.listener.stage(name, self._planned.index(name) + 1, len(self._planned), done)
        try:
            stage = self.context.run.do(name, sections, work, contents)
        except BaseException:
            # What ended the stage is what has to be heard of, also on a disk that is full.
            with contextlib.suppress(OSError):
                self.context.clock.mark(name)
            raise
        self._done.append(stage)
        if done:
            self.context.clock.skip()
        else:
            self.context.clock.mark(name)
            self.context.end_stage()
        self._end_if_reached(name)
        return stage

    def pass_over(self, names: Sequence[str]) -> None:
        """Hears that stages will not take place."""
        for name in names:
            self._end_if_reached(name)

    def _end_if_reached(self, name: str) -> None:
        if name == self._until:
            raise Reached(name)

    def end(self) -> dict[str, Any]:
        """Writes the summary."""
        return summarise(self.context.run, self._done, self.context.clock)
