"""A rating from standings: recovered where it is known, and the rules of points, ties and missing files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.evaluation.contest_rating import (
    HIGHEST,
    LOWEST,
    StandingsError,
    TriedProblem,
    expected_rank,
    pooled_rating,
    rate,
    rating_of_rank,
    tried_problems,
)
from tests.selfplay.evaluation.folders import write_evaluation

PEOPLE = 300


def write_contest(
    folder: Path,
    number: int,
    scores: Sequence[tuple[float, float]],
    ratings: Sequence[float],
    kind: str = "ICPC",
    problems: Mapping[str, float | None] | None = None,
) -> None:
    """The two answers of the API for a contest, with one row and one rating for each person."""
    rows = [
        {
            "party": {"members": [{"handle": f"h{place}"}], "participantType": "CONTESTANT"},
            "points": points,
            "penalty": penalty,
        }
        for place, (points, penalty) in enumerate(scores)
    ]
    listed = [
        {"index": index} if points is None else {"index": index, "points": points}
        for index, points in (problems or {"A": None}).items()
    ]
    standings = {"contest": {"id": number, "type": kind}, "problems": listed, "rows": rows}
    changes = [{"handle": f"h{place}", "oldRating": rating} for place, rating in enumerate(ratings)]
    for name, result in {"standings": standings, "ratings": changes}.items():
        (folder / f"{number}.{name}.json").write_text(json.dumps({"status": "OK", "result": result}))


def test_a_simulated_player_is_recovered(tmp_path: Path) -> None:
    """100 contests in which each of 300 people is better with the chance that the rating says."""
    rng, true = np.random.default_rng(0), 2000.0
    for number in range(100):
        people = np.clip(rng.normal(1500, 350, PEOPLE), 0, 3800)
        better = rng.random(PEOPLE) < 1 / (1 + 10 ** ((true - people) / 400))
        # The player solves one problem; who is better has solved two.
        write_contest(tmp_path, number, [(2.0 if one else 0.0, 0.0) for one in better], list(people))
    tried = {str(number): {"A": TriedProblem(True, 0)} for number in range(100)}
    found = rate(tmp_path, tried, 2000, 0)
    assert abs(found.mean.value - true) < 25
    assert abs(found.pooled.value - true) < 25
    assert found.mean.low < true < found.mean.high
    assert found.failed == {}


def test_good_and_bad_days_bias_the_mean_and_not_the_pooled_rating() -> None:
    """The Elo model itself: a performance is the rating and a Gumbel noise, the player's too."""
    rng, true, scale = np.random.default_rng(0), 2400.0, 400 / np.log(10)
    ranks = []
    for _ in range(300):
        people = np.clip(rng.normal(1500, 350, PEOPLE), 0, 3800)
        better = people + scale * rng.gumbel(size=PEOPLE) > true + scale * rng.gumbel()
        ranks.append((1.0 + better.sum(), people))
    mean = np.mean([rating_of_rank(rank, people) for rank, people in ranks])
    assert abs(pooled_rating(ranks, 200, 0).value - true) < 25
    assert mean - true > 100


def test_the_expected_rank_by_hand() -> None:
    people = np.array([1500.0, 1900.0])
    assert expected_rank(1500, people) == pytest.approx(1 + 1 / 2 + 10 / 11)
    assert rating_of_rank(1 + 1 / 2 + 10 / 11, people) == pytest.approx(1500, abs=1e-3)
    assert (rating_of_rank(1, people), rating_of_rank(3, people)) == (HIGHEST, LOWEST)


def only_rank(tmp_path: Path, tried: Mapping[str, TriedProblem]) -> float:
    return rate(tmp_path, {"7": tried}, 100, 0).contests[0].rank


def test_wrong_tries_cost_points(tmp_path: Path) -> None:
    scores = [(1500.0, 0.0), (1000.0, 0.0), (950.0, 0.0), (300.0, 0.0)]
    write_contest(tmp_path, 7, scores, [1500.0] * 4, "CF", {"A": 500.0, "B": 1000.0})
    assert only_rank(tmp_path, {"A": TriedProblem(True, 0), "B": TriedProblem(True, 0)}) == 1.5
    # 1000 less 50, which ties with the third.
    assert only_rank(tmp_path, {"B": TriedProblem(True, 1)}) == 3.5
    # Never less than three tenths: 300 ties with the last.
    assert only_rank(tmp_path, {"B": TriedProblem(True, 40)}) == 4.5
    # Nothing solved is behind everybody, and tries at what was not solved cost nothing.
    assert only_rank(tmp_path, {"A": TriedProblem(False, 8)}) == 5.0


