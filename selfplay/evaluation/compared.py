"""The models that are compared, those of evaluations and of runs, each with a value a problem and suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from selfplay.config.load import deciding
from selfplay.evaluation.evaluate import OUTCOMES, metric_values
from selfplay.evaluation.evaluation_folder import FILE, EvaluationFolder
from selfplay.evaluation.figures import outcome_of
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.evaluation.suites_of_run import suite_tables
from selfplay.run.directory import read_run
from selfplay.run.files import RunError
from selfplay.run.plan import Kind, manifest_of, read_plan
from selfplay.run.records import Rollout, Seed
from selfplay.run.tables import read_plain, read_values
from verifiers.model import Task

Values = dict[str, dict[str, float | None]]


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's completions of a problem, for people to read."""

    problem: str
    label: str
    completions: tuple[str, ...]
    passed: tuple[bool | None, ...]
    reasons: tuple[str, ...]

    def one_that(self, passed: bool) -> tuple[str, str]:
        """The first completion that passed, or did not, with why; both empty where there is none."""
        found = [at for at, one in enumerate(self.passed) if one is passed]
        return (self.completions[found[0]], self.reasons[found[0]]) if found else ("", "")


ReadAnswers = Callable[[str, Sequence[str]], dict[str, Answers]]
"""A suite and the ids of some of its problems to what the model answered."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A model, and what it did."""

    name: str
    values: Values
    settings: Mapping[str, Any]
    """On which its figures depend: the recipe of a run, or how an evaluation asked."""
    answers: ReadAnswers
    source: str
    """The run or evaluation."""
    round: int | None = None
    best: bool = False


def read_compared(places: Sequence[Path]) -> list[Compared]:
    """The models of evaluations and runs, in order, under names that tell them apart.

    Raises:
        RunError: a folder is neither, or has nothing measured yet.
    """
    for place in places:
        if not (place / FILE).exists() and not (place / "recipe.json").exists():
            raise RunError(
                f"{place}: is neither an evaluation ({FILE}) nor a run (recipe.json); give the folder that `selfplay "
                "evaluate` or `selfplay run` made"
            )
    found = [one for place in places for one in (_evaluation(place) if (place / FILE).exists() else _run(place))]
    names = [one.name for one in found]
    clear = [
        one if names.count(one.name) == 1 else replace(one, name=f"{Path(one.source).name}/{one.name}") for one in found
    ]
    if len({one.name for one in clear}) < len(clear):
        clear = [replace(one, name=f"{one.source}/{own.name}") for one, own in zip(clear, found, strict=True)]
    return clear


def _evaluation(place: Path) -> Iterator[Compared]:
    folder = EvaluationFolder(place)
    known, outcomes = folder.about, folder.outcomes()
    for model, about in known["models"].items():
        values = {suite: outcome.headline for suite, outcome in outcomes[model].items()}
        if values:
            suites = {name: known["suites"][name] for name in values}
            settings = known["settings"] | {
                "suites": {name: facts["content"] for name, facts in suites.items()},
                "prompts": {
                    name: list((facts.get("prompt") or {}).get("templates", ())) for name, facts in suites.items()
                },
            }
            read = partial(_answers_of, folder, model)
            yield Compared(model, values, settings, read, str(place), about.get("round"), bool(about.get("best")))


def _answers_of(folder: EvaluationFolder, model: str, suite: str, ids: Sequence[str]) -> dict[str, Answers]:
    return _measured_answers(folder.table(model, suite), ids)


def _measured_answers(table: Path, ids: Sequence[str]) -> dict[str, Answers]:
    names = ("id", "problem", "label", "completions", "passed", "reasons")
    rows = read_plain(table, MeasuredProblem, names, ("id", ids))
    return {
        row["id"]: Answers(
            row["problem"], row["label"], tuple(row["completions"]), tuple(row["passed"]), tuple(row["reasons"])
        )
        for row in rows
    }


def _run(place: Path) -> Iterator[Compared]:
    """The held-out evaluations of a run."""
    recipe = read_run(place)
    stages = [stage for stage in read_plan(place).of_kind(Kind.EVALUATION) if manifest_of(place, stage.name)]
    if not stages:
        raise RunError(f"{place}: has no evaluation yet; wait for its first, or give an evaluation's folder")
    for stage in stages:
        table = place / "stages" / stage.name / "rollouts.parquet"
        outcomes = read_values(table, Rollout, OUTCOMES)
        values = {
            f"{domain}, {metric}": of
            for (domain, metric), of in metric_values(outcomes).items()
            if not metric.startswith("pass@")
        }
        suites = suite_tables(table.parent)
        values |= {name: outcome_of(file).headline for name, file in suites.items()}
        read = partial(_run_answers, place, table, suites)
        label = f"round-{stage.round}" if stage.round else "base"
        yield Compared(label, values, deciding(recipe), read, str(place), stage.round)


def _run_answers(
    run: Path, table: Path, suites: Mapping[str, Path], suite: str, ids: Sequence[str]
) -> dict[str, Answers]:
    if suite in suites:
        return _measured_answers(suites[suite], ids)
    domain, _, metric = suite.partition(", ")
    mode = metric.rpartition(" ")[2]
    names = ("task_id", "domain", "mode", "completion", "passed", "reason")
    rows = [row for row in read_plain(table, Rollout, names, ("task_id", ids)) if row["mode"] == mode]
    tasks: dict[str, Task] = {}
    for file in sorted((run / "stages" / Kind.SEEDS).glob(f"{domain}-*.parquet")):
        tasks |= {row["id"]: row["task"] for row in read_plain(file, Seed, ("id", "task"), ("id", ids))}
    found = {}
    for name in ids:
        own = [row for row in rows if row["task_id"] == name]
        task: Mapping[str, Any] = tasks.get(name, {})  # type: ignore[assignment]
        found[name] = Answers(
            task.get("problem", ""),
            task.get("answer") or "",
            tuple(row["completion"] for row in own),
            tuple(row["passed"] for row in own),
            tuple(row["reason"] for row in own),
        )
    return found
