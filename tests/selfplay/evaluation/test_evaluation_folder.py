"""An evaluation's folder: what may be added to it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfplay.cli.evaluate_view import shown
from selfplay.config.evaluation import Measurement
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.run.files import RunError
from tests.selfplay.evaluation.folders import suite_of, write_evaluation
from verifiers.model import Task

MODEL = {"m": {"identity": ["m"], "round": None, "best": False}}


def claim(path: Path, models: Any = MODEL, suites: Any = None, **settings: Any) -> None:
    with EvaluationFolder.open(path) as folder:
        folder.claim(Measurement(**settings).deciding(), models, suites or [suite_of("a", ["1", "2"])], {})


def test_models_and_suites_come_to_those_that_are_there(tmp_path: Path) -> None:
    claim(tmp_path)
    claim(tmp_path, {"n": {"identity": ["n"], "round": None, "best": False}}, [suite_of("b", ["1"])])
    about = json.loads((tmp_path / "evaluation.json").read_text())
    assert (sorted(about["models"]), sorted(about["suites"])) == (["m", "n"], ["a", "b"])


def test_other_settings_models_or_problems_are_refused(tmp_path: Path) -> None:
    claim(tmp_path)
    claim(tmp_path, bootstrap=200, engine={"shard": 8})
    with pytest.raises(
        RunError, match=r"holds an evaluation of something else \(samples: 4 -> 8\); give another --out"
    ):
        claim(tmp_path, samples=8)
    with pytest.raises(RunError, match=r"m\.identity"):
        claim(tmp_path, {"m": {"identity": ["other"], "round": None, "best": False}})
    suite = suite_of("a", ["1", "2"])
    changed = replace(suite.problems[0], task=Task(suite.problems[0].problem, "another answer"))
    with pytest.raises(RunError, match=r"a\.content"):
        claim(tmp_path, suites=[replace(suite, problems=(changed, suite.problems[1]))])


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with EvaluationFolder.open(tmp_path), pytest.raises(RunError, match="another process writes it"):
        claim(tmp_path)


def test_figures_hold_their_settings(tmp_path: Path) -> None:
    write_evaluation(tmp_path, {"m": {"a": [[True, False]], "b": [[True, True]] * 2}}, samples=2)
    rows = EvaluationFolder(tmp_path).write_figures(200)
    assert {row["settings"]["samples"] for row in rows} == {2}
    assert [(row["suite"], row["value"]) for row in rows if row["metric"] == "avg@2"] == [
        ("a", 0.5),
        ("b", 1.0),
        ("all suites", 0.75),
    ]
    assert json.loads((tmp_path / "figures.json").read_text())["figures"] == rows


def test_figures_that_cannot_be_told_are_null(tmp_path: Path) -> None:
    """`--json` printed NaN for problems of which nothing was judged, which is no JSON."""
    unchecked: list[list[Any]] = [[None, None]]
    write_evaluation(tmp_path, {"m": {"a": unchecked}}, samples=2)
    rows = EvaluationFolder(tmp_path).write_figures(200)
    assert rows[0]["value"] is rows[0]["low"] is None
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert shown(rows[0]) == "-"


def test_a_table_of_another_key_is_not_done(tmp_path: Path) -> None:
    write_evaluation(tmp_path, {"m": {"a": [[True]]}}, samples=1)
    folder = EvaluationFolder(tmp_path)
    assert folder.is_done("m", "a", "key")
    assert not folder.is_done("m", "a", "other")
    folder.table("m", "a").with_suffix(".json").unlink()
    assert not folder.is_done("m", "a", "key")
    assert folder.outcomes() == {"m": {}}
