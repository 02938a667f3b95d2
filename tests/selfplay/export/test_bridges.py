"""Samples of other frameworks are judged by our verifiers, and evaluations are written as theirs are."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.export.lm_eval import export_lm_eval
from selfplay.export.sample_tasks import UnusableSample, beside_score, decisive, tasks_of
from selfplay.run.files import RunError, write_json
from tests.docs.pages import pages
from tests.selfplay.evaluation.folders import write_evaluation
from verifiers.model import Verdict

RIGHT, WRONG = Verdict(True, 1.0, "correct"), Verdict(False, 0.0, "wrong")
UNCHECKED = Verdict(None, None, "timed_out")
VALUES = {"base": {"sums": [[True, False], [False, False], [True, True]], "words": [[True, True]]}}


def test_each_target_of_a_sample_is_a_task() -> None:
    assert [task.answer for task in tasks_of({"other": 1}, ["3", "4", " "], "1 + 2?", programs=False)] == ["3", "4"]
    [task] = tasks_of({"tests": [{"input": "1\n", "output": "2\n"}], "time_limit_s": 2}, [""], "Double.", programs=True)
    assert (task.problem, task.answer, task.tests[0].output, task.time_limit_s) == ("Double.", None, "2\n", 2.0)


def test_a_sample_whose_metadata_is_no_task_is_named() -> None:
    with pytest.raises(UnusableSample, match=r"metadata\.tests .*; give it as rows of tasks have it"):
        tasks_of({"tests": 7}, ["3"], "", programs=True)


def test_a_sample_is_unscored_where_the_right_target_may_be_unchecked() -> None:
    assert decisive([WRONG, RIGHT, UNCHECKED]) is RIGHT
    assert decisive([WRONG, UNCHECKED]) is UNCHECKED
    assert decisive([WRONG]) is WRONG
    found = {"answer": None, "explanation": None, "metadata": {"status": "timed_out", "seconds": 0.0}}
    assert beside_score(UNCHECKED) == found


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    place = write_evaluation(tmp_path / "evaluation", VALUES)
    write_json(place / "figures.json", {"figures": []})
    return place


def test_an_evaluation_is_written_as_lm_eval_writes_its_own(evaluation: Path, tmp_path: Path) -> None:
    [file] = export_lm_eval(evaluation, tmp_path / "out")
    assert file.parent == tmp_path / "out" / "base"
    found = json.loads(file.read_text())
    shares = [0.5, 0.0, 1.0]
    assert found["results"]["sums"]["avg@2,none"] == pytest.approx(statistics.fmean(shares))
    assert found["results"]["sums"]["avg@2_stderr,none"] == pytest.approx(statistics.stdev(shares) / math.sqrt(3))
    # Of one problem there is no standard error.
    assert found["results"]["words"]["avg@2_stderr,none"] == "N/A"
    assert found["n-samples"] == {"sums": {"original": 3, "effective": 3}, "words": {"original": 1, "effective": 1}}
    assert found["higher_is_better"]["sums"] | {"avg@2": True, "tokens": False} == found["higher_is_better"]["sums"]
    assert set(found["versions"]) == set(found["configs"]) == set(found["group_subtasks"]) == {"sums", "words"}
    date = file.stem.removeprefix("results_")
    rows = [json.loads(line) for line in (file.parent / f"samples_sums_{date}.jsonl").read_text().splitlines()]
    assert [row["avg@2"] for row in rows] == shares
    assert rows[0]["resps"] == [["base 0.0: right", "base 0.1: wrong"]]
    assert rows[0]["passed"] == [True, False]


def test_the_same_evaluation_gives_the_same_files(evaluation: Path, tmp_path: Path) -> None:
    files = [export_lm_eval(evaluation, tmp_path / name)[0] for name in ("a", "b")]
    assert files[0].name == files[1].name
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_cannot_be_written_is_said(evaluation: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is in use; give a folder that is new or empty"):
        export_lm_eval(evaluation, evaluation)
    done = CliRunner().invoke(app, ["export", "evaluation", str(tmp_path), "--to", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "has no figures.json; give a folder that `selfplay evaluate` made" in done.stderr
    done = CliRunner().invoke(app, ["export", "evaluation", str(evaluation), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "results_" in done.output


def block(kind: str) -> str:
    """A fenced block of the page."""
    return pages("how-to/export.md").partition(f"```{kind}\n")[2].partition("```")[0]


def test_the_command_of_the_page(evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evaluations").mkdir()
    evaluation.rename(tmp_path / "evaluations" / "policy")
    monkeypatch.chdir(tmp_path)
    [line] = block("sh evaluation").splitlines()
    done = CliRunner().invoke(app, line.split()[1:])
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "lm-eval" / "policy" / "base").glob("results_*.json"))


def test_the_scorer_of_inspect_scores() -> None:
    """Where inspect-ai is installed, as the extra `inspect` does."""
    pytest.importorskip("inspect_ai")
    import asyncio
    from types import SimpleNamespace
    from typing import Any

    from inspect_ai.scorer import Target

    exec(block("python inspect"), {})
    from selfplay.export.inspect_scorer import verified

    def said(text: str, *targets: str) -> Any:
        state = SimpleNamespace(metadata={}, input_text="", output=SimpleNamespace(completion=text))
        return asyncio.run(verified()(state, Target(list(targets))))  # type: ignore[arg-type]

    assert said(r"\boxed{0.5}", r"\frac{1}{2}").value == 1.0
    assert said(r"\boxed{3}", "2").value == 0.0
    assert math.isnan(said(r"\boxed{1}", r"\frac{1}{0}").value)
