"""The page of metrics has every name that a run logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handbook.metrics import unknown

pytestmark = [pytest.mark.xdist_group("small_run"), pytest.mark.usefixtures("needs_sandbox")]


def names(run: Path) -> set[str]:
    """All that was logged."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {name for line in lines for name in json.loads(line).get("metrics", {})}


def test_every_name_of_a_run_has_its_row(finished: Path) -> None:
    logged = names(finished)
    assert len(logged) > 60
    assert unknown(logged) == set(), "a row in handbook/metrics.yaml tells what it means; then python -m handbook"
