"""The closing table of a run, as `summary.json`, from what the stages wrote."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from selfplay.compute.clock import Clock
from selfplay.config.recipe import Recipe
from selfplay.evaluation.evaluate import comparable, gain_rows, metric_rows, metric_values, outcomes_of
from selfplay.evaluation.suites_of_run import suite_values
from selfplay.pipeline import rounds_summary
from selfplay.run.directory import RunDirectory
from selfplay.run.files import write_json
from selfplay.run.plan import Kind
from selfplay.run.results import ColdStartResult, EMResult, LabellingResult
from selfplay.synthesis.em_watch import Measures, stop_decision
from selfplay.tracking.surroundings import versions


def summarise(run: RunDirectory, stages: rounds_summary.Done, clock: Clock) -> dict[str, Any]:
    """Writes `summary.json` and returns it."""
    recipe = run.recipe
    evaluations = comparable(
        [
            metric_values(outcomes_of(stage)) | suite_values(stage.folder)
            for _, stage in rounds_summary.of_kind(stages, Kind.EVALUATION)
        ]
    )
    settings, seed = recipe.evaluation, recipe.seed
    labels = _first_labels(stages)
    best = rounds_summary.best_policy(run, stages)
    em_rows = [stage.result(ColdStartResult).row for _, stage in rounds_summary.of_kind(stages, Kind.COLD_START)]
    em_rows += [stage.result(EMResult).row for _, stage in rounds_summary.of_kind(stages, Kind.EM)]
    summary = {
        "name": recipe.name,
        "algorithm": recipe.training.algorithm,
        "rewards": recipe.training.rewards,
        "seed": seed,
        "evaluation": [r for n, values in enumerate(evaluations) for r in metric_rows(values, settings, n, seed)],
        "gains": [
            row
            for number, values in enumerate(evaluations[1:], 1)
            for row in gain_rows(evaluations[0], values, settings, number, seed)
        ],
        "prompts": rounds_summary.prompt_counts(stages),
        "labels": {
            "accuracy": labels and labels.label_accuracy,
            "n": labels.measured if labels else 0,
        },
        "rounds": rounds_summary.round_rows(stages),
        "selection": rounds_summary.selection_summary(stages),
        "best": dataclasses.asdict(best),
        "em": em_rows,
        "em_outcome": _em_outcome(recipe, em_rows),
        "stages": clock.rows(),
        "overhead_share": clock.overhead_share,
        "total_seconds": clock.seconds,
        "versions": versions(),
        "paths": {
            "model": best.place,
            "report": str(run.path / "report.html"),
            "metrics": str(run.metrics_file),
        },
    }
    rounds_summary.link_best(run, best)
    write_json(run.path / "summary.json", summary)
    return summary


def _em_outcome(recipe: Recipe, rows: Sequence[Measures]) -> dict[str, Any]:
    """Which round's models synthesised, and what ended the loop before its last round, if anything did."""
    if not rows:
        return {"kept": None, "rounds": 0, "stopped": None}
    outcome = stop_decision(recipe.em, rows)
    return {"kept": outcome.kept, "rounds": outcome.rounds, "stopped": outcome.sentence if outcome.reason else None}


def _first_labels(stages: rounds_summary.Done) -> LabellingResult | None:
    """The figures of the first labelling; later ones are of other prompts, or of a later policy."""
    found = dict(rounds_summary.of_kind(stages, Kind.LABELLING))
    return found[1].result(LabellingResult) if 1 in found else None
