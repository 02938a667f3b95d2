"""An evaluation as runs of W&B, by the real wandb package, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from tests.selfplay.evaluation.folders import write_evaluation
from tests.selfplay.tracking.wandb_files import item_name, read_transaction_log


def test_a_model_is_a_run_with_a_table_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    place = write_evaluation(tmp_path / "mine", {"model": {"sums": [[True, False], [True, True]]}}, samples=2)
    refused = CliRunner().invoke(app, ["export", "wandb", str(place)])
    assert (refused.exit_code, "let it end first" in refused.stderr) == (2, True)
    EvaluationFolder(place).write_figures(100)
    done = CliRunner().invoke(app, ["export", "wandb", str(place), "--project", "p"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "mine/model: offline, project p" in done.stdout
    records = read_transaction_log(place)
    summary = {item_name(i): json.loads(i.value_json) for r in records for i in r.summary.update}
    assert summary["sums/avg@2"] == 0.75
    assert summary["sums/avg@2/low"] <= 0.75 <= summary["sums/avg@2/high"]
    [table] = place.glob("wandb/offline-run-*/files/media/table/sums_*.json")
    content = json.loads(table.read_text())
    assert content["columns"][:4] == ["published", "problem", "label", "pass rate"]
    assert [row[3] for row in content["data"]] == [0.5, 1.0]
    configs = {item_name(i): json.loads(i.value_json) for r in records for i in r.run.config.update}
    assert configs["samples"] == 2
    assert configs["suites"]["sums"]["problems"] == 2
