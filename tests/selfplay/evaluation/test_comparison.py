"""Evaluations side by side: figures, differences, flips both ways, the page."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from selfplay.config.errors import UserError
from selfplay.evaluation.compared import Compared, Values, read_compared
from selfplay.evaluation.comparison import NothingShared, chart_rows, compare, facts
from selfplay.evaluation.figures import ALL
from selfplay.report.page import rendered, write_comparison
from selfplay.run.files import RunError, read_json, write_json
from tests.selfplay.evaluation.folders import write_evaluation

BEFORE = {"sums": [[True, False], [True, True], [False, False], [False, True]] * 3}
AFTER = {"sums": [[True, True], [False, False], [True, True], [False, True]] * 3}


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [
        write_evaluation(tmp_path / "before", {"model": BEFORE}, samples=2),
        write_evaluation(tmp_path / "after", {"model": AFTER}, samples=2, sampling={"temperature": 1.0}),
    ]


def test_figures_and_differences(pair: list[Path]) -> None:
    found = compare(read_compared(pair), flips=2)
    assert [one.name for one in found.models] == ["before/model", "after/model"]
    assert found.figures["before/model", "sums"].value == 0.5
    [other] = found.against
    assert other.differences["sums"].value == pytest.approx((0.5 - 1 + 1 + 0) / 4)
    assert other.differences["sums"].n == 12
    assert other.settings == ["sampling.temperature: 0.6 -> 1.0"]


def test_another_prompt_is_a_setting_that_differs(tmp_path: Path) -> None:
    places = [write_evaluation(tmp_path / name, {"model": BEFORE}, samples=2) for name in ("before", "after")]
    about = read_json(places[1] / "evaluation.json")
    about["suites"]["sums"]["prompt"]["templates"] = ["Say: {problem}"]
    write_json(places[1] / "evaluation.json", about)
    [other] = compare(read_compared(places), flips=0).against
    [line] = other.settings
    assert line.startswith("prompts.sums: ")
    assert "Say: {problem}" in line


def test_problems_that_went_the_other_way(pair: list[Path]) -> None:
    [other] = compare(read_compared(pair), flips=2).against
    # The second of every four was lost, the third won.
    assert (other.won, other.lost) == (3, 3)
    assert [(flip.problem, flip.won) for flip in other.flips] == [
        ("sums-10", True),
        ("sums-2", True),
        ("sums-1", False),
        ("sums-5", False),
    ]
    won, lost = other.flips[1], other.flips[2]
    assert won.first.one_that(False) == ("model 2.0: wrong", "it is not the answer")
    assert won.second.one_that(True) == ("model 2.0: right", "")
    assert lost.first.one_that(True)[0] == "model 1.0: right"
    assert lost.second.one_that(False)[0] == "model 1.0: wrong"


def test_rounds_make_curves(tmp_path: Path) -> None:
    of_run = write_evaluation(tmp_path / "run", {"base": BEFORE, "round-1": AFTER}, samples=2)
    found = compare(read_compared([of_run]), flips=0)
    rows = chart_rows(found)
    assert [(row["domain"], row["round"], row["value"]) for row in rows] == [("sums", 0, 0.5), ("sums", 1, 0.625)]
    assert chart_rows(compare(read_compared([of_run, of_run]), flips=0))


def test_the_page_escapes_and_stands_alone(pair: list[Path], tmp_path: Path) -> None:
    found = compare(read_compared(pair), flips=5)
    write_comparison(tmp_path / "page.html", facts(found))
    page = (tmp_path / "page.html").read_text()
    assert html.escape("2 <b>&</b> 1?") in page
    assert "<b>&</b>" not in page
    assert "default-src 'none'" in page
    assert html.escape(found.against[0].differences["sums"].sentence) in page
    assert "model 2.0: wrong" in page
    assert rendered("comparison.html.j2", facts(found) | {"charts": {}})


def test_what_cannot_be_compared_is_said(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(NothingShared, match="takes two models or more, and there is only model"):
        compare(read_compared(pair[:1]), flips=1)
    other = write_evaluation(tmp_path / "other", {"model": {"else": [[True, True]]}}, samples=2)
    with pytest.raises(NothingShared, match="has sums, and the others have none of these"):
        compare(read_compared([pair[0], other]), flips=1)
    with pytest.raises(RunError, match="is neither an evaluation"):
        read_compared([tmp_path])
    assert issubclass(NothingShared, UserError)


def _model(name: str, values: Values) -> Compared:
    return Compared(name, values, {}, lambda _, ids: {}, name)


def test_figures_of_the_same_problems_count_once_over_all() -> None:
    """A run has an accuracy of each held-out problem at each temperature; taken as further problems, three of them
    told two models apart in 15% of all draws in which neither was better."""
    rows = {domain: {f"{domain}{n}": float(n % 2) for n in range(12)} for domain in ("math", "code")}
    others = {domain: dict.fromkeys(values, 1.0) for domain, values in rows.items()}
    once, thrice = ([_model(f"{n}", _at(of, modes)) for n, of in enumerate((rows, others))] for modes in (1, 3))
    found, repeated = compare(once, flips=0), compare(thrice, flips=0)
    assert repeated.figures["0", ALL] == found.figures["0", ALL]
    assert repeated.against[0].differences[ALL] == found.against[0].differences[ALL]
    assert (repeated.against[0].won, repeated.against[0].differences[ALL].n) == (12, 24)


def _at(rows: Values, modes: int) -> Values:
    return {f"{domain}, mode {mode}": values for mode in range(modes) for domain, values in rows.items()}


def test_the_figure_over_all_is_of_the_suites_that_every_model_has() -> None:
    """Beside a difference over what both have stood means over what each has: 50 and 67 where nothing had changed."""
    both = {suite: {f"{suite}{n}": float(n % 2) for n in range(4)} for suite in ("one", "two")}
    more = both | {"easy": {f"easy{n}": 1.0 for n in range(4)}}
    found = compare([_model("first", both), _model("second", more)], flips=0)
    assert found.figures["second", ALL].value == found.figures["first", ALL].value == 0.5
    assert found.figures["second", "easy"].value == 1.0
    alone = compare([_model("first", both), _model("second", {"one": both["one"]})], flips=0)
    assert ("first", ALL) not in alone.figures
    assert ALL not in alone.against[0].differences
