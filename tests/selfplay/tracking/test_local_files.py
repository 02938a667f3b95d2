"""What the tracker keeps on disk: lines that survive a kill, and valid JSON whatever is logged."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from selfplay.tracking.metric_log import Follower, metric_line
from selfplay.tracking.mirror import copy_new
from selfplay.tracking.tensorboard_sink import TensorboardSink
from selfplay.tracking.tracker import Tracker
from tests.selfplay.tracking.reading import latest_by_step, read_alarms, read_metrics
from tests.selfplay.tracking.runs import recipe


def test_lines_are_on_disk_at_once(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, recipe("disabled"))
    tracker.log("selfplay_1", {"reward": 0.25, "kl": 1}, step=3)
    tracker.log("synthesis", {"parsed": 7})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["step"], row["metrics"]) for row in rows] == [
        ("selfplay_1", 3, {"reward": 0.25, "kl": 1.0}),
        ("synthesis", None, {"parsed": 7.0}),
    ]
    assert all(row["time"] > 1e9 for row in rows)
    tracker.close()
    tracker.close()


def test_lines_survive_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, json\n"
        "from pathlib import Path\n"
        "from selfplay.config.recipe import Recipe\n"
        "from selfplay.tracking.tracker import Tracker\n"
        "tracker = Tracker(Path(sys.argv[1]), Recipe.model_validate(json.loads(sys.argv[2])))\n"
        "for step in range(50):\n"
        "    tracker.log('em_1', {'reward': step}, step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    settings = recipe("disabled").model_dump_json()
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path), settings], check=False, timeout=60)
    assert ended.returncode == -9
    assert [line.step for line in read_metrics(tmp_path)] == list(range(50))


@pytest.mark.parametrize(
    "torn", ['{"time": 1, "sta', '{"time": 2.0, "stage": "x", "step": 1, "metrics": {"a": 1}}', "\0\0\0"]
)
def test_a_torn_last_line_is_repaired(tmp_path: Path, torn: str) -> None:
    file = tmp_path / "metrics.jsonl"
    whole = '{"time": 1.0, "stage": "base", "step": 0, "metrics": {"loss": 2.0}}\n'
    file.write_text(whole + torn)
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.log("base", {"loss": 1.5}, 1)
    lines = file.read_text().splitlines(keepends=True)
    assert lines[0] == whole
    assert [json.loads(line)["step"] for line in lines] == [0, 1]


def test_a_file_that_is_one_torn_line_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"time"')
    Tracker(tmp_path, recipe("disabled")).close()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_numbers_that_are_not_finite_stay_valid_json(tmp_path: Path) -> None:
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.log("base", {"loss": float("nan"), "norm": float("inf"), "rate": 0.1}, 0)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["metrics"] == {
        "loss": None,
        "norm": None,
        "rate": 0.1,
    }
    assert read_metrics(tmp_path)[0].metrics == {"rate": 0.1}


def test_a_number_that_is_not_finite_is_no_metric_before_it_is_written_either() -> None:
    line = metric_line({"time": 0.0, "stage": "selfplay_1", "step": 1, "metrics": {"entropy": math.nan, "kl": 0.5}})
    assert line is not None
    assert line.metrics == {"kl": 0.5}, "alarms must see what a resumed session reads back"


def test_reading_passes_over_what_is_no_record(tmp_path: Path) -> None:
    good = '{"time": 1.0, "stage": "base", "step": 0, "metrics": {"loss": 2.0}}'
    (tmp_path / "metrics.jsonl").write_text("\n".join(["[]", "{}", "not json", '{"metrics": 3}', good, good[:20]]))
    assert [line.stage for line in read_metrics(tmp_path)] == ["base"]
    assert read_metrics(tmp_path / "absent") == []


def test_a_stage_begun_twice_counts_with_its_last_attempt(tmp_path: Path) -> None:
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        for reward in (0.1, 0.2):
            tracker.log("selfplay_1", {"reward": reward}, 1)
        tracker.log("selfplay_1", {"reward": 0.3}, 2)
    assert latest_by_step(read_metrics(tmp_path), "selfplay_1", "reward") == [(1, 0.2), (2, 0.3)]


def test_tables_are_kept_locally_whatever_they_are_called(tmp_path: Path) -> None:
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.table("../samples of <x>", ["problem", "answer"], [["2+2", "4"], ["?", None]])
    [file] = (tmp_path / "tables").iterdir()
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"problem": "2+2", "answer": "4"},
        {"problem": "?", "answer": None},
    ]


def test_disabled_mode_makes_no_wandb_files(tmp_path: Path) -> None:
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.log("base", {"loss": 1.0}, 0)
        tracker.table("samples", ["a"], [["b"]])
        tracker.summary({"name": "tiny"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "tables"]


def test_a_copy_is_noted_only_when_there_is_something_new(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.log("base", {"loss": 1.0}, 0)
    sink, follower = TensorboardSink(tmp_path), Follower(tmp_path / "metrics.jsonl")
    sink.start()
    noted = tmp_path / "tensorboard" / "mirror.json"
    copy_new(follower, sink, 0, tmp_path)
    noted.unlink()
    copy_new(follower, sink, 0, tmp_path)
    sink.finish(False)
    assert not noted.exists(), "a mirror looks every second: a flush to disk each time would never end"


def test_importing_the_tracker_does_not_import_wandb() -> None:
    code = "import sys, selfplay.tracking; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_lines_of_other_kinds_are_kept_beside_the_metrics(tmp_path: Path) -> None:
    with Tracker(tmp_path, recipe("disabled")) as tracker:
        tracker.log("labelling", {"agreement": 0.5}, histograms={"pass_rate": {"edges": [0, 0.5, 1], "counts": [1, 2]}})
        tracker.done("labelling", 1.5, {"tasks": 3, "rate": float("nan"), "lost": {"parse: none": 2}})
        tracker.alarm("labelling", "one_answer", "one answer won")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["histograms"] == {"pass_rate": {"edges": [0, 0.5, 1], "counts": [1, 2]}}
    assert rows[1]["done"] == {"seconds": 1.5, "counts": {"tasks": 3, "rate": None, "lost": {"parse: none": 2}}}
    assert [line.metrics for line in read_metrics(tmp_path)] == [{"agreement": 0.5}]
    assert [(line.stage, line.name, line.text) for line in read_alarms(tmp_path)] == [
        ("labelling", "one_answer", "one answer won")
    ]
