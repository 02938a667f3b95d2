"""Suites on which a run's policy is measured as it goes on: nothing of the run is chosen by them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selfplay.config.domains import ProblemKind
from selfplay.config.evaluation import SuiteEvaluation
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import Values
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.evaluation.figures import outcome_of
from selfplay.evaluation.measuring import SHOWN_COLUMNS, MeasuredProblem, measured_problems, shown_rows
from selfplay.rollouts.completions import Origin, complete
from selfplay.rollouts.judge import Judge
from selfplay.run.directory import Stage
from selfplay.run.store import content_key
from selfplay.stage.context import Context
from selfplay.suites.load import Suite, Wanted, load_suite
from selfplay.suites.lock import SuiteLock
from verifiers import registry
from verifiers.answers import AnswerReader, answer_reader

TABLE = "suite-"
"""The beginning of the names of a stage's tables that are of suites."""
ACCURACIES = ("avg@", "pass@", "maj@")


@dataclass(frozen=True, slots=True)
class SuiteJudging:
    """All on which verdicts on suites depend."""

    domains: Mapping[str, ProblemKind]
    sandbox: SandboxSettings


@contextmanager
def judge_of(suites: Iterable[Suite], sandbox: SandboxSettings, store: Path) -> Iterator[Judge]:
    """The verifiers of suites, over a store of verdicts."""
    judge = Judge(SuiteJudging({one.name: one.solving for one in suites}, sandbox), store)
    try:
        yield judge
    finally:
        judge.close()


@contextmanager
def readers_of(evaluation: Path, suites: Iterable[str]) -> Iterator[dict[str, AnswerReader | None]]:
    """The comparers of the answers of each suite of an evaluation; None where programs answer.

    Raises:
        UnknownVerifier: a suite was judged by a verifier that is not here.
    """
    asked = EvaluationFolder(evaluation).about["suites"]
    kinds = {name: ProblemKind.model_validate(asked[name]["asked"]) for name in suites}
    verifiers = {name: registry.load(kind.verifier, kind.verifier_params) for name, kind in kinds.items()}
    try:
        yield {name: answer_reader(one) for name, one in verifiers.items()}
    finally:
        for one in verifiers.values():
            one.close()


def load_suites(settings: SuiteEvaluation | None) -> tuple[Suite, ...]:
    """The suites that a recipe names. Raises SuiteError where one cannot be used."""
    return () if settings is None else _loaded(settings.model_dump_json())


@functools.lru_cache(maxsize=1)
def _loaded(settings_json: str) -> tuple[Suite, ...]:
    """Kept, since each evaluation of a run asks for them, and some are large."""
    settings = SuiteEvaluation.model_validate_json(settings_json)
    data = None if settings.data is None else Path(settings.data)
    wanted: tuple[Wanted, ...] = (*settings.names, *settings.own)
    lock = None if settings.lock is None else SuiteLock(Path(settings.lock))
    return tuple(load_suite(one, data, settings.limit, settings.incomplete, lock) for one in wanted)


def suite_contents(settings: SuiteEvaluation | None) -> str:
    """A hash of the problems of all suites; empty without any."""
    return content_key(*(one.content for one in load_suites(settings))) if settings is not None else ""


def measure_suites(stage: Stage, context: Context, number: int, policy: ModelRef) -> None:
    """Writes a table a suite, in rounds that are due, and logs its rows; the base always is due."""
    settings = context.recipe.evaluation.suites
    if settings is None or number % settings.every:
        return
    suites = load_suites(settings)
    with judge_of(suites, context.recipe.sandbox, context.run.store_folder) as judge:
        for suite in suites:
            context.listener.begin(f"evaluation {number}: {suite.name}", len(suite.problems) * settings.samples)
            batches = complete(
                context.engine(policy),
                suite.problems,
                settings.sampling,
                settings.samples,
                context.seed("evaluation", "suite", suite.name),
                domains={suite.name: suite.solving},
                origin=Origin(("evaluation", number, suite.name), number, suite.name),
                on_progress=context.listener.advance,
            )
            stage.write(f"{TABLE}{suite.name}", MeasuredProblem, measured_problems(judge, suite, batches))
            table = stage.folder / f"{TABLE}{suite.name}.parquet"
            context.listener.table(stage.name, f"{TABLE}{suite.name}_{stage.name}", SHOWN_COLUMNS, shown_rows(table))


def suite_tables(folder: Path) -> dict[str, Path]:
    """The tables of suites in an evaluation's folder, by the suite."""
    return {file.stem.removeprefix(TABLE): file for file in sorted(folder.glob(f"{TABLE}*.parquet"))}


def suite_values(folder: Path) -> Values:
    """The accuracies on suites, problem by problem, of an evaluation; a suite stands among the domains."""
    return {
        (f"suite/{name}", metric): values
        for name, file in suite_tables(folder).items()
        for metric, values in outcome_of(file).values.items()
        if metric.startswith(ACCURACIES)
    }
