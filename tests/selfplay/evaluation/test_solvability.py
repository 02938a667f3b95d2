"""How hard problems are for a weak solver, beside what speaks against their being solvable."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.errors import UserError
from selfplay.config.evaluation import Measurement
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.evaluation.measuring import MeasuredProblem
from selfplay.evaluation.solvability import (
    NothingMeasured,
    SolvedProblem,
    band_of,
    doubts,
    measured_table,
    solved_problems,
    two_way,
)
from selfplay.evaluation.well_posed import judge_at, with_scores
from selfplay.run.files import RunError
from selfplay.run.tables import write_table
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.evaluation.folders import measured, suite_of
from verifiers.rules.text import ExactVerifier

Answers = Sequence[Sequence[str | None]]


def evaluated(path: Path, answers: Answers, labels: Sequence[str | None], model: str = "m") -> Path:
    """An evaluation in which each problem got these answers; null labels leave them unjudged."""
    suite = suite_of("sums", [str(n) for n in range(len(answers))])
    asked = suite.solving.model_copy(update={"verifier": "exact"})
    suite = dataclasses.replace(suite, solving=asked)
    rows = []
    for place, (said, label) in enumerate(zip(answers, labels, strict=True)):
        passed = [None if label is None else one == label for one in said]
        wrong = sorted({one for one in said if one is not None and one != label})
        numbers = [None if one is None else 0 if one == label else 1 + wrong.index(one) for one in said]
        row = measured(suite, place, [bool(one) for one in passed], "x")
        rows.append(
            dataclasses.replace(
                row, passed=tuple(passed), answers=tuple(said), classes=tuple(numbers), label=label or ""
            )
        )
    with EvaluationFolder.open(path) as folder:
        known = {model: {"identity": [model], "round": None, "best": False}}
        folder.claim(Measurement().deciding(), known, [suite], {})
        folder.keep(model, "sums", "key", rows)
    return path


STRONG: Answers = [["1", "1", "1", "1"], ["2", "3", "4", None], ["7", "7", "7", "8"], [None] * 4]
LABELS = ["1", None, "8", None]
WEAK: Answers = [["1", "0"], ["2", "5"], ["8", "0"], ["1", "2"]]


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [evaluated(tmp_path / "weak", WEAK, LABELS), evaluated(tmp_path / "strong", STRONG, LABELS)]


def test_each_problem_has_both_sides(pair: list[Path]) -> None:
    tables = [measured_table(str(one), []) for one in pair]
    found = solved_problems(tables[0], tables[1], {"sums": ExactVerifier()})
    assert [one.weak for one in found] == [0.5, 0.5, 0.0, None]
    assert [one.agreement for one in found] == [1.0, 0.25, 0.75, 0.0]
    # A label that the reference does not reach; where there is none, nothing contradicts.
    assert [one.contradicted for one in found] == [False, None, True, None]
    assert [bool(doubts(one, 3)) for one in found] == [False, True, True, True]


def test_an_answer_that_could_not_be_checked_contradicts_nothing_and_confirms_nothing(tmp_path: Path) -> None:
    """Its problem was counted among those whose label agrees with the reference."""
    suite = suite_of("sums", ["0"])
    row = dataclasses.replace(
        measured(suite, 0, [False] * 3, "x"), answers=("5", "5", "1"), classes=(1, 1, 2), passed=(None, None, False)
    )
    found = []
    for place, passed in enumerate([(None, None, False), (None, False, False), (None, True, False)]):
        other = dataclasses.replace(row, id=str(place), passed=passed)
        table = tmp_path / f"{place}.parquet"
        write_table(table, MeasuredProblem, [other])
        found += solved_problems({"sums": table}, {"sums": table}, {"sums": ExactVerifier()})
    assert [one.contradicted for one in found] == [None, True, False]


def test_the_table_has_a_row_a_band_and_counts_what_is_doubtful(pair: list[Path]) -> None:
    done = CliRunner().invoke(app, ["difficulty", str(pair[0]), f"{pair[1]}:m", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    rows = {row["weak"]: row for row in found["table"]}
    assert list(rows) == ["never", "less than half", "half or more", "always", "cannot be told"]
    assert rows["never"] | {"problems": 1, "contradicted": 1, "labelled": 1, "doubtful": 1} == rows["never"]
    assert rows["half or more"] | {"problems": 2, "agrees": 1, "disagrees": 1, "doubtful": 1} == rows["half or more"]
    assert len(found["problems"]) == 4
    shown = CliRunner().invoke(app, ["difficulty", str(pair[0]), str(pair[1])])
    words = " ".join(shown.output.split())
    assert "Of 1 problems that the weak solver never gets, 1 may be ill-posed rather than hard." in words
    assert "its label contradicts the reference" in words


def test_programs_have_their_tests_as_the_reference(tmp_path: Path) -> None:
    weak = evaluated(tmp_path / "weak", [["1", "0"], ["0", "0"]], ["1", "1"])
    strong = evaluated(tmp_path / "strong", [["1", "1", "1", "0"], ["0"] * 4], ["1", "1"])
    tables = [measured_table(str(one), []) for one in (weak, strong)]
    found = solved_problems(tables[0], tables[1], {"sums": None})
    assert [(one.weak, one.agreement, one.contradicted) for one in found] == [(0.5, 0.75, False), (0.0, 1.0, True)]


def test_a_judge_of_well_posedness_may_be_asked(pair: list[Path], tmp_path: Path) -> None:
    """Its answer to one problem cannot be read, which leaves that one without a score."""

    def reply(text: str, seed: int) -> str:
        ticket = text.partition('"ticket": "')[2].partition('"')[0]
        scores = {"format": 5, "accuracy": 4, "solvability": 1 if "\n1 <b>" in text else 3}
        return "no" if "\n3 <b>" in text else json.dumps({"ticket": ticket, **scores, "reason": ""})

    server = OpenAIServer()
    server.reply = reply
    tables = [measured_table(str(one), []) for one in pair]
    problems = solved_problems(tables[0], tables[1], {"sums": ExactVerifier()})
    store = tmp_path / "answers.sqlite"
    try:
        judge = judge_at(server.url, "judge", None)
        found = with_scores(problems, judge, store, lambda _: None, lambda _: None)
    finally:
        server.close()
    assert [one.score for one in found] == [3, 1, 3, None]
    assert doubts(found[1], 3)[-1] == "the judge gives it 1"
    with pytest.raises(UserError, match="--judge nowhere: is no address"):
        judge_at("nowhere", "judge", None)


def test_bands_leave_no_accuracy_out() -> None:
    bands = {weak: band_of(weak) for weak in (None, 0.0, 0.25, 0.5, 0.75, 1.0)}
    assert list(bands.values()) == [None, "never", "less than half", "half or more", "half or more", "always"]
    judged = [SolvedProblem("s", "a", "?", 0.0, 1.0, 5.0, None, score=score) for score in (2, 3, None)]
    [never] = [row for row in two_way(judged, 3) if row["weak"] == "never"]
    assert never | {"judged": 2, "ill_posed": 1, "doubtful": 1, "tokens": 5.0} == never


def test_what_cannot_be_set_beside_is_said(pair: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no evaluation; give the folder"):
        measured_table(str(tmp_path), [])
    with pytest.raises(RunError, match="has the models m; name one, as in"):
        measured_table(f"{pair[0]}:other", [])
    with pytest.raises(RunError, match="has no suite words; it has sums"):
        measured_table(str(pair[0]), ["words"])
    with pytest.raises(NothingMeasured, match="measure both models on the same suite"):
        solved_problems({"words": pair[0]}, {"sums": pair[1]}, {})
    done = CliRunner().invoke(app, ["difficulty", str(pair[0]), str(pair[1]), "--judge", "http://127.0.0.1:1/v1"])
    assert "give --judge and --judge-model together" in done.stderr
