"""The copies for TensorBoard and trackio, by the real packages, and the refusal where one is not installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.tracking import Tracking
from selfplay.tracking.sinks import TrackerMissing, check_trackers, wanted_sinks
from selfplay.tracking.tracker import Tracker
from tests.selfplay.plans import plan_of
from tests.selfplay.tracking.runs import claimed, recipe

SHAPE = {"edges": [0.0, 0.5, 1.0], "counts": [3, 4]}


def two_sessions(run_path: Path, **tracking: Any) -> None:
    settings = claimed(run_path, recipe("disabled", **tracking))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("selfplay_1", {"reward": 0.25, "kl": float("nan")}, 1, {"pass_rate": SHAPE})
        tracker.table("samples", ["problem", "answer"], [["2+2", "4"]])
        tracker.done("labelling", 2.0, {"tasks": 7})
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("selfplay_1", {"reward": 0.75}, 2)
        tracker.log("evaluation_1", {"math/greedy": 0.5}, 1)
        tracker.log("selfplay_2", {"reward": 1.0}, 1)
        tracker.alarm("selfplay_1", "one_answer", "One answer won.")
        tracker.summary({"seed": 1})


def test_tensorboard_reads_every_point_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    two_sessions(tmp_path, tensorboard=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("selfplay_1/reward")] == [(1, 0.25), (2, 0.75)]
    assert [(e.step, e.value) for e in found.Scalars("selfplay/reward")] == [(0, 0.25), (3, 0.75), (5, 1.0)]
    assert [(e.step, e.value) for e in found.Scalars("evaluation/math/greedy")] == [(1, 0.5)]
    assert "selfplay_1/kl" not in found.Tags()["scalars"]
    [shape] = found.Histograms("selfplay_1/pass_rate")
    assert (shape.histogram_value.bucket_limit, shape.histogram_value.bucket) == ([0.5, 1.0], [3.0, 4.0])
    [alarm] = found.Tensors("alarms/one_answer")
    assert alarm.tensor_proto.string_val == [b"One answer won."]


@pytest.mark.long
def test_lines_that_a_power_cut_took_do_not_hide_later_ones(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    settings = claimed(tmp_path, recipe("disabled", tensorboard=True))
    with Tracker(tmp_path, settings, plan=plan_of()) as tracker:
        for step in range(5):
            tracker.log("base", {"loss": step}, step)
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    with Tracker(tmp_path, settings, plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 9}, 9)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [event.value for event in found.Scalars("base/loss")] == [0, 1, 2, 3, 4, 9]


def test_trackio_reads_every_point_once(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    two_sessions(tmp_path, trackio="a-project")
    code = (
        "import json, trackio\n"
        "run = trackio.Api().runs('a-project')\n"
        "[run] = list(run)\n"
        "print(json.dumps([run.name, trackio.sqlite_storage.SQLiteStorage.get_logs('a-project', run.name)]))\n"
    )
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, rows = json.loads(done.stdout.splitlines()[-1])
    assert name == tmp_path.name
    assert [row["selfplay_1/reward"] for row in rows if "selfplay_1/reward" in row] == [0.25, 0.75]
    over_rounds = [(row["selfplay/round"], row["selfplay/reward"]) for row in rows if "selfplay/reward" in row]
    assert over_rounds == [(1, 0.25), (1, 0.75), (2, 1.0)]
    assert [row["done/labelling/tasks"] for row in rows if "done/labelling/tasks" in row] == [7]
    assert any("samples" in row for row in rows)


def test_one_field_each() -> None:
    assert wanted_sinks(Tracking()) == ["wandb"]
    settings = Tracking.model_validate({"wandb": {"mode": "disabled"}, "tensorboard": True, "trackio": "p"})
    assert wanted_sinks(settings) == ["tensorboard", "trackio"]


@pytest.mark.parametrize(("name", "value"), [("tensorboard", True), ("trackio", "p")])
def test_a_package_that_is_missing_is_refused_with_the_remedy(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == name else found(wanted))
    with pytest.raises(TrackerMissing, match=rf"^tracking\.{name}: {name} is not installed; run `pip install"):
        check_trackers(Tracking.model_validate({name: value}))


def test_a_tracker_that_failed_is_tried_again_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr("selfplay.tracking.mirror_process.RETRY_S", 0.2)
    in_the_way = tmp_path / "tensorboard"
    in_the_way.write_text("")
    said: list[str] = []
    with Tracker(tmp_path, claimed(tmp_path, recipe("disabled", tensorboard=True)), said.append) as tracker:
        tracker.log("selfplay_1", {"reward": 0.25}, 1)
        deadline = time.monotonic() + 60
        while not said and time.monotonic() < deadline:
            time.sleep(0.05)
        in_the_way.unlink()
        while not (in_the_way / "mirror.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    [sentence] = said
    assert sentence.startswith("tensorboard: ")
    assert "it is tried again" in sentence
    assert json.loads((in_the_way / "mirror.json").read_text()) == {"lines": 1}
