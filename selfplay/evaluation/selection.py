"""Which round's policy is the best: accuracy on development problems, so that held-out figures stay a report.

The score is the mean over domains of avg@k. The best of several rounds looks better than it is on the problems by which
it was chosen, which is why the figures of a run come from other ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from selfplay.config.training import Selection
from selfplay.engines.base import ModelRef
from selfplay.evaluation.evaluate import Judged, metric_values, outcomes_of
from selfplay.rollouts.completions import Origin
from selfplay.rollouts.rollout import stream_rollouts
from selfplay.run.directory import Stage
from selfplay.run.records import Rollout, Seed
from selfplay.run.results import SelectionResult
from selfplay.stage.context import Context

Row = dict[str, Any]
"""`round`, `score`, and the accuracy of each domain."""
DIGITS = 12
"""Places to which scores are compared."""


@dataclass(frozen=True, slots=True)
class SelectionOutcome:
    """The best round so far, and why the run ends, if it does."""

    best: int
    score: float
    stopped: str
    """A sentence; empty where the run goes on."""


def selection_stage(
    stage: Stage, context: Context, number: int, policy: ModelRef, problems: Sequence[Seed], before: Sequence[Row]
) -> SelectionResult:
    """Writes `rollouts`: the development problems with their verdicts; the counts hold the score.

    Args:
        stage: where to write.
        context: the run.
        number: the round, 0 for the base.
        policy: that of the round.
        problems: development problems.
        before: the scores of the rounds up to here.
    """
    settings = context.recipe.training.selection
    if settings is None:
        raise ValueError("a recipe without training.selection has no selection stage")
    context.listener.begin(f"selection {number}", len(problems) * settings.samples)
    batches = stream_rollouts(
        context.engine(policy),
        problems,
        context.recipe.evaluation.sampling_at(settings.temperature),
        settings.samples,
        context.seed("selection"),
        context.judge,
        domains=context.recipe.domains,
        origin=Origin(("selection", number), number, f"T={settings.temperature:g}, development"),
        on_progress=context.listener.advance,
    )
    stage.write("rollouts", Rollout, itertools.chain.from_iterable(batches))
    score = score_of(outcomes_of(stage), number)
    context.listener.log(stage.name, logged(score), number)
    outcome = selection_outcome(settings, [*before, score])
    return SelectionResult(score=score, best=outcome.best, stopped=outcome.stopped or None)


def score_of(outcomes: Iterable[Judged], number: int) -> Row:
    """The mean over domains of the mean over problems; what could not be checked is left out."""
    by_domain = {}
    for (domain, metric), values in metric_values(outcomes).items():
        known = [value for value in values.values() if value is not None]
        if metric.startswith("avg@") and known:
            by_domain[domain] = sum(known) / len(known)
    score = sum(by_domain.values()) / len(by_domain) if by_domain else 0.0
    return {"round": number, "score": score} | by_domain


def logged(score: Row) -> dict[str, float]:
    """The metrics of a score: the mean, and each domain's."""
    return {f"selection/{name}": value for name, value in score.items() if name != "round"}


def selection_outcome(settings: Selection, rows: Sequence[Row]) -> SelectionOutcome:
    """The best of the rounds so far; the first of equals, and none that is better by too little."""
    best = rows[0]
    for row in rows[1:]:
        if _is_better(row, best, settings.min_gain):
            best = row
    last = rows[-1]["round"]
    waited = last - best["round"]
    stopped = ""
    if settings.patience is not None and waited >= settings.patience:
        stopped = (
            f"self-play ended after round {last}: {_in_a_row(waited)} no better on the development problems than "
            f"{name_of(best['round'])} ({best['score']:.3f}), which is all that training.selection.patience allows"
        )
    return SelectionOutcome(best["round"], best["score"], stopped)


def _is_better(row: Row, best: Row, by: float) -> bool:
    """Whether a round gained more than `by`, over the domains that could be checked in both."""
    new, old = _by_domain(row), _by_domain(best)
    if new.keys() == old.keys():
        return _is_above(row["score"], best["score"], by)
    shared = new.keys() & old.keys()
    if not shared:
        return not old
    after, before = (sum(of[name] for name in shared) / len(shared) for of in (new, old))
    return _is_above(after, before, by)


def _is_above(new: float, old: float, by: float) -> bool:
    """Whether a score is above another by more than so much; sums in another order differ by rounding alone."""
    return round(new - old - by, DIGITS) > 0


def _by_domain(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("round", "score")}


def _in_a_row(rounds: int) -> str:
    return "it was" if rounds == 1 else f"{rounds} rounds in a row were"


def name_of(number: int) -> str:
    """A round as people call it."""
    return f"round {number}" if number else "the base"
