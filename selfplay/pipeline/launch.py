"""Brings a run up and down around the pipeline: locks, workers, verifiers, trackers, progress, the closing report."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfplay.compute.clock import Clock
from selfplay.compute.workers import Workers
from selfplay.config.annotation import LocalEngine
from selfplay.config.recipe import Recipe
from selfplay.export.model import push_best
from selfplay.pipeline.crew import Crew, crew_of
from selfplay.pipeline.extension import Extension
from selfplay.pipeline.listener import RunListener
from selfplay.pipeline.main_loop import run_pipeline
from selfplay.pipeline.own import Callers, check_hooks
from selfplay.pipeline.stage_runner import Reached
from selfplay.pipeline.stages import is_finished, planned, stage_table
from selfplay.preflight.fit import demand_room
from selfplay.preflight.prompts import check_prompts
from selfplay.preflight.recipe import (
    annotators,
    check_all_but_rewards,
    check_argument_names,
    check_endpoints,
    check_pool,
    check_suites,
    prompt_engines,
    teachers,
)
from selfplay.preflight.rewards import check_rewards
from selfplay.preflight.vllm import ranks_of
from selfplay.report.page import write_report
from selfplay.run.directory import RunDirectory
from selfplay.run.files import RunError
from selfplay.run.plan import Kind
from selfplay.stage.context import Context
from selfplay.stage.hooks import load_callbacks
from selfplay.stage.spec import StageSpec
from selfplay.tracking.sinks import check_trackers
from selfplay.tracking.tracker import Tracker
from selfplay.watching.terminal import Progress

PREFLIGHT_PROBLEMS = 20
"""Problems of a domain and split that `selfplay run` checks before it starts; `selfplay check` takes all."""


def launch(
    recipe: Recipe, run_path: Path, reuse: Path | None = None, until: str | None = None
) -> dict[str, Any] | None:
    """Runs a recipe in a directory, from where it stopped; returns the summary, or None when it ended at `until`.

    Raises:
        RunError: `until` is no stage, `reuse` no run, settings were changed on which finished stages depend, or another
            process runs the directory.
        PreflightError: rewards that would spoil the run, or an endpoint that cannot do what it must.
        AnnotationStopped: an endpoint is out of reach, or a budget is spent.
        NoDevice, NoRoom: the recipe asks for a device, or a cluster, that is not there.
        WorkerError: a worker failed.
        NothingToLearn: no prompt survived.
        HookMissing, HookFailed: code of the recipe's own cannot be had, or raised.
        HubError: the run has ended, but the hub did not take its policy.
        DoesNotFit: the machine has too little memory, or no GPU for a large model.
        TrackerMissing: the recipe names a tracker that is not installed.
        AlarmStop: an alarm was raised that the recipe wants to stop the run.
    """
    table = stage_table(recipe)
    if until is not None and until not in table:
        raise RunError(f"--until {until}: is not a stage; the stages are {', '.join(table)}")
    if reuse is not None and not (reuse / "recipe.json").exists():
        raise RunError(f"--reuse {reuse}: is not a run directory; give the folder that `selfplay run` made")
    check_trackers(recipe.tracking)
    check_argument_names(recipe)
    check_hooks(recipe)
    callers = Callers(load_callbacks(recipe.hooks), table)
    with (
        Progress() as progress,
        crew_of(recipe.compute, recipe.engine.ranks) as crew,
        RunDirectory.open(run_path, recipe, reuse) as run,
        crew.workers(run.path) as workers,
    ):
        workers.note = progress.note
        extension = Extension(run, table)
        clock = Clock(run_path / "clock.json", workers)
        if not is_finished(run, table) or extension.again:
            if uses_workers(recipe, table, until):
                _start(workers, crew, recipe, run_path)
            progress.prepare("checking: verifiers judge known answers, files are read")
            _check(recipe, run)
            progress.prepare(f"loading torch and TRL in {crew.count} processes (up to a minute)")
            workers.wait_until_ready()
        if extension.note:
            progress.note(extension.note)
        extension.begin()
        plan = planned(table)
        run.claim(plan.stages)
        callers.run_begins(run_path)
        with Tracker(run_path, recipe, progress.note, plan) as tracker, crew.judge(recipe, run.path) as judge:
            with RunListener(run, plan, progress, tracker) as listener:
                try:
                    summary = run_pipeline(Context(run, workers, judge, listener, clock), table, until, callers)
                except Reached:
                    return None
            tracker.summary(summary)
        write_report(run_path)
        callers.run_ends(summary)
        address = push_best(run_path, recipe, summary)
    return summary if address is None else summary | {"paths": summary["paths"] | {"pushed to": address}}


def _start(workers: Workers, crew: Crew, recipe: Recipe, run: Path) -> None:
    """Starts the workers, one of which checks what needs their libraries."""
    if crew.session is None:
        demand_room(recipe, crew.device, crew.count, run)
        workers.start(functools.partial(check_all_but_rewards, recipe, ranks_of(recipe, crew.device, crew.count)))
    else:
        each, path = crew.most_of_a_node, run.absolute()
        workers.start(functools.partial(check_on_node, recipe, crew.device, crew.count, each, path))


def _check(recipe: Recipe, run: RunDirectory) -> None:
    """Checks what needs no model, while the workers load their libraries."""
    check_rewards(recipe, PREFLIGHT_PROBLEMS)
    check_pool(recipe)
    check_suites(recipe)
    check_endpoints(teachers(recipe))
    if recipe.synthesises and not run.stage(Kind.CURATION).done:
        check_prompts(recipe)
        check_endpoints(prompt_engines(recipe))
    if recipe.synthesises and not run.stage(Kind.ANNOTATION).done:
        check_endpoints(annotators(recipe))


def uses_workers(recipe: Recipe, table: Mapping[str, StageSpec], until: str | None) -> bool:
    """Whether a model runs on this machine before the stage `until` is done; loading the libraries takes seconds."""
    specs = list(table.values())
    wanted = specs if until is None else specs[: list(table).index(until) + 1]
    annotators = recipe.cold_start.annotators.values()
    engines = [*(annotator.engine for annotator in annotators), recipe.cold_start.annotation.scorer]
    elsewhere = {Kind.SEEDS, Kind.ANNOTATION, Kind.OWN}
    return bool({spec.kind for spec in wanted} - elsewhere) or any(isinstance(one, LocalEngine) for one in engines)


def check_on_node(recipe: Recipe, device: str, count: int, each: int, run: Path) -> None:
    """For a worker of a cluster to do: what else is checked on the one machine of a run.

    Args:
        device: `cpu` or `cuda`.
        count: workers of the run.
        each: most workers of one node.

    Raises:
        DoesNotFit: see `demand_room`; and what `check_all_but_rewards` raises.
    """
    demand_room(recipe, device, each, run)
    check_all_but_rewards(recipe, count)
