"""A run that is measured on suites as it goes on, and afterwards; its rounds compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, selfplay

pytestmark = pytest.mark.xdist_group("small_run")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("suite") / "sums.jsonl"
    rows = [{"id": f"s{n}", "problem": f"Tom has {n} apples and gets {n}.", "answer": str(2 * n)} for n in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def measured(finished: Path, suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run with a suite: of its stages only the evaluations are made anew."""
    run = tmp_path_factory.mktemp("measured") / "run"
    suites = {"own": [{"name": "sums", "file": str(suite)}], "samples": 2, "sampling": {"max_new_tokens": 32}}
    done = selfplay("run", SMALL, "--run-dir", run, "--reuse", finished, f"evaluation.suites={json.dumps(suites)}")
    assert done.returncode == 0, done.stderr
    return run


def test_suites_are_in_metrics_summary_and_report(measured: Path) -> None:
    rows = json.loads((measured / "summary.json").read_text())["evaluation"]
    own = {(row["round"], row["metric"]) for row in rows if row["domain"] == "suite/sums"}
    assert {(0, "avg@2"), (1, "avg@2"), (0, "pass@2")} <= own
    logged = (measured / "metrics.jsonl").read_text()
    assert "suite/sums/avg@2" in logged
    assert "suite/sums" in (measured / "report.html").read_text()


def test_a_run_is_measured_afterwards_and_compared(measured: Path, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    how = ["samples=2", "sampling.max_new_tokens=32", "compute.workers=1", "bootstrap=200"]
    done = selfplay("evaluate", measured, "--suite", suite, "--round", "base,1", "--out", out, *how)
    assert done.returncode == 0, done.stderr
    models = json.loads((out / "evaluation.json").read_text())["models"]
    assert [(name, one["round"]) for name, one in sorted(models.items())] == [("base", 0), ("round-1", 1)]
    page = tmp_path / "page.html"
    compared = selfplay("compare", measured, out, "--html", page)
    assert compared.returncode == 0, compared.stderr
    shown = " ".join(compared.stdout.split())
    assert "run/round-1 against run/base" in shown
    assert "sums: " in shown
    assert "Over the rounds" in page.read_text()
    analysed = selfplay("analyse", measured, suite, "--json")
    assert analysed.returncode == 0, analysed.stderr
    assert set(json.loads(analysed.stdout)["sets"]) == {str(measured), str(suite)}
    refused = selfplay("evaluate", measured, "--suite", suite, "--round", "7", "--out", tmp_path / "none")
    assert refused.returncode == 2
    assert "--round 7:" in refused.stderr
