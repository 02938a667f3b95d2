"""Measures models on suites: brings workers, verifiers and engines up and down around it; goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfplay.compute.workers import Workers
from selfplay.config.annotation import LocalEngine, OpenAIEngine
from selfplay.config.compute import EngineSettings
from selfplay.config.evaluation import Measurement, ModelOptions
from selfplay.engines.base import ModelRef, Policy, Sampling
from selfplay.engines.named_models import NamedModels
from selfplay.engines.sharded import ShardedEngine
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.evaluation.figures import Row
from selfplay.evaluation.measuring import measured_problems
from selfplay.evaluation.suites_of_run import SuiteJudging
from selfplay.pipeline.crew import crew_of
from selfplay.pipeline.policies import MeasuredModel, ModelUnknown, find_models
from selfplay.preflight.recipe import PreflightError, check_sandbox
from selfplay.preflight.vllm import EngineMissing, check_engine
from selfplay.rollouts.completions import Origin, complete
from selfplay.rollouts.judge import Judge
from selfplay.run.seeding import derive
from selfplay.run.store import ShardStore, content_key
from selfplay.stage.open_engine import open_engine
from selfplay.suites.load import Suite
from selfplay.tracking.surroundings import versions
from selfplay.watching.terminal import Progress


def evaluate(given: str, options: ModelOptions, suites: Sequence[Suite], settings: Measurement, out: Path) -> list[Row]:
    """Measures models on suites, and writes tables and figures; what was finished before is not done again.

    Args:
        given: the models, as `find_models` takes them.

    Returns:
        All figures that the folder has.

    Raises:
        UserError: what is wrong, or what stopped it; finished work is kept.
    """
    judging = SuiteJudging({suite.name: suite.solving for suite in suites}, settings.sandbox)
    check_sandbox(judging)
    with (
        Progress() as progress,
        crew_of(settings.compute, settings.engine.ranks) as crew,
        EvaluationFolder.open(out) as folder,
        crew.workers(out) as workers,
    ):
        workers.note = progress.note
        # First without models: to look at those, workers load their libraries.
        folder.claim(settings.deciding(), {}, suites, versions())
        has_template = functools.partial(_has_template, workers, progress)
        options = dataclasses.replace(options, yarn=settings.yarn)
        models = find_models(given, options, NamedModels(out / "store"), has_template)
        _check(models, settings, workers)
        known = {one.label: {"identity": one.identity, "round": one.round, "best": one.best} for one in models}
        folder.claim(settings.deciding(), known, suites, versions())
        with crew.judge(judging, out) as judge:
            _measure(folder, models, suites, settings, workers, judge, progress)
        return folder.write_figures(settings.bootstrap)


def _measure(
    folder: EvaluationFolder,
    models: Sequence[MeasuredModel],
    suites: Sequence[Suite],
    settings: Measurement,
    workers: Workers,
    judge: Judge,
    progress: Progress,
) -> None:
    total = len(models) * len(suites)
    for place, one in enumerate(models):
        with _engine(one.model, settings, workers, folder.path / "store") as policy:
            for number, suite in enumerate(suites, place * len(suites) + 1):
                key = content_key("evaluation", one.identity, settings.deciding(), suite.content, _asked(suite))
                done = folder.is_done(one.label, suite.name, key)
                progress.stage(f"{one.label} on {suite.name}", number, total, done)
                if done:
                    continue
                progress.begin("completions", len(suite.problems) * settings.samples)
                batches = complete(
                    policy,
                    suite.problems,
                    settings.sampling,
                    settings.samples,
                    derive(settings.seed, "evaluate", suite.name),
                    domains={suite.name: suite.solving},
                    origin=Origin(("evaluate", one.label), one.round or 0, suite.name),
                    on_progress=progress.advance,
                )
                folder.keep(one.label, suite.name, key, measured_problems(judge, suite, batches))


def _asked(suite: Suite) -> dict[str, Any]:
    return suite.solving.model_dump(mode="json")


@contextlib.contextmanager
def _engine(model: ModelRef | OpenAIEngine, settings: Measurement, workers: Workers, store: Path) -> Iterator[Policy]:
    if isinstance(model, ModelRef):
        yield ShardedEngine(model, settings.engine, workers, ShardStore(store / "shards"))
        return
    with open_engine(model, "the endpoint", _no_local_model, store / "answers.sqlite") as opened:
        yield opened


def _no_local_model(model: LocalEngine) -> ShardedEngine:
    raise AssertionError(f"{model.name} is at an endpoint")


def _check(models: Sequence[MeasuredModel], settings: Measurement, workers: Workers) -> None:
    """Refuses what could not be measured as asked, before a model loads."""
    from selfplay.engines.api.probe import probe
    from verifiers.endpoint.client import EndpointRefused

    local = any(isinstance(one.model, ModelRef) for one in models)
    if local and settings.engine.kind != "transformers":
        [fault] = workers.map(engine_fault, [settings.engine])
        if fault:
            raise PreflightError(fault)
    if settings.yarn != 1:
        refs = [one.model.base or one.model for one in models if isinstance(one.model, ModelRef)]
        if fault := next(filter(None, workers.map(stretch_fault, refs)), ""):
            raise ModelUnknown(fault)
    for one in models:
        chat = one.model.chat if isinstance(one.model, ModelRef) else one.model.prompt_style == "chat"
        if settings.sampling.system_prompt and not chat:
            raise ModelUnknown(
                f"{one.label}: gets its prompts without a chat template, so that sampling.system_prompt has no place; "
                "leave it out"
            )
        if isinstance(one.model, OpenAIEngine):
            try:
                probe(one.model, "the endpoint", Sampling.of(settings.sampling), scores=False)
            except EndpointRefused as error:
                raise PreflightError(str(error)) from error


def _has_template(workers: Workers, progress: Progress, ref: ModelRef) -> bool:
    """Whether a model has a chat template; a worker looks, since only workers load the libraries.

    Raises:
        ModelUnknown: it is no model, or not here.
    """
    progress.prepare("looking at the model, for which torch is loaded (up to a minute)")
    [(templated, fault)] = workers.map(examine, [ref])
    if fault:
        raise ModelUnknown(fault)
    return templated


def engine_fault(engine: EngineSettings) -> str:
    """Inside a worker: why an engine cannot be used here; empty where it can."""
    try:
        check_engine(engine)
    except EngineMissing as error:
        return str(error)
    return ""


def stretch_fault(ref: ModelRef) -> str:
    """Inside a worker: why a model's positions cannot be stretched; empty where they can."""
    from selfplay.engines.configurations import stretched_settings
    from selfplay.engines.model_files import ModelError

    try:
        stretched_settings(ref)
    except ModelError as error:
        return str(error)
    return ""


def examine(ref: ModelRef) -> tuple[bool, str]:
    """Inside a worker: whether a model has a chat template, or what is wrong with it; loads no weights."""
    from selfplay.engines.loading import look_up
    from selfplay.engines.model_files import ModelError, check_weights

    try:
        found = look_up(ref.path, ref.revision)
        if found is None:
            return False, f"{ref.path}: is not on this machine, and no hub answers; give a folder"
        check_weights(ref.path, ref.revision)
    except ModelError as error:
        return False, str(error)
    return found.chat_template, ""
