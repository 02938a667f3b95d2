"""Whole runs whose trainings are spread over two workers: the weights by FSDP2, or each sequence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from selfplay.stage.context import WORLD
from tests.e2e.conftest import SMALL, selfplay

TRAININGS = {
    "base": ("model",),
    "cold_start": ("prompt-model", "rationale-model"),
    "em_1": ("prompt-model", "rationale-model"),
    "selfplay_1": ("policy",),
}


@pytest.mark.long
@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize(
    ("settings", "mark"),
    [
        (("compute.sharding=fsdp2",), {"sharded": 1}),
        (("compute.sharding=fsdp2", "training.algorithm=dpo"), {"sharded": 1}),
        (("compute.sequence_parallel=2", "training.algorithm=rft"), {"sequence_parallel": 2}),
    ],
    ids=["fsdp2-grpo", "fsdp2-dpo", "sequences-rft"],
)
def test_base_cold_start_em_and_a_round(tmp_path: Path, settings: tuple[str, ...], mark: dict[str, int]) -> None:
    run = tmp_path / "run"
    done = selfplay(
        "run", SMALL, "compute.workers=2", *settings, "--until", "selfplay_1", "--run-dir", run, timeout=3000
    )
    assert done.returncode == 0, done.stderr
    for stage, names in TRAININGS.items():
        for name in names:
            folder = run / "stages" / stage
            assert (folder / name / "model.safetensors").exists(), (stage, name)
            assert json.loads((folder / f"{name}-training" / WORLD).read_text()) == {"workers": 2} | mark
            lines = (folder / f"{name}-training" / "log.jsonl").read_text().splitlines()
            metrics = [json.loads(line)["metrics"] for line in lines]
            found = [one[key] for one in metrics for key in ("loss", "train_loss") if key in one]
            assert found, (stage, name)
            assert all(math.isfinite(loss) for loss in found), (stage, name)
