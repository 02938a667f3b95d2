"""The page of metrics has every name that a run logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handbook.metrics import unknown

pytestmark = [pytest.mark.xdist_group("small_run"), pytest.mark.usefixtures("needs_sandbox")]


def lines(run: Path) -> list[dict[str, Any]]:
    """The lines with metrics."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "metrics" in row]


def test_every_name_of_a_run_has_its_row(finished: Path) -> None:
    logged = {name for line in lines(finished) for name in line["metrics"]}
    assert len(logged) > 60
    assert unknown(logged) == set(), "a row in handbook/metrics.yaml tells what it means; then python -m handbook"


def test_the_two_models_of_em_share_no_name(finished: Path) -> None:
    ours = [line for line in lines(finished) if line["kind"] in ("cold_start", "em")]
    trained = {line["stage"]: set[str]() for line in ours}
    for line in ours:
        if line["step"] is not None:
            trained[line["stage"]] |= {name.split("/", 1)[0] for name in line["metrics"]}
    assert len(trained) > 1
    assert all(found == {"prompt-model", "rationale-model"} for found in trained.values())
    assert [line["round"] for line in ours if "joint_nll" in line["metrics"]] == list(range(len(trained)))
