"""Where time goes, over several sessions of a run."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.compute.clock import START_UP, Clock
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind, PlannedStage
from selfplay.run.results import SeedsResult
from selfplay.stage.spec import StageSpec, StageWork
from tests.selfplay.tracking.runs import recipe


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that the test moves."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.seconds)
    return now


def session(file: Path) -> tuple[Clock, Any]:
    workers: Any = SimpleNamespace(busy_seconds=0.0)
    return Clock(file, workers), workers


def test_time_is_booked_by_stage_and_share(tmp_path: Path, hands: Any) -> None:
    clock, workers = session(tmp_path / "clock.json")
    hands.seconds = 2.0
    clock.mark(START_UP)
    hands.seconds, workers.busy_seconds = 12.0, 9.0
    clock.mark("base")
    assert clock.rows() == [
        {"name": START_UP, "seconds": 2.0, "model_seconds": 0.0},
        {"name": "base", "seconds": 10.0, "model_seconds": 9.0},
    ]
    assert clock.overhead_share == pytest.approx(0.25)


def test_waiting_for_verdicts_is_no_model_time(tmp_path: Path, hands: Any) -> None:
    clock, workers = session(tmp_path / "clock.json")
    hands.seconds, workers.busy_seconds = 10.0, 10.0
    clock.wait_for_verdicts(4.0)
    clock.mark("selfplay_1")
    assert clock.overhead_share == pytest.approx(0.4)


def test_sessions_add_up_and_idle_ones_do_not(tmp_path: Path, hands: Any) -> None:
    first, workers = session(tmp_path / "clock.json")
    hands.seconds, workers.busy_seconds = 8.0, 6.0
    first.mark("base")
    second, workers = session(tmp_path / "clock.json")
    hands.seconds = 11.0
    second.skip()
    hands.seconds, workers.busy_seconds = 13.0, 2.0
    second.mark("base")
    assert second.rows() == [{"name": "base", "seconds": 10.0, "model_seconds": 8.0}]
    assert second.seconds == 10.0


def test_stages_keep_their_order_over_sessions(tmp_path: Path, hands: Any) -> None:
    for names in ((START_UP, "seeds", "base"), ("selfplay_2", "selfplay_10")):
        clock, _ = session(tmp_path / "clock.json")
        for name in names:
            clock.mark(name)
    assert [row["name"] for row in clock.rows()] == [START_UP, "seeds", "base", "selfplay_2", "selfplay_10"]


def test_time_in_a_stage_that_was_interrupted_is_kept(tmp_path: Path, hands: Any) -> None:
    for _ in range(2):
        with RunDirectory.open(tmp_path, recipe("disabled")) as run:
            clock, workers = session(tmp_path / "clock.json")
            listener = SimpleNamespace(stage=lambda *_: None)
            context: Any = SimpleNamespace(run=run, recipe=run.recipe, clock=clock, listener=listener)

            def work(this: StageWork, workers: Any = workers) -> Any:
                hands.seconds, workers.busy_seconds = hands.seconds + 10.0, 9.0
                raise KeyboardInterrupt

            spec = StageSpec(PlannedStage(Kind.SEEDS), ("domains",), (), work, SeedsResult)
            context.of_stage = lambda *_, context=context: context
            with pytest.raises(KeyboardInterrupt):
                StageRunner(context, {"seeds": spec}, None).run_stage(spec)
    [_, row] = Clock(tmp_path / "clock.json", workers).rows()
    assert row == {"name": "seeds", "seconds": 20.0, "model_seconds": 18.0}
