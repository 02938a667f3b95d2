"""What a training finds in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.config.compute import ComputeSettings, EngineSettings
from selfplay.engines.base import ModelRef
from selfplay.stage.context import Context
from selfplay.stage.training_logs import TrainingLogs
from tests.selfplay.plans import placed as of_stage


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
    return context._placement(stage, "policy", alone=False, spared=())


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


def test_whatever_the_engine_opens_is_stretched(tmp_path: Path) -> None:
    context: Any = Context.__new__(Context)
    context.workers, context.run = None, SimpleNamespace(store_folder=tmp_path)
    base = ModelRef("base", "b")
    for yarn in (1.0, 4.0):
        context.recipe = SimpleNamespace(engine=EngineSettings(yarn=yarn))
        model = context.engine(ModelRef("adapter", "a", base=base)).model
        assert (model.stretch, model.base.stretch) == (yarn, yarn)
    assert base.stretch == 1


def test_a_partial_model_is_dropped(stage: Any) -> None:
    partial = placed(stage, workers=1).output
    (partial / "half").mkdir(parents=True)
    placed(stage, workers=1)
    assert not partial.exists()


def test_logs_of_trainings_side_by_side_share_one_bar(tmp_path: Path, stage: Any) -> None:
    heard_by: Any = Heard()
    files = [tmp_path / "p.jsonl", tmp_path / "q.jsonl"]
    files[0].write_text('{"old": 1}\n')
    follow = TrainingLogs(stage, files, ["p", "q"], heard_by, True, ["p/", "q/"])
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


def log(file: Path, *steps: int, **metrics: float) -> None:
    with file.open("a") as lines:
        for step in steps:
            lines.write(json.dumps({"step": step, "of": 9, "metrics": metrics or {"loss": float(step)}}) + "\n")


def test_a_resumed_training_logs_no_step_twice_and_loses_none(tmp_path: Path) -> None:
    """The session before was killed at step 6, had told of the first four, and left a checkpoint of step 3."""
    stage: Any = SimpleNamespace(folder=tmp_path / "stages/selfplay_1", name="selfplay_1")
    stage.folder.mkdir(parents=True)
    file, run_log = tmp_path / "log.jsonl", tmp_path / "metrics.jsonl"
    log(file, 1, 2, 3, 4, 5, 6)
    told = [
        {"time": 1.0, "stage": "selfplay_1", "step": step, "metrics": {"loss": float(step)}} for step in (1, 2, 3, 4)
    ]
    run_log.write_text("".join(json.dumps(of_stage(line)) + "\n" for line in told))
    heard = Heard()
    follow = TrainingLogs(stage, [file], ["policy"], heard, together=False)  # type: ignore[arg-type]
    log(file, 4, 5, 6, 7, 8)
    log(file, 8, train_runtime=2.0)
    follow()
    logged = [(one[2], one[1]) for one in heard.heard if isinstance(one, tuple) and len(one) == 3]
    assert logged == [*((step, {"loss": float(step)}) for step in (5, 6, 7, 8)), (8, {"train_runtime": 2.0})]
    assert [one for one in heard.heard if isinstance(one, int)] == [4, 1, 1, 1, 1, 0]


def test_what_was_told_of_one_model_does_not_hide_the_steps_of_the_other(tmp_path: Path) -> None:
    """A round of EM had told of q whole when p was cut off: p's steps are told under names of their own."""
    stage: Any = SimpleNamespace(folder=tmp_path / "stages/em_1", name="em_1")
    stage.folder.mkdir(parents=True)
    file, heard = tmp_path / "log.jsonl", Heard()
    told = [{"time": 1.0, "stage": "em_1", "step": 20, "metrics": {"rationale-model/loss": 1.0}}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(of_stage(line)) + "\n" for line in told))
    log(file, 10, 20)
    TrainingLogs(stage, [file], ["prompt-model"], heard, False, ["prompt-model/"])  # type: ignore[arg-type]
    assert heard.heard == [("em_1", {"prompt-model/loss": float(step)}, step) for step in (10, 20)]


def test_a_training_that_starts_anew_is_told_from_its_first_step(tmp_path: Path) -> None:
    """Another attempt, of other settings, may have come further."""
    stage: Any = SimpleNamespace(folder=tmp_path / "stages/selfplay_1", name="selfplay_1")
    stage.folder.mkdir(parents=True)
    file, run_log = tmp_path / "log.jsonl", tmp_path / "metrics.jsonl"
    before = [{"time": 1.0, "stage": "selfplay_1", "step": step, "metrics": {"loss": 1.0}} for step in range(50)]
    run_log.write_text("".join(json.dumps(of_stage(line)) + "\n" for line in before))
    for sessions, steps in ((1, (1, 2)), (2, (2, 3))):
        heard = Heard()
        follow = TrainingLogs(stage, [file], ["policy"], heard, together=False)  # type: ignore[arg-type]
        log(file, *steps)
        follow()
        logged = [one[2] for one in heard.heard if isinstance(one, tuple) and len(one) == 3]
        assert logged == ([1, 2] if sessions == 1 else [3])
