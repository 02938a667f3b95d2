"""A Codeforces rating from frozen standings: the rating whose expected rank equals the one achieved.

Of each contest two answers of the Codeforces API lie in a folder, saved as they came: `ID.standings.json`
(contest.standings) and `ID.ratings.json` (contest.ratingChanges). Everything here is a function of these files and of
which problems were solved after how many wrong tries.

It differs from the published scripts of other projects in four ways. People count who have both a place in the
standings and a rating before the contest; a filter by one of the two lets in some without. Ranks start at 1, with half
a place for each tie. Contests that cannot be used are counted and named. And beside the mean of the contests' ratings,
which overstates whoever does better on some days than on others (docs/results/evaluation.md), stands the pooled rating.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.config.errors import UserError
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.evaluation.metrics import Estimate, estimate
from selfplay.run.tables import read_plain
from verifiers.untrusted.files import read_json
from verifiers.untrusted.shown import shown

Floats = NDArray[np.float64]
LOWEST, HIGHEST = 0.0, 4000.0
"""Between them a rating is looked for: of a first or last place there is no other bound."""
STEP = 20.0
"""Between ratings at which expected ranks are computed; between them they are nearly straight."""
WRONG_TRY, LEAST_SHARE = 50.0, 0.3
"""Points that a wrong try takes, and the share of a problem's points that is always left, under Codeforces' rules."""
PENALTY_MINUTES = 10.0
"""Of a wrong try, under ICPC rules on Codeforces."""


class StandingsError(UserError):
    """No contest could be rated; the message says why."""


@dataclass(frozen=True, slots=True)
class TriedProblem:
    """The fate of a problem."""

    solved: bool
    wrong: int
    """Tries before the right one; all of them where there is none."""


@dataclass(frozen=True, slots=True)
class ContestRating:
    """A contest as it was rated."""

    contest: str
    rating: float
    rank: float
    """Among the people, from 1; ties share their places."""
    people: int
    solved: int
    problems: int
    missing: int
    """Problems of the contest that were not tried, and so count as unsolved."""


@dataclass(frozen=True, slots=True)
class RatingReport:
    """The rating over contests."""

    mean: Estimate
    """The mean over contests of their ratings, with an interval by bootstrap over contests."""
    pooled: Estimate
    """The one rating whose expected ranks add up to those achieved, likewise."""
    contests: Sequence[ContestRating]
    failed: Mapping[str, str]
    """Contests that could not be rated, and why."""


def expected_rank(rating: float, people: Floats) -> float:
    """1 + the sum over people of the chance that each is better, 1 / (1 + 10^((rating - theirs) / 400))."""
    return float(1.0 + (1.0 / (1.0 + 10.0 ** ((rating - people) / 400.0))).sum())


def rating_of_rank(rank: float, people: Floats) -> float:
    """The rating whose expected rank is this; a bound where none within them is."""
    from scipy.optimize import brentq

    def surplus(rating: float) -> float:
        return expected_rank(rating, people) - rank

    if surplus(LOWEST) <= 0:
        return LOWEST
    if surplus(HIGHEST) >= 0:
        return HIGHEST
    return float(brentq(surplus, LOWEST, HIGHEST, xtol=1e-6))


def pooled_rating(ranks: Sequence[tuple[float, Floats]], resamples: int, seed: int) -> Estimate:
    """The rating whose expected ranks add up to those achieved, with its interval by bootstrap over contests.

    Args:
        ranks: of each contest the rank, and the ratings of the people.
        resamples: of the contests.
        seed: of their draws.
    """
    grid = np.arange(LOWEST, HIGHEST + STEP, STEP)
    surplus = np.array([[expected_rank(at, people) - rank for at in grid] for rank, people in ranks])
    draws = np.random.default_rng(seed).multinomial(len(ranks), np.full(len(ranks), 1 / len(ranks)), size=resamples)
    # It falls along the grid; where it is 0 lies the rating.
    sums = np.concatenate([surplus.sum(axis=0, keepdims=True), draws @ surplus])
    value, *drawn = (float(np.interp(0.0, -one, grid)) for one in sums)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(ranks))


def rate(folder: Path, tried: Mapping[str, Mapping[str, TriedProblem]], resamples: int, seed: int) -> RatingReport:
    """Rates a solver.

    Args:
        folder: of the standings and ratings.
        tried: for each contest, what became of its problems by their index (`A`, `B1`).
        resamples: of the bootstrap over contests.
        seed: of its draws.

    Raises:
        StandingsError: no contest could be rated.
    """
    found: list[tuple[ContestRating, Floats]] = []
    failed = {}
    for contest, problems in tried.items():
        try:
            found.append(_rated(folder, contest, problems))
        except _Unusable as error:
            failed[contest] = str(error)
    if not found:
        why = next(iter(failed.values()), "nothing was tried")
        raise StandingsError(f"{folder}: no contest of {len(tried)} could be rated; the first: {why}")
    mean = estimate([one.rating for one, _ in found], resamples, seed)
    pooled = pooled_rating([(one.rank, people) for one, people in found], resamples, seed)
    return RatingReport(mean, pooled, [one for one, _ in found], failed)


class _Unusable(ValueError):
    """A contest that cannot be rated."""


def _rated(folder: Path, contest: str, tried: Mapping[str, TriedProblem]) -> tuple[ContestRating, Floats]:
    standings = _result(folder / f"{contest}.standings.json", dict)
    changes = _result(folder / f"{contest}.ratings.json", list)
    where = f"contest {contest}"
    try:
        # A newcomer's rating is 0 there, whatever he is worth: he has none.
        before = {str(one["handle"]): old for one in changes if (old := _finite(one["oldRating"]))}
        scores = {
            str(row["party"]["members"][0]["handle"]): (_finite(row["points"]), -_finite(row["penalty"]))
            for row in standings["rows"]
            if row["party"].get("participantType", "CONTESTANT") == "CONTESTANT" and len(row["party"]["members"]) == 1
        }
        points = {str(one["index"]): _finite(one.get("points") or 1.0) for one in standings["problems"]}
        kind = standings["contest"].get("type")
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _Unusable(f"{where}: its files have not the shape of the API's answers ({error!r})") from error
    if kind not in ("CF", "ICPC"):
        raise _Unusable(f"{where}: is of the type {str(kind)[:20]}, where a problem may be solved in part")
    handles = sorted(scores.keys() & before.keys())
    if not handles:
        raise _Unusable(f"{where}: nobody has both a place in the standings and a rating")
    if unknown := sorted(tried.keys() - points.keys()):
        raise _Unusable(f"{where}: has no problem {', '.join(unknown)}; it has {', '.join(points)}")
    own = _score(tried, points, kind == "CF")
    better = sum(scores[handle] > own for handle in handles)
    equal = sum(scores[handle] == own for handle in handles)
    rank = 1.0 + better + equal / 2.0
    people = np.array([before[handle] for handle in handles], dtype=np.float64)
    solved = sum(one.solved for one in tried.values())
    rating = ContestRating(
        contest, rating_of_rank(rank, people), rank, len(handles), solved, len(points), len(points) - len(tried)
    )
    return rating, people


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number of points")
    return number


def _score(tried: Mapping[str, TriedProblem], points: Mapping[str, float], by_points: bool) -> tuple[float, float]:
    """Points and penalty as people's are compared: more is better. No time is counted, since a model takes none."""
    solved = {index: one for index, one in tried.items() if one.solved}
    if not by_points:
        return float(len(solved)), -PENALTY_MINUTES * sum(one.wrong for one in solved.values())
    total = sum(
        max(LEAST_SHARE * points[index], points[index] - WRONG_TRY * one.wrong) for index, one in solved.items()
    )
    return float(total), 0.0


