"""`selfplay analyse` and `selfplay difficulty`: what they print, and what they leave for a run's report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.run.analysis import read_analysis
from selfplay.run.files import write_json
from selfplay.run.plan import Kind, PlannedStage, write_plan
from selfplay.run.records import Prompt, Seed
from selfplay.run.tables import write_table
from tests.selfplay.evaluation.folders import write_evaluation
from tests.selfplay.suites.test_load import lines
from verifiers.model import Task

PROBLEMS = [f"Tom has {n} apples, {n + 7} pears and {n * n} plums; how many pieces of fruit?" for n in range(30)]


def told(*given: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(one) for one in given])
    assert done.exit_code == code, (done.output, done.exception)
    return " ".join((done.stdout if code == 0 else done.stderr).split())


def suite_at(folder: Path) -> Path:
    rows = [{"id": f"p{n}", "problem": problem, "answer": "1"} for n, problem in enumerate(PROBLEMS)]
    return lines(folder / "aime24.jsonl", rows)


def run_at(folder: Path, problems: Sequence[str]) -> Path:
    """A run that has kept problems of two concepts each, from one seed."""
    write_json(folder / "recipe.json", {"name": "mine"})
    write_plan(folder, [PlannedStage(Kind.SEEDS, 0), PlannedStage(Kind.CURATION, 1)])
    rows = [
        Prompt(f"{n}", "math", ("fruit", f"c{n}"), "", "", problem, "", "", "", 1.0, 0)
        for n, problem in enumerate(problems)
    ]
    write_table(folder / "stages" / "curation" / "prompts.parquet", Prompt, rows)
    seed = Seed("0", "math", "train", "", ("fruit", "prices"), "", "", Task("What do 2 pears cost?", "1"), "", None)
    write_table(folder / "stages" / "seeds" / "math-train.parquet", Seed, [seed])
    return folder


def test_benchmarks_in_a_file_are_found_and_shown(tmp_path: Path) -> None:
    suite_at(tmp_path)
    mine = tmp_path / "mine.csv"
    mine.write_text(f'question\n"{PROBLEMS[4]}"\nHow many?\nHow much?\n')
    given = ["analyse", mine, "--suite", "aime24", "--data", tmp_path, "--column", "question", "--near", "0.9"]
    shown = told(*given)
    assert "1 of 3 problems hold one of aime24" in shown
    assert f"100% in order: {PROBLEMS[4]}" in shown
    assert f"p4: {PROBLEMS[4]}" in shown
    assert "1 problems lie near one of a suite" in shown
    assert "concepts" not in shown
    found: dict[str, Any] = json.loads(told(*given, "--json"))
    assert found["contaminated"][str(mine)][0]["published"] == "p4"
    wrong = told(*given[:-3], "problem", code=2)
    assert "name the column with --column; it has question" in wrong
    assert list(tmp_path.glob("*.html")) == [], "a file is no run"


def test_sets_stand_side_by_side_with_their_concepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # Long names are cut.
    lines(tmp_path / "a.jsonl", [{"problem": "one two", "concepts": ["adding"]}, {"problem": "three"}])
    lines(tmp_path / "b.jsonl", [{"problem": "one two", "concepts": ["Adding", "primes"]}])
    first, other = "a.jsonl", "b.jsonl"
    shown = told("analyse", first, other)
    assert "a.jsonl: 1 concepts of 1 texts, effectively 1.0; 100.0% are used once" in shown
    assert "concepts that the other has: 100.0% and 50.0%" in shown
    assert "nearly the same in the other: 50.0% and 100.0%" in shown
    found = json.loads(told("analyse", first, other, "--json"))
    assert found["covered"] == [[1.0, 1.0], [0.5, 1.0]]
    assert found["sets"][str(other)]["nearest"] is None, "one text has no neighbour, which JSON can say"


def test_the_report_of_a_run_shows_its_analysis(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", PROBLEMS[:3])
    other = lines(tmp_path / "b.jsonl", [{"problem": "Is 7 <b>prime</b>?"}])
    suite_at(tmp_path)
    shown = told("analyse", run, other, "--seeds", "--suite", "aime24", "--data", tmp_path)
    assert "report.html shows this under Analyses" in shown
    page = (run / "report.html").read_text()
    for words in ("run (seeds)", "Data sets side by side", "3 problems hold one of aime24", "TF-IDF"):
        assert words in page, words
    kept = read_analysis(run)["distribution"]
    assert [one["concepts"]["distinct"] for one in kept["sets"]] == [4, 0, 2]
    assert kept["pairs"][1]["covered"] == [0.25, 0.5]
    assert kept["pairs"][0]["covered"] == [None, None]


def test_a_two_way_table_comes_to_the_report_beside_it(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", PROBLEMS[:2])
    told("analyse", run)
    weak = write_evaluation(tmp_path / "weak", {"small": {"sums": [[True, False], [False, False]]}}, samples=2)
    strong = write_evaluation(tmp_path / "strong", {"large": {"sums": [[True, True], [True, False]]}}, samples=2)
    shown = told("difficulty", weak, strong, "--report", run)
    assert "problems that the weak solver never gets" in shown
    known = read_analysis(run)
    assert known["distribution"], "the earlier analysis stays"
    assert sum(row["problems"] for row in known["difficulty"]["rows"]) == 2
    page = (run / "report.html").read_text()
    assert "Difficulty, with solvability beside it" in page
    assert "the reference agrees with itself in 50%" in page
    assert "analysis-difficulty" in page
    assert "is not a run directory" in told("difficulty", weak, strong, "--report", tmp_path, code=2)


@pytest.mark.parametrize("content", [{"difficulty": {}}, {"distribution": {"sets": [{}]}}, {"difficulty": 3}])
def test_a_damaged_analysis_is_one_sentence(tmp_path: Path, content: dict[str, Any]) -> None:
    run = run_at(tmp_path / "run", PROBLEMS[:2])
    write_json(run / "analysis.json", content)
    said = told("report", run, code=2)
    assert "analysis.json: is damaged" in said
    assert "delete it and analyse again" in said


def test_a_judge_needs_its_name(tmp_path: Path) -> None:
    said = told("difficulty", tmp_path, tmp_path, "--judge", "http://127.0.0.1:9/v1", code=2)
    assert "give --judge and --judge-model together" in said
