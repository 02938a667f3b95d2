"""What a training finds in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.recipe import ComputeSettings, EngineSettings
from selfplay.stage.context import Context, Training, TrainingLogs


class Heard:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def begin(self, description: str, total: int) -> None:
        self.heard.append((description, total))

    def advance(self, count: int) -> None:
        self.heard.append(count)

    def log(self, stage: str, metrics: Any, step: int | None = None) -> None:
        self.heard.append((stage, dict(metrics), step))


def placed(stage: Any, workers: int) -> Any:
    context: Any = Context.__new__(Context)
    context.workers = SimpleNamespace(count=workers, device="cpu")
    context.recipe = SimpleNamespace(seed=0, engine=EngineSettings(), compute=ComputeSettings())
    return context._placement(stage, "policy")


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    return SimpleNamespace(folder=tmp_path, name="selfplay_1")


def test_what_another_number_of_workers_left_is_dropped(stage: Any) -> None:
    work = placed(stage, workers=2).work
    (work / "checkpoint-5").mkdir()
    assert placed(stage, workers=2).work == work
    assert (work / "checkpoint-5").exists()
    placed(stage, workers=1)
    assert not (work / "checkpoint-5").exists()


def test_a_partial_model_is_dropped(stage: Any) -> None:
    partial = placed(stage, workers=1).output
    (partial / "half").mkdir(parents=True)
    placed(stage, workers=1)
    assert not partial.exists()


def test_logs_of_trainings_side_by_side_share_one_bar(tmp_path: Path, stage: Any) -> None:
    heard_by: Any = Heard()
    files = [tmp_path / "p.jsonl", tmp_path / "q.jsonl"]
    files[0].write_text('{"old": 1}\n')
    trainings = [Training(name, print, None) for name in ("p", "q")]  # type: ignore[arg-type]
    follow = TrainingLogs(stage, files, trainings, heard_by, together=True)
    for file, step in ((files[0], 5), (files[1], 3)):
        with file.open("a") as log:
            log.write(json.dumps({"step": step, "of": 10, "metrics": {"loss": 1.0}}) + '\n{"torn')
    follow()
    assert heard_by.heard == [
        ("selfplay_1: training p and q", 20),
        5,
        ("selfplay_1", {"p/loss": 1.0}, 5),
        3,
        ("selfplay_1", {"q/loss": 1.0}, 3),
    ]
    follow()
    assert len(heard_by.heard) == 5