def test_wrong_tries_cost_minutes(tmp_path: Path) -> None:
    write_contest(tmp_path, 7, [(1.0, 5.0), (1.0, 15.0)], [1500.0] * 2, "ICPC", {"A": None, "B": None})
    assert [only_rank(tmp_path, {"A": TriedProblem(True, wrong)}) for wrong in (0, 1, 2)] == [1.0, 2.0, 3.0]


def test_people_have_both_a_place_and_a_rating(tmp_path: Path) -> None:
    write_contest(tmp_path, 7, [(2.0, 0.0)] * 3, [1500.0])
    assert rate(tmp_path, {"7": {"A": TriedProblem(True, 0)}}, 100, 0).contests[0].people == 1


@pytest.mark.parametrize(
    ("points", "rating"), [("nan", 1500), (10**400, 1500), (1, "nan")], ids=str.split("text huge rating")
)
def test_what_is_no_number_is_no_rating(tmp_path: Path, points: object, rating: object) -> None:
    """A text that means NaN made a solver the first of its contest, or ended the command in a traceback."""
    write_contest(tmp_path, 7, [(points, 0.0)], [rating])  # type: ignore[list-item]
    with pytest.raises(StandingsError, match="not the shape of the API's answers"):
        rate(tmp_path, {"7": {"A": TriedProblem(True, 0)}}, 100, 0)


def test_contests_that_fail_are_named(tmp_path: Path) -> None:
    write_contest(tmp_path, 7, [(1.0, 0.0)], [1500.0])
    write_contest(tmp_path, 8, [(1.0, 0.0)], [])
    (tmp_path / "9.standings.json").write_text("{}")
    (tmp_path / "9.ratings.json").write_text("[]")
    (tmp_path / "10.standings.json").write_text('{"result": {')
    tried = {number: {"A": TriedProblem(True, 0)} for number in ("7", "8", "9", "10", "11")}
    found = rate(tmp_path, tried | {"7": {"A": TriedProblem(True, 0)}}, 100, 0)
    assert [one.contest for one in found.contests] == ["7"]
    assert set(found.failed) == {"8", "9", "10", "11"}
    assert "nobody has both" in found.failed["8"]
    assert "not the shape of the API's answers" in found.failed["9"]
    assert "11.standings.json" in found.failed["11"]
    with pytest.raises(StandingsError, match=r"no contest of 1 could be rated; the first: .*has no problem Z"):
        rate(tmp_path, {"7": {"Z": TriedProblem(True, 0)}}, 100, 0)


def test_the_command_reads_an_evaluation(tmp_path: Path) -> None:
    passed = [[False, True, True], [False, False, False]]
    place = write_evaluation(tmp_path / "evaluation", {"model": {"codeforces": passed}}, samples=3)
    with pytest.raises(StandingsError, match="names no problem of a contest"):
        tried_problems(place / "results" / "model" / "codeforces.parquet", 8)
    named = write_evaluation(tmp_path / "named", {"model": {"codeforces": passed}}, names=["7/a", "7B1"], samples=3)
    found = tried_problems(named / "results" / "model" / "codeforces.parquet", 2)
    assert found == {"7": {"A": TriedProblem(True, 1), "B1": TriedProblem(False, 2)}}
    write_contest(tmp_path, 7, [(1.0, 5.0), (1.0, 15.0)], [1500.0] * 2, "ICPC", {"A": None, "B1": None})
    done: Any = CliRunner().invoke(app, ["rate", str(named), "--standings", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "model: 1500 [1500, 1500], the mean over 1 contests" in done.output
    assert "as the paper has it, the mean over contests: 30B-A3B, before self-play 2044" in done.output
    refused = CliRunner().invoke(app, ["rate", str(named), "--standings", str(tmp_path), "--suite", "other"])
    assert "has no suite other; it has codeforces" in refused.stderr


def test_newcomers_have_no_rating(tmp_path: Path) -> None:
    """The API says 0 of whoever has none yet; they may be as good as anyone."""
    write_contest(tmp_path, 1, [(2.0, 0.0), (0.0, 0.0), (2.0, 0.0), (2.0, 0.0)], [1500, 1500, 0, 0])
    [found] = rate(tmp_path, {"1": {"A": TriedProblem(True, 0)}}, 10, 0).contests
    assert (found.people, found.rank) == (2, 2.0)
    assert found.rating == pytest.approx(1500, abs=1e-3)


def test_contests_with_points_for_parts_are_not_rated(tmp_path: Path) -> None:
    """Under IOI rules people have points, of which a model's solved problems say nothing."""
    write_contest(tmp_path, 1, [(100.0, 0.0)], [1500], kind="IOI")
    write_contest(tmp_path, 2, [(1.0, 0.0)], [1500])
    tried = {str(number): {"A": TriedProblem(True, 0)} for number in (1, 2)}
    found = rate(tmp_path, tried, 10, 0)
    assert [one.contest for one in found.contests] == ["2"]
    assert "IOI" in found.failed["1"]
