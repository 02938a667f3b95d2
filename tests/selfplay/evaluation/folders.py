"""Evaluations as `selfplay evaluate` writes them, of verdicts that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfplay.config.domains import ProblemKind
from selfplay.config.evaluation import Measurement
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.run.records import Seed
from selfplay.suites.load import Suite
from verifiers.model import Task

Passed = Mapping[str, Sequence[Sequence[bool]]]
"""For each suite, whether the completions of each problem passed."""


def suite_of(name: str, published: Sequence[str]) -> Suite:
    problems = tuple(
        Seed(f"{name}-{n}", name, "heldout", known, (), "", "", Task(f"{n} <b>&</b> 1?", str(n)), "", None)
        for n, known in enumerate(published)
    )
    return Suite(name, problems, ProblemKind(), "a test", "", None, "")


def measured(suite: Suite, place: int, passed: Sequence[bool], said: str) -> MeasuredProblem:
    problem, count = suite.problems[place], len(passed)
    return MeasuredProblem(
        id=problem.id,
        suite=suite.name,
        published=problem.source,
        problem=problem.problem,
        label=str(problem.task.answer),
        prompt=problem.problem,
        completions=tuple(f"{said} {place}.{n}: {'right' if one else 'wrong'}" for n, one in enumerate(passed)),
        passed=tuple(passed),
        statuses=tuple("correct" if one else "wrong" for one in passed),
        reasons=tuple("" if one else "it is not the answer" for one in passed),
        answers=("1",) * count,
        classes=tuple(0 if one else 1 for one in passed),
        cut=(False,) * count,
        prompt_tokens=(3,) * count,
        tokens=(7,) * count,
        seconds=(0.0,) * count,
    )


def write_evaluation(
    path: Path, models: Mapping[str, Passed], names: Sequence[str] | None = None, **settings: Any
) -> Path:
    """An evaluation; models whose names are `base` and `round-N` are of a run, problems bear names or numbers."""
    rounds = {name: 0 if name == "base" else int(name[6:]) if name.startswith("round-") else None for name in models}
    known = {name: {"identity": [name], "round": rounds[name], "best": False} for name in models}
    with EvaluationFolder.open(path) as folder:
        sizes = {name: len(rows) for of in models.values() for name, rows in of.items()}
        suites = {name: suite_of(name, names or [str(n) for n in range(size)]) for name, size in sizes.items()}
        folder.claim(Measurement(**settings).deciding(), known, list(suites.values()), {})
        for model, of in models.items():
            for name, rows in of.items():
                found = [measured(suites[name], place, passed, model) for place, passed in enumerate(rows)]
                folder.keep(model, name, "key", found)
    return path
