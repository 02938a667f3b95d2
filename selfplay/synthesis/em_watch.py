"""The end of the EM loop, and whose models go on: the stop rule, and guards against what EM can do to rationales.

Everything is a function of the rounds' measures, so that a run that was cut off comes to the same end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfplay.config.em import EM, EMGuards, EMStop

Measures = Mapping[str, float | None]
"""A round's row: NaN, or null on disk, where a measure could not be taken."""


@dataclass(frozen=True, slots=True)
class StopDecision:
    """The state of the loop after the rounds seen so far."""

    kept: int
    """The round whose models go on to synthesis; 0 is the cold start."""
    rounds: int
    """The last round seen."""
    reason: str
    """Why there is no further round; empty while nothing speaks against one."""

    @property
    def sentence(self) -> str:
        """The reason and the consequence, for people."""
        whose = "of the cold start" if self.kept == 0 else f"of round {self.kept}"
        return f"EM ended after round {self.rounds}: {self.reason}; the models {whose} go on"


def stop_decision(settings: EM, rows: Sequence[Measures]) -> StopDecision:
    """The outcome after these rounds, the cold start's row first.

    A guard that trips ends the loop, and the best healthy round goes on, by the joint NLL; so it is under a stop
    rule. Where nothing ended the loop and there is no stop rule, the last round goes on.
    """
    patience = Patience(settings.stop or EMStop(min_gain=0.0))
    best, reason = 0, ""
    for number, row in enumerate(rows):
        faults = tripped(settings.guards, rows[:number], row) if number else []
        if faults:
            return StopDecision(best, number, ", and ".join(faults))
        goes_on = patience.worth_another(row)
        best = number if patience.at_best else best
        if number and settings.stop is not None and not goes_on:
            reason = f"the joint NLL has not fallen by more than {settings.stop.min_gain:g} nats"
            return StopDecision(best, number, reason)
    last = len(rows) - 1
    return StopDecision(last if settings.stop is None else best, last, reason)


class Patience:
    """Finds the round with the lowest joint NLL, and says when it has no longer fallen for some rounds."""

    def __init__(self, settings: EMStop) -> None:
        self._settings = settings
        self._best = math.inf
        self._share = 0.0
        self.at_best = True
        """Whether the round told last is the best so far."""
        self._waited = 0

    def worth_another(self, row: Measures) -> bool:
        """Whether the loop should go on after a round with this row of measures."""
        value, share = _number(row.get("joint_nll")), _number(row.get("greedy_whole_share", 1.0))
        # A mean over fewer whole rationales is no progress: the hard pairs may just have dropped out.
        progress = self._best - value > self._settings.min_gain and share >= self._share
        self._waited = 0 if progress or math.isinf(self._best) else self._waited + 1
        self.at_best = progress
        if progress:
            self._best, self._share = value, share
        return self._waited < self._settings.patience


def tripped(guards: EMGuards, before: Sequence[Measures], row: Measures) -> list[str]:
    """Acts of a round that a guard forbids, in the words of its threshold.

    Args:
        guards: the thresholds; those that are null forbid nothing.
        before: the rows of the rounds before it, the cold start's first.
    """
    first = before[0]
    checks = (
        ("min_length_ratio", _ratio(row, first, "length"), "rationales shrank to {:.2f} of the cold start's length"),
        ("min_distinct_ratio", _ratio(row, first, "distinct_2"), "rationales kept {:.2f} of the cold start's variety"),
        ("max_copy_rate", _number(row.get("copy_rate")), "rationales copy {:.2f} of their problems"),
        ("min_parse_rate", _number(row.get("parse_rate"), -math.inf), "only {:.2f} of p's completions are well formed"),
        ("max_repetition", _number(row.get("repetition")), "{:.2f} of the 4-grams in p's completions are repeats"),
        ("max_nll_rise", _rise(row, before, "joint_nll"), "the joint NLL rose by {:.3f} nats"),
        ("max_bound_rise", _rise(row, before, "bound"), "the bound rose by {:.3f} nats"),
    )
    faults = []
    for name, value, sentence in checks:
        threshold = getattr(guards, name)
        if threshold is None or not (value < threshold if name.startswith("min_") else value > threshold):
            continue
        said = sentence.format(value) if math.isfinite(value) else "q no longer writes whole rationales"
        faults.append(f"{said} (em.guards.{name} is {threshold:g})")
    return faults


def _ratio(row: Measures, first: Measures, name: str) -> float:
    """A measure over the cold start's; -inf where the round's is missing, inf where there is nothing to compare."""
    value, reference = row.get(name), _number(first.get(name), 0.0)
    if value is None or math.isnan(value):
        return -math.inf
    return value / reference if reference > 0 else math.inf


def _rise(row: Measures, before: Sequence[Measures], name: str) -> float:
    """How far a measure lies above its lowest so far; 0 where no round before has it."""
    lowest = min(_number(other.get(name)) for other in before)
    return 0.0 if math.isinf(lowest) else _number(row.get(name)) - lowest


def _number(value: float | None, missing: float = math.inf) -> float:
    return missing if value is None or math.isnan(value) else value
