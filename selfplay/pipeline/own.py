"""Hooks within a run: who calls the callbacks, and stages of one's own as entries of the table."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.planning.stages import stages_of
from selfplay.preflight.recipe import Finding
from selfplay.run import results
from selfplay.run.directory import Stage
from selfplay.run.plan import Kind, PlannedStage
from selfplay.stage.hooks import (
    Callbacks,
    HookFailed,
    HookMissing,
    OwnWork,
    StageInfo,
    load_callbacks,
    load_stage,
    told,
)
from selfplay.stage.spec import StageSpec, StageWork
from verifiers.plugins.guard import fingerprint_of

MOST_FIGURES, LONGEST = 200, 500


class Callers:
    """Calls the callbacks of a recipe, in its order."""

    def __init__(self, callbacks: Iterable[tuple[str, Callbacks]], table: Mapping[str, StageSpec]) -> None:
        self._callbacks = list(callbacks)
        measured = [spec for spec in table.values() if spec.kind in (Kind.EVALUATION, Kind.SELECTION)]
        self._last = {spec.planned.round: spec.name for spec in measured}
        """The stage that ends each round."""
        self._figures: dict[int, dict[str, Any]] = {}

    def run_begins(self, folder: Path) -> None:
        """The run directory is open."""
        self._call("run_begins", folder)

    def run_ends(self, summary: Mapping[str, Any]) -> None:
        """All stages are done."""
        self._call("run_ends", summary)

    def stage_begins(self, spec: StageSpec, stage: Stage) -> None:
        """A stage begins."""
        self._call("stage_begins", _info(spec, stage))

    def stage_ends(self, spec: StageSpec, stage: Stage) -> None:
        """A stage is done; a round is, where it was its last one."""
        if not self._callbacks:
            return
        figures = dict(stage.manifest["counts"])
        self._call("stage_ends", _info(spec, stage), figures)
        number = spec.planned.round
        if spec.kind is Kind.EVALUATION:
            self._figures[number] = figures
        if self._last.get(number) == spec.name:
            self._call("round_ends", number, self._figures.get(number, {}))

    def _call(self, method: str, *given: Any) -> None:
        for field, one in self._callbacks:
            with told(field, f"{type(one).__qualname__}.{method}", type(one)):
                getattr(one, method)(*given)


def check_hooks(recipe: Recipe) -> list[Finding]:
    """Loads the hooks that a recipe names; makes the callbacks, and calls none.

    Raises:
        HookMissing: one cannot be had, or would never be called.
    """
    heard = [Finding(field, recipe.hooks.callbacks[at]) for at, (field, _) in enumerate(load_callbacks(recipe.hooks))]
    kinds = list(dict.fromkeys(str(stage.kind) for stage in stages_of(recipe)))
    for name, own in recipe.hooks.stages.items():
        load_stage(recipe.hooks, name)
        if own.after not in kinds:
            raise HookMissing(
                f"hooks.stages.{name}.after: is {own.after}, of which this recipe has no stage, so that {own.run} "
                f"would never be called; take one of {', '.join(kinds)}"
            )
    return heard + [
        Finding(f"hooks.stages.{name}", f"{own.run}, after {own.after}") for name, own in recipe.hooks.stages.items()
    ]


def _info(spec: StageSpec, stage: Stage) -> StageInfo:
    return StageInfo(spec.name, str(spec.kind), spec.planned.round, stage.folder)


def with_own_stages(specs: Iterable[StageSpec], recipe: Recipe) -> Iterator[StageSpec]:
    """The stages of a recipe, with those of its own after the ones that they follow."""
    for spec in specs:
        yield spec
        for name, own in recipe.hooks.stages.items():
            if own.after == spec.kind:
                planned = PlannedStage(Kind.OWN, spec.planned.round, f"{own.run}, after {spec.name}", own=name)
                yield StageSpec(
                    planned,
                    (f"hooks.stages.{name}",),
                    (spec.name, *spec.inputs),
                    functools.partial(_work, name=name),
                    results.OwnResult,
                    functools.partial(_contents, recipe, name),
                    follows=spec.name,
                )


def _contents(recipe: Recipe, name: str) -> str:
    """A hash of the file that the function stands in, so that a stage is made again where that changed."""
    return fingerprint_of(recipe.hooks.stages[name].run, load_stage(recipe.hooks, name), {})


def _work(this: StageWork, name: str) -> results.OwnResult:
    context, spec = this.context, this.spec
    settings = context.recipe.hooks.stages[name]
    function, field = load_stage(context.recipe.hooks, name), f"hooks.stages.{name}"
    given = OwnWork(
        folder=this.stage.folder,
        number=this.number,
        after=spec.follows,
        settings=dict(settings.settings),
        seed=context.seed(spec.name),
        inputs={known: stage.folder for known, stage in this.inputs.items()},
        log=functools.partial(context.listener.log, spec.name),
        note=context.listener.note,
    )
    with told(field, settings.run, function):
        found = function(given)
    return results.OwnResult(figures=_kept(found, f"{field}: {settings.run}"))


def _kept(found: Any, who: str) -> dict[str, bool | int | float | str]:
    """The figures that a stage of one's own returned."""
    figures = {} if found is None else found
    if not isinstance(figures, Mapping) or len(figures) > MOST_FIGURES:
        raise HookFailed(f"{who} returned {type(found).__name__}; it must be a dictionary of figures, or None")
    for name, value in figures.items():
        fits = isinstance(value, int | float) and math.isfinite(value)
        if not isinstance(name, str) or not (fits or (isinstance(value, str) and len(value) <= LONGEST)):
            raise HookFailed(f"{who} returned {str(name)[:80]!r}, which is neither a finite number nor a short text")
    return dict(figures)