def _result(file: Path, kind: type[Any]) -> Any:
    """The `result` of an answer of the API, or the answer itself where it was saved without its envelope."""
    content = read_json(file, _Unusable, "save the answer of the Codeforces API there")
    found = content.get("result", content) if isinstance(content, dict) else content
    if not isinstance(found, kind):
        raise _Unusable(f"{shown(file)}: holds no answer of the Codeforces API")
    return found


def tried_problems(table: Path, tries: int) -> dict[str, dict[str, TriedProblem]]:
    """The fate of each problem of a table of `selfplay evaluate`, by contest and index.

    The published name of a problem is that of its contest and its index, as in `1873/B1`, `1873B1` or `1873_B1`. Its
    completions are the tries, in order.

    Raises:
        StandingsError: a name is not of this form.
    """
    found: dict[str, dict[str, TriedProblem]] = {}
    for row in read_plain(table, MeasuredProblem, ("published", "passed")):
        name = str(row["published"])
        contest = "".join(itertools.takewhile(str.isdigit, name))
        index = name[len(contest) :].lstrip("/_-. ").upper()
        if not contest or not index:
            raise StandingsError(f"{table}: {name!r} names no problem of a contest; give the rows ids such as 1873/B1")
        outcomes = row["passed"][:tries]
        before = list(itertools.takewhile(lambda passed: passed is not True, outcomes))
        found.setdefault(contest, {})[index] = TriedProblem(True in outcomes, before.count(False))
    return found
