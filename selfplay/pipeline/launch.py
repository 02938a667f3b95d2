"""Brings a run up and down around the pipeline: locks, workers, verifiers, trackers, progress, the closing report."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfplay.compute.clock import Clock
from selfplay.compute.workers import Workers
from selfplay.config.annotation import LocalEngine
from selfplay.config.errors import UserError
from selfplay.config.recipe import ComputeSettings, Recipe
from selfplay.export.model import push_best
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
    check_endpoints,
    check_pool,
    check_suites,
    prompt_engines,
    teachers,
)
from selfplay.preflight.rewards import check_rewards
from selfplay.report.page import write_report
from selfplay.rollouts.judge import Judge
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

MOST_CPU_WORKERS = 4
_GPU_FILES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/kfd"))


def launch(
    recipe: Recipe, run_path: Path, reuse: Path | None = None, until: str | None = None
) -> dict[str, Any] | None:
    """Runs a recipe in a directory, from where it stopped; returns the summary, or None when it ended at `until`.

    Raises:
        RunError: `until` is no stage, `reuse` no run, settings were changed on which finished stages depend, or another
            process runs the directory.
        PreflightError: rewards that would spoil the run, or an endpoint that cannot do what it must.
        AnnotationStopped: an endpoint is out of reach, or a budget is spent.
        NoDevice: the recipe asks for a device that is not there.
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
        raise RunError(f"--reuse {reuse}: is not a run directory")
    check_trackers(recipe.tracking)
    check_hooks(recipe)
    callers = Callers(load_callbacks(recipe.hooks), table)
    count, device = workers_and_device(recipe.compute, recipe.engine.ranks)
    with RunDirectory.open(run_path, recipe, reuse) as run, _workers(run, count, device) as workers:
        extension = Extension(run, table)
        clock = Clock(run_path / "clock.json", workers)
        if not is_finished(run, table) or extension.again:
            if uses_workers(recipe, table, until):
                demand_room(recipe, device, count, run_path)
                workers.start(functools.partial(check_all_but_rewards, recipe, count))
            check_rewards(recipe, PREFLIGHT_PROBLEMS)
            check_pool(recipe)
            check_suites(recipe)
            check_endpoints(teachers(recipe))
            if recipe.synthesises and not run.stage(Kind.CURATION).done:
                check_prompts(recipe)
                check_endpoints(prompt_engines(recipe))
            if recipe.synthesises and not run.stage(Kind.ANNOTATION).done:
                check_endpoints(annotators(recipe))
            workers.wait_until_ready()
        extension.begin()
        plan = planned(table)
        run.claim(plan.stages)
        callers.run_begins(run_path)
        with (
            Progress() as progress,
            Tracker(run_path, recipe, progress.note, plan) as tracker,
            _judge(recipe, run) as judge,
        ):
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


def uses_workers(recipe: Recipe, table: Mapping[str, StageSpec], until: str | None) -> bool:
    """Whether a model runs on this machine before the stage `until` is done; loading the libraries takes seconds."""
    specs = list(table.values())
    wanted = specs if until is None else specs[: list(table).index(until) + 1]
    annotators = recipe.cold_start.annotators.values()
    engines = [*(annotator.engine for annotator in annotators), recipe.cold_start.annotation.scorer]
    elsewhere = {Kind.SEEDS, Kind.ANNOTATION, Kind.OWN}
    return bool({spec.kind for spec in wanted} - elsewhere) or any(isinstance(one, LocalEngine) for one in engines)


@contextlib.contextmanager
def _workers(run: RunDirectory, count: int, device: str) -> Iterator[Workers]:
    compute, ranks = run.recipe.compute, run.recipe.engine.ranks
    workers = Workers(count, compute.threads, device, run.path / "workers.log", ranks)
    try:
        yield workers
    finally:
        workers.stop()


@contextlib.contextmanager
def _judge(recipe: Recipe, run: RunDirectory) -> Iterator[Judge]:
    judge = Judge(recipe, run.store_folder)
    try:
        yield judge
    finally:
        judge.close()


class NoDevice(UserError):
    """The recipe asks for a device that this machine lacks."""


def gpu_count() -> int:
    """Number of GPUs that torch can use; 0 without loading torch where there is no device file."""
    if not any(file.exists() for file in _GPU_FILES):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def workers_and_device(compute: ComputeSettings, gpus_each: int = 1) -> tuple[int, str]:
    """The number of workers and their device, where each worker needs so many GPUs.

    Raises:
        NoDevice: CUDA is asked for and there is none, or there are too few GPUs for the workers.
    """
    gpus = 0 if compute.device == "cpu" else gpu_count()
    if compute.device == "cuda" and not gpus:
        raise NoDevice("compute.device is cuda, but torch sees no GPU here; set compute.device=cpu")
    if gpus:
        if max(compute.workers, 1) * gpus_each > gpus:
            each = "one" if gpus_each == 1 else f"{gpus_each} (see engine.args)"
            raise NoDevice(
                f"compute.workers is {compute.workers or 1}, but torch sees {gpus} GPUs; a worker needs {each}"
            )
        return compute.workers or gpus // gpus_each, "cuda"
    return compute.workers or min(MOST_CPU_WORKERS, os.cpu_count() or 1), "cpu"
