"""Runs the stages of a table: each is done once, or taken over from another run; the listener hears of it, and the
time is kept."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping

from selfplay.compute.clock import START_UP
from selfplay.pipeline.masters import demand_inputs, drop_unneeded
from selfplay.pipeline.outside import outside
from selfplay.pipeline.own import Callers
from selfplay.pipeline.stages import is_finished
from selfplay.run.directory import Stage
from selfplay.run.files import read_json, remove_folder, write_json
from selfplay.run.plan import PlannedStage
from selfplay.run.results import StageResult
from selfplay.stage.context import WORLD, Context
from selfplay.stage.recipe_view import covers, restricted
from selfplay.stage.spec import StageSpec, StageWork, all_sections, stage_key

BEGUN = "begun.json"
"""In a stage's folder: the key of the work that is in it, so that work of other settings is not gone on with."""


class Reached(Exception):
    """The stage after which the run was asked to stop is done."""


class StageRunner:
    """Runs stages one after the other, tells the listener, and keeps the time."""

    def __init__(
        self, context: Context, table: Mapping[str, StageSpec], until: str | None, callers: Callers | None = None
    ) -> None:
        """
        Args:
            until: the stage after which to stop; None for none.
            callers: who calls the recipe's callbacks.
        """
        self._callers = callers or Callers((), table)
        self.context = context
        self._table = table
        self._until = until
        self._places = {name: place for place, name in enumerate(table, 1)}
        self._settings = context.run.settings
        self._keys: dict[str, str] = {}
        self.done: list[tuple[PlannedStage, Stage]] = []
        """The stages that took place, in order."""
        self.passed: set[str] = set()
        """The stages that did not take place."""
        if is_finished(context.run, table):
            context.clock.skip()
        else:
            context.clock.mark(START_UP)

    def run_stage(self, spec: StageSpec) -> StageResult:
        """Runs one stage unless it is done, and returns its result.

        Raises:
            Reached: it is the last one that was asked for.
        """
        stage = self.context.run.stage(spec.name)
        done = stage.done
        self.context.listener.stage(spec.name, self._places[spec.name], len(self._table), done)
        try:
            if done:
                self._keys[spec.name] = str(stage.manifest["inputs"])
            else:
                self._callers.stage_begins(spec, stage)
                self._do(spec, stage)
        except BaseException:
            # What ended the stage is what has to be heard of, also on a disk that is full.
            with contextlib.suppress(OSError):
                self.context.clock.mark(spec.name)
            raise
        self.done.append((spec.planned, stage))
        if done:
            self.context.clock.skip()
        else:
            self.context.clock.mark(spec.name)
            self.context.end_stage()
            self._callers.stage_ends(spec, stage)
        if self.context.run.recipe.compute.masters == "newest":
            drop_unneeded(self.context.run, self._table, self.passed, self.done)
        self._end_if_reached(spec.name)
        return stage.result(spec.result)

    def pass_over(self, spec: StageSpec) -> None:
        """Hears that a stage will not take place.

        Raises:
            Reached: it is the last one that was asked for.
        """
        self.passed.add(spec.name)
        self._end_if_reached(spec.name)

    def _do(self, spec: StageSpec, stage: Stage) -> None:
        sections = all_sections(spec, self._table)
        world = outside(spec, self.context.run, self._verifiers(sections))
        key = self._keys[spec.name] = stage_key(spec, self._settings, world.key, self._keys)
        if self.context.run.take_over(stage, key):
            told = f"{spec.name}: taken over from the run that --reuse names"
            self.context.listener.note(told + _other_batch(stage, self.context))
            return
        demand_inputs(self.context.run, spec)
        if _begin(stage, key):
            self.context.listener.note(f"{spec.name}: begins anew, since settings, files, models or libraries changed")
        started = time.monotonic()
        context = self.context.of_stage(restricted(self.context.recipe, spec.name, sections), sections)
        inputs = {name: self.context.run.stage(name) for name in spec.inputs if name in self._keys}
        result = spec.run(StageWork(spec, stage, context, inputs))
        stage.finish(time.monotonic() - started, key, world.key, result, world.models, world.versions)

    def _verifiers(self, sections: Collection[str]) -> dict[str, str]:
        """Fingerprints of a stage's verifiers by domain; without `sandbox` among its settings it judges nothing."""
        return self.context.judge.fingerprints if covers(sections, "sandbox") else {}

    def _end_if_reached(self, name: str) -> None:
        if name == self._until:
            raise Reached(name)


def _other_batch(stage: Stage, context: Context) -> str:
    """The end of a sentence on a stage whose trainings had other ranks than this run's, which no setting tells."""
    ranks = {read_json(mark)["workers"] for mark in stage.folder.glob(f"*-training/{WORLD}")} - {None}
    other = sorted(number for number in ranks if number != context.workers.count)
    if not other:
        return ""
    return (
        f", which was trained by compute.workers: {other[0]}, so at another global batch than with the "
        f"{context.workers.count} of this run"
    )


def _begin(stage: Stage, key: str) -> bool:
    """Makes the stage's folder; drops half-done work of other settings or inputs, and says whether there was any."""
    mark = stage.folder / BEGUN
    stale = stage.folder.exists() and (not mark.exists() or read_json(mark).get("inputs") != key)
    if stale:
        remove_folder(stage.folder)
    if not mark.exists():
        write_json(mark, {"inputs": key})
    return stale
