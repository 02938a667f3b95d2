"""The closing table: what it reads of the stages."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from selfplay.evaluation.evaluate import metric_rows, metric_values
from selfplay.pipeline.summary import summarise
from selfplay.run.directory import RunDirectory, Stage
from selfplay.run.plan import Kind, PlannedStage
from selfplay.run.records import Rollout
from selfplay.run.results import EvaluationResult
from tests.selfplay.tracking.runs import recipe


def evaluated(run: RunDirectory, number: int) -> tuple[PlannedStage, Stage]:
    rows = [
        Rollout(f"{at}", f"t{at // 4}", "math", number, "T=1.0", at % 4, "x" * 20_000, at % 3 == 0, 0.0, "s", "r" * 900)
        for at in range(400)
    ]
    planned = PlannedStage(Kind.EVALUATION, number)
    stage = run.stage(planned.name)
    stage.write("rollouts", Rollout, rows)
    stage.finish(1.0, "", "", EvaluationResult(rollouts=400, not_checked=0))
    return planned, stage


def test_the_completions_of_all_evaluations_are_not_held(tmp_path: Path) -> None:
    settings = recipe("disabled")
    settings = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"bootstrap": 100})})
    clock: Any = SimpleNamespace(rows=list, overhead_share=0.0, seconds=0.0)
    with RunDirectory.open(tmp_path, settings) as run:
        stages = [evaluated(run, number) for number in range(4)]
        tracemalloc.start()
        summary = summarise(run, stages, clock)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows = stages[3][1].read("rollouts", Rollout)
        values = metric_values([(row.domain, row.mode, row.task_id, row.passed) for row in rows])
        expected = metric_rows(values, settings.evaluation, 3, settings.seed)
    assert summary["evaluation"][-len(expected) :] == expected
    assert peak < 2_000_000, "no texts at all"
