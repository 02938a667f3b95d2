"""How long it takes to score what a model wrote for a math suite: 10,000 completions, four a problem.

Answers are MATH-like (`math_speed`), three in five right, each behind 100 words of working. Timed are the verdicts by
one worker, from an empty store; the same again from a full one; writing the table; and the figures with 10,000
resamples. Seconds are those of a processor, of this process and its workers together, so that what else a machine does
counts little.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.math_speed import math_like_pairs
from selfplay.config.domains import ProblemKind
from selfplay.config.sandbox import SandboxSettings
from selfplay.engines.base import Sample
from selfplay.evaluation.figures import outcome_of, suite_rows
from selfplay.evaluation.measuring import MeasuredProblem, measured_problems
from selfplay.evaluation.suites_of_run import judge_of
from selfplay.rollouts.completions import Completion, Origin
from selfplay.run.records import Seed
from selfplay.run.tables import write_table
from selfplay.suites.load import Suite
from verifiers.model import Task

PROBLEMS, SAMPLES, BATCH = 2500, 4, 512
WORKING = "So we simplify, and find that this is the same as before, which gives the value below. " * 6


def run() -> dict[str, Any]:
    """Seconds of each step."""
    suite, completions = _made()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for step in ("verdicts", "verdicts again"):
            with judge_of([suite], SandboxSettings(workers=1), folder) as judge:
                judge.verifiers[suite.name].verify(Task("", "1"), "\\boxed{1}")
                begun = spent()
                rows = list(measured_problems(judge, suite, completions))
                seconds[step] = spent() - begun
        begun = spent()
        write_table(folder / "table.parquet", MeasuredProblem, rows)
        seconds["table"] = spent() - begun
        begun = spent()
        outcome = outcome_of(folder / "table.parquet")
        figures = suite_rows(suite.name, outcome, 10_000, 0)
        seconds["figures"] = spent() - begun
    shown = {step: round(value, 2) for step, value in seconds.items()}
    return {"completions": PROBLEMS * SAMPLES, "passed": round(figures[0]["value"], 3), "seconds": shown}


def spent() -> float:
    """Processor time so far of this process and those that it has started."""
    own = psutil.Process()
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _made() -> tuple[Suite, list[list[Completion]]]:
    rng = random.Random(0)
    problems, written = [], []
    for number, (gold, other) in enumerate(math_like_pairs(PROBLEMS)):
        seed = Seed(f"p{number}", "math", "heldout", str(number), (), "", "", Task(f"{number}?", gold), "", None)
        problems.append(seed)
        for index in range(SAMPLES):
            answer = gold if rng.random() < 0.3 else other if rng.random() < 0.6 else str(rng.randint(0, 9))
            sample = Sample(f"{WORKING} \\boxed{{{answer}}}", (), complete=True, completion_tokens=150)
            written.append(Completion(seed, Origin(("benchmark",), 0, "math"), index, seed.problem, sample))
    suite = Suite("math", tuple(problems), ProblemKind(), "made here", "", None, "")
    return suite, list(_batches(written))


def _batches(written: list[Completion]) -> Iterator[list[Completion]]:
    for start in range(0, len(written), BATCH):
        yield written[start : start + BATCH]
