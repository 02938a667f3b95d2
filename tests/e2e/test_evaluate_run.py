"""A run that is measured on suites as it goes on, and afterwards; its rounds compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import selfplay

pytestmark = pytest.mark.xdist_group("small_run")


def test_suites_are_in_metrics_summary_and_report(other_arm: Path) -> None:
    rows = json.loads((other_arm / "summary.json").read_text())["evaluation"]
    own = {(row["round"], row["metric"]) for row in rows if row["domain"] == "suite/sums"}
    assert {(0, "avg@2"), (1, "avg@2"), (0, "pass@2")} <= own
    logged = (other_arm / "metrics.jsonl").read_text()
    assert "suite/sums/avg@2" in logged
    assert "suite/sums" in (other_arm / "report.html").read_text()


@pytest.mark.long
def test_a_run_is_measured_afterwards_and_compared(other_arm: Path, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    how = ["samples=2", "sampling.max_new_tokens=32", "compute.workers=1", "bootstrap=200"]
    done = selfplay("evaluate", other_arm, "--suite", suite, "--round", "base,1", "--out", out, *how)
    assert done.returncode == 0, done.stderr
    models = json.loads((out / "evaluation.json").read_text())["models"]
    assert [(name, one["round"]) for name, one in sorted(models.items())] == [("base", 0), ("round-1", 1)]
    page = tmp_path / "page.html"
    compared = selfplay("compare", other_arm, out, "--html", page)
    assert compared.returncode == 0, compared.stderr
    shown = " ".join(compared.stdout.split())
    assert "run/round-1 against run/base" in shown
    assert "sums: " in shown
    assert "Over the rounds" in page.read_text()
    analysed = selfplay("analyse", other_arm, suite, "--json")
    assert analysed.returncode == 0, analysed.stderr
    assert set(json.loads(analysed.stdout)["sets"]) == {str(other_arm), str(suite)}
    refused = selfplay("evaluate", other_arm, "--suite", suite, "--round", "7", "--out", tmp_path / "none")
    assert refused.returncode == 2
    assert "--round 7:" in refused.stderr
