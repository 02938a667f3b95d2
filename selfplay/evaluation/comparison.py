"""Models side by side: figures, paired differences from the first of them, and problems that went the other way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.load import differences
from selfplay.evaluation.compared import Answers, Compared
from selfplay.evaluation.difference import Difference, difference
from selfplay.evaluation.figures import ALL
from selfplay.evaluation.metrics import Estimate, estimate, stratified_estimate
from selfplay.run.seeding import derive

RESAMPLES = 10_000
HALF = 0.5
"""Share of passed completions from which on a problem counts as solved."""


class NothingShared(UserError):
    """Models were measured on nothing that both have."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A problem that the first model solved and another did not, or the other way round."""

    suite: str
    problem: str
    before: float
    after: float
    first: Answers
    second: Answers

    @property
    def won(self) -> bool:
        """Whether the second model solves it."""
        return self.after > self.before


@dataclass(frozen=True, slots=True)
class Against:
    """A model against the first one."""

    name: str
    differences: Mapping[str, Difference]
    """By suite; over all that both have last, each problem once, where there are several."""
    won: int
    lost: int
    flips: Sequence[Flip]
    """Those that moved most, of both kinds."""
    settings: Sequence[str]
    """Settings that differ, a line each."""


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Models side by side."""

    models: Sequence[Compared]
    suites: Sequence[str]
    figures: Mapping[tuple[str, str], Estimate]
    """By model and suite; over all of them, too, those that every model has, each problem once."""
    against: Sequence[Against]


def compare(models: Sequence[Compared], flips: int, seed: int = 0) -> ModelComparison:
    """Compares every model with the first.

    Args:
        models: two or more.
        flips: most problems of each kind to show for a model.
        seed: of the bootstrap and the permutations.

    Raises:
        NothingShared: there are fewer than two models, or no suite of the first is shared.
    """
    if len(models) < 2:
        known = f"there is only {models[0].name}" if models else "there is none"
        raise NothingShared(f"a comparison takes two models or more, and {known}; give another evaluation or run")
    first, *others = models
    if not any(first.values.keys() & one.values.keys() for one in others):
        raise NothingShared(
            f"{first.source} has {', '.join(first.values)}, and the others have none of these; measure all on the same "
            "suites"
        )
    suites = list(dict.fromkeys(suite for one in models for suite in one.values))
    pooled = _counted_once(first, [suite for suite in first.values if all(suite in one.values for one in models)])
    figures = {(one.name, suite): found for one in models for suite, found in _estimates(one, pooled, seed).items()}
    return ModelComparison(models, suites, figures, [_against(first, one, flips, seed) for one in others])


def _counted_once(model: Compared, suites: Sequence[str]) -> list[str]:
    """Those of some suites that share no problem with an earlier one: a run has several figures of each problem, which
    are not as good as as many problems."""
    known: set[str] = set()
    found = []
    for suite in suites:
        if known.isdisjoint(model.values[suite]):
            known |= model.values[suite].keys()
            found.append(suite)
    return found


def _estimates(model: Compared, pooled: Sequence[str], seed: int) -> dict[str, Estimate]:
    found = {
        suite: estimate(list(values.values()), RESAMPLES, derive(seed, "compare", suite))
        for suite, values in model.values.items()
    }
    if len(pooled) > 1:
        strata = [list(model.values[suite].values()) for suite in pooled]
        found[ALL] = stratified_estimate(strata, RESAMPLES, derive(seed, "compare", ALL))
    return found


def _against(first: Compared, second: Compared, flips: int, seed: int) -> Against:
    shared = [suite for suite in first.values if suite in second.values]
    found = {
        suite: difference({suite: first.values[suite]}, {suite: second.values[suite]}, RESAMPLES, derive(seed, suite))
        for suite in shared
    }
    pooled = _counted_once(first, shared)
    if len(pooled) > 1:
        found[ALL] = difference(
            {suite: first.values[suite] for suite in pooled}, second.values, RESAMPLES, derive(seed, ALL)
        )
    won, lost = _flipped(first, second, pooled, 1), _flipped(first, second, pooled, -1)
    return Against(
        second.name,
        found,
        len(won),
        len(lost),
        _with_answers(first, second, [*won[:flips], *lost[:flips]]),
        differences(dict(first.settings), dict(second.settings)),
    )


Flipped = tuple[str, str, float, float]
"""Suite, problem, and the shares that passed."""


def _flipped(first: Compared, second: Compared, suites: Sequence[str], sign: int) -> list[Flipped]:
    """The problems that came to be solved (1) or unsolved (-1), those that moved most first."""
    found: list[Flipped] = []
    for suite in suites:
        after = second.values[suite]
        for problem, a in first.values[suite].items():
            b = after.get(problem)
            if a is not None and b is not None and (a >= HALF) != (b >= HALF) and (b - a) * sign > 0:
                found.append((suite, problem, a, b))
    return sorted(found, key=lambda one: (-abs(one[3] - one[2]), one[0], one[1]))


def _with_answers(first: Compared, second: Compared, found: Sequence[Flipped]) -> list[Flip]:
    ids: dict[str, list[str]] = {}
    for suite, problem, *_ in found:
        ids.setdefault(suite, []).append(problem)
    before = {suite: first.answers(suite, wanted) for suite, wanted in ids.items()}
    after = {suite: second.answers(suite, wanted) for suite, wanted in ids.items()}
    return [Flip(suite, problem, a, b, before[suite][problem], after[suite][problem]) for suite, problem, a, b in found]


def facts(found: ModelComparison) -> dict[str, Any]:
    """A comparison as its page shows it."""
    return {
        "models": [{"name": one.name, "source": one.source, "best": one.best} for one in found.models],
        "suites": [*found.suites, *([ALL] if any(suite == ALL for _, suite in found.figures) else [])],
        "figures": found.figures,
        "against": [
            {
                "name": one.name,
                "differences": one.differences,
                "won": one.won,
                "lost": one.lost,
                "settings": one.settings,
                "flips": [_shown(flip) for flip in one.flips],
            }
            for one in found.against
        ],
        "rows": chart_rows(found),
    }


def _shown(flip: Flip) -> dict[str, Any]:
    """A flip with the completions that show it: one that passed, and one that did not."""
    return {
        "suite": flip.suite,
        "problem": flip.first.problem,
        "label": flip.first.label,
        "won": flip.won,
        "before": flip.before,
        "after": flip.after,
        "first": flip.first.one_that(not flip.won),
        "second": flip.second.one_that(flip.won),
    }


def chart_rows(found: ModelComparison) -> list[dict[str, Any]]:
    """Figures over rounds, as `report.charts.accuracy_charts` takes them: a curve for each source; none where no
    source has several rounds."""
    rounds: dict[str, set[int]] = {}
    for one in found.models:
        if one.round is not None:
            rounds.setdefault(one.source, set()).add(one.round)
    names = {source: Path(source).name for source in rounds}
    if len(set(names.values())) < len(names):
        names = {source: source for source in rounds}
    return [
        {"domain": suite, "metric": names[one.source], "round": one.round}
        | {name: getattr(found.figures[one.name, suite], name) for name in ("value", "low", "high", "n")}
        for suite in found.suites
        for one in found.models
        if one.round is not None and len(rounds[one.source]) > 1 and (one.name, suite) in found.figures
    ]
