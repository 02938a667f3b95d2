"""The tracker: local lines that survive a kill, and a real W&B, offline, that keeps just what it should."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config import Recipe
from selfplay.tracking import Tracker, latest_by_step, read_metrics

LOG_HEADER = 7
LOG_BLOCK = 32768


def recipe(mode: str) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "tracking": {"wandb": {"mode": mode, "project": "a-project"}},
        }
    )


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
        "from selfplay.config import Recipe\n"
        "from selfplay.tracking import Tracker\n"
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


def test_importing_the_tracker_does_not_import_wandb() -> None:
    code = "import sys, selfplay.tracking; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The tracker sets these for the process; setting them here first has the test's end restore them.
    for name in ("WANDB_ERROR_REPORTING", "WANDB_SILENT", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, "false")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return tmp_path / "my run"


def test_offline_wandb_keeps_metrics_by_stage(offline: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Tracker(offline, recipe("offline")) as tracker:
        tracker.log("selfplay_1", {"reward": 0.5, "kl": float("nan")}, 1)
        tracker.log("selfplay_2", {"reward": 0.75}, 1)
        tracker.table("samples", ["problem", "answer"], [["2+2", 4], ["<b>", None]])
        tracker.summary({"seed": 3, "evaluation": [{"round": 0, "domain": "math", "metric": "greedy", "value": 0.5}]})
    assert capfd.readouterr() == ("", "")
    records = read_transaction_log(offline)
    history = [
        {item_name(i): json.loads(i.value_json) for i in r.history.item} for r in records if r.HasField("history")
    ]
    assert {"selfplay_1/reward": 0.5, "selfplay_1/step": 1}.items() <= history[0].items()
    assert "selfplay_1/kl" not in history[0]
    assert {"selfplay_2/reward": 0.75, "selfplay_2/step": 1}.items() <= history[1].items()
    steps = {r.metric.glob_name: r.metric.step_metric for r in records if r.HasField("metric") and r.metric.glob_name}
    assert steps == {"selfplay_1/*": "selfplay_1/step", "selfplay_2/*": "selfplay_2/step"}
    summary = {item_name(i): i.value_json for r in records if r.HasField("summary") for i in r.summary.update}
    assert summary["evaluation/0/math/greedy/value"] == "0.5"
    [table] = (offline / "wandb").glob("offline-run-*/files/media/table/*.json")
    assert json.loads(table.read_text())["data"] == [["2+2", 4], ["<b>", None]]


def test_offline_wandb_keeps_the_recipe_and_nothing_about_the_host(offline: Path) -> None:
    with Tracker(offline, recipe("offline")) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
    records = read_transaction_log(offline)
    [run] = [r.run for r in records if r.HasField("run")]
    assert (run.project, run.display_name) == ("a-project", "tiny")
    config = {item.key: json.loads(item.value_json) for item in run.config.update if item.key}
    assert config["training"]["algorithm"] == "grpo"
    assert (run.host, run.git.remote_url, run.git.commit) == ("", "", "")
    assert not any(r.HasField("stats") or r.HasField("output_raw") or r.HasField("environment") for r in records)
    folder = next((offline / "wandb").glob("offline-run-*/files"))
    assert not list(folder.iterdir()), "no code, requirements or metadata files"
    log = next((offline / "wandb").glob("offline-run-*/*.wandb")).read_bytes()
    assert len(socket.gethostname()) < 4 or socket.gethostname().encode() not in log
    assert str(Path.cwd()).encode() not in log


def test_a_continued_run_keeps_its_id(offline: Path) -> None:
    for _ in range(2):
        Tracker(offline, recipe("offline")).close()
    ids = {r.run.run_id for r in read_transaction_log(offline) if r.HasField("run")}
    assert len(ids) == 1
    assert next(iter(ids)).startswith("my-run-")


def test_wandb_without_a_key_is_one_warning(
    offline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(offline))
    monkeypatch.setenv("NETRC", str(offline / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with Tracker(offline, recipe("online")) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
        tracker.table("samples", ["a"], [["b"]])
    assert [r.levelname for r in caplog.records if r.name == "selfplay.tracking"] == ["WARNING"]
    assert len(read_metrics(offline)) == 1


def test_a_wandb_that_breaks_midway_is_one_warning(
    offline: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError("gone\nsecond line")

    with Tracker(offline, recipe("disabled")) as tracker:
        monkeypatch.setattr(tracker._mirror, "_run", Broken())
        tracker.log("base", {"loss": 0.5}, 1)
        tracker.log("base", {"loss": 0.4}, 2)
        tracker.summary({"seed": 1})
    assert len(caplog.records) == 1
    assert "gone" in caplog.text
    assert "second line" not in caplog.text
    assert len(read_metrics(offline)) == 2


def test_an_unreachable_wandb_does_not_stop_the_run(tmp_path: Path) -> None:
    script = (
        "import sys, json\n"
        "from pathlib import Path\n"
        "from selfplay.config import Recipe\n"
        "from selfplay import tracking\n"
        "tracking.INIT_TIMEOUT_SECONDS = 1.0\n"
        "recipe = Recipe.model_validate(json.loads(sys.argv[2]))\n"
        "with tracking.Tracker(Path(sys.argv[1]), recipe) as tracker:\n"
        "    tracker.log('base', {'loss': 1.0}, 0)\n"
    )
    settings = recipe("online").model_dump_json()
    environment = os.environ | {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), settings],
        check=False,
        timeout=60,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "kept in the run directory only" in ended.stderr
    assert len(read_metrics(tmp_path)) == 1


def item_name(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def read_transaction_log(run_path: Path) -> list[Any]:
    """The records of all W&B files of a run, each whole: W&B writes a file's end shortly after `finish` returns."""
    records: list[Any] = []
    for file in sorted((run_path / "wandb").glob("offline-run-*/*.wandb")):
        deadline = time.monotonic() + 20
        found = _records(file)
        while not any(record.HasField("exit") for record in found) and time.monotonic() < deadline:
            time.sleep(0.05)
            found = _records(file)
        records += found
    return records


def _records(file: Path) -> list[Any]:
    """LevelDB's log format around protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    return [Record.FromString(payload) for payload in _payloads(file.read_bytes())]


def _payloads(content: bytes) -> Iterator[bytes]:
    position, whole = LOG_HEADER, b""
    while position + LOG_HEADER <= len(content):
        left_in_block = LOG_BLOCK - position % LOG_BLOCK
        if left_in_block < LOG_HEADER:
            position += left_in_block
            continue
        length, kind = struct.unpack("<HB", content[position + 4 : position + LOG_HEADER])
        if position + LOG_HEADER + length > len(content):
            return
        whole += content[position + LOG_HEADER : position + LOG_HEADER + length]
        position += LOG_HEADER + length
        if kind in (1, 4):  # a full record, or the last fragment of one
            yield whole
            whole = b""
