"""The copy in W&B, by the real wandb package: offline by reading its files, online against a server on the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from selfplay.run.tables import write_arrow
from selfplay.tracking.surroundings import commit_of
from selfplay.tracking.tracker import Tracker
from selfplay.tracking.wandb_sink import keep_files_in
from tests.selfplay.plans import plan_of
from tests.selfplay.tracking import wandb_server
from tests.selfplay.tracking.reading import read_lines, read_metrics
from tests.selfplay.tracking.runs import claimed, recipe
from tests.selfplay.tracking.wandb_files import history_of, item_name, read_transaction_log
from tests.selfplay.tracking.wandb_server import WandbServer

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b.c")


@pytest.fixture
def run_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    path = tmp_path / "my run"
    path.mkdir()
    return path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with wandb_server.running() as state:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", state.url)
        yield state
        assert state.unknown == []


def test_offline_keeps_metrics_by_stage(run_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Tracker(run_path, claimed(run_path, recipe("offline")), plan=plan_of()) as tracker:
        tracker.log("selfplay_1", {"reward": 0.5, "kl": float("nan")}, 1)
        tracker.log("selfplay_2", {"reward": 0.75}, 1, {"pass_rate": {"edges": [0, 0.5, 1], "counts": [3, 4]}})
        tracker.table("samples", ["problem", "answer"], [["2+2", 4], ["<b>", None]])
        tracker.done("labelling", 2.0, {"tasks": 7, "lost": {"parse: no block": 3}})
        tracker.alarm("selfplay_2", "reward_hacking", "the reward rose")
        for step in (25, 50):
            tracker.table("rollouts", ["step"], [[step]], "selfplay_1", step)
        tracker.summary({"seed": 3, "evaluation": [{"round": 0, "domain": "math", "metric": "greedy", "value": 0.5}]})
    assert capfd.readouterr() == ("", "")
    records = read_transaction_log(run_path)
    history = history_of(records)
    assert {"selfplay_1/reward": 0.5, "selfplay_1/step": 1, "_step": 0}.items() <= history[0].items()
    assert "selfplay_1/kl" not in history[0]
    assert {"selfplay_2/reward": 0.75, "selfplay_2/step": 1, "_step": 1}.items() <= history[1].items()
    shape = {"selfplay_2/pass_rate/_type": "histogram", "selfplay_2/pass_rate/values": [3, 4]}
    assert shape.items() <= history[1].items()
    assert {"done/labelling/tasks": 7, "done/labelling/lost/parse: no block": 3}.items() <= history[3].items()
    assert history[4]["alarms/reward_hacking"] == 1
    steps = {r.metric.glob_name: r.metric.step_metric for r in records if r.HasField("metric") and r.metric.glob_name}
    own = {f"selfplay_{number}/*": f"selfplay_{number}/step" for number in (1, 2)}
    assert steps == own | {"em/*": "em/round", "evaluation/*": "evaluation/round"}
    summary = {item_name(i): i.value_json for r in records if r.HasField("summary") for i in r.summary.update}
    assert summary["evaluation/0/math/greedy/value"] == "0.5"
    [alert] = [r.alert for r in records if r.HasField("alert")]
    assert (alert.title, alert.text) == ("reward hacking", "the reward rose")
    tables = {
        row["_step"]: (name.partition("/")[0], row[name]) for row in history for name in row if name.endswith("/path")
    }
    shown = {step: (name, table_at(run_path, place)) for step, (name, place) in tables.items()}
    assert shown == {2: ("samples", [["2+2", 4], ["<b>", None]]), 5: ("rollouts", [[25]]), 6: ("rollouts", [[50]])}
    # The same command again, on a run that was finished: no empty folder, and no line.
    with Tracker(run_path, recipe("offline"), plan=plan_of()) as tracker:
        tracker.summary({"seed": 3, "total_seconds": 1})
    assert len(list((run_path / "wandb").glob("offline-run-*"))) == 1
    assert len(read_lines(run_path)) == 8


def table_at(run_path: Path, place: str) -> list[list[Any]]:
    [file] = (run_path / "wandb").glob(f"offline-run-*/files/{place}")
    found: list[list[Any]] = json.loads(file.read_text())["data"]
    return found


def test_rounds_share_their_curves(run_path: Path) -> None:
    with Tracker(run_path, claimed(run_path, recipe("offline")), plan=plan_of()) as tracker:
        for number in (1, 12):
            tracker.log(f"selfplay_{number}", {"reward": number / 20}, 1)
            tracker.log(f"evaluation_{number}", {"math/greedy": number / 16}, number)
        tracker.log("em_1", {"loss": 1.0}, 1)
    history = history_of(read_transaction_log(run_path))
    names = ("_step", "selfplay/round", "selfplay/reward", "evaluation/round", "evaluation/math/greedy")
    found = [tuple(row.get(name) for name in names) for row in history]
    assert found == [
        (0, 1, 0.05, None, None),
        (1, None, None, 1, 0.0625),
        (2, 12, 0.6, None, None),
        (3, None, None, 12, 0.75),
        (4, None, None, None, None),
    ]


def test_measures_of_em_are_one_curve_from_the_cold_start_on(run_path: Path) -> None:
    with Tracker(run_path, claimed(run_path, recipe("offline")), plan=plan_of()) as tracker:
        for number, stage in enumerate(("cold_start", "em_1", "em_2")):
            tracker.log(stage, {"rationale-model/loss": 1.0}, 10)
            tracker.log(stage, {"round": number, "joint_nll": 8.0 - number, "bound": 4.0})
    records = read_transaction_log(run_path)
    rows = [row for row in history_of(records) if "em/joint_nll" in row]
    assert [(row["em/round"], row["em/joint_nll"], row["em/bound"]) for row in rows] == [
        (0, 8.0, 4.0),
        (1, 7.0, 4.0),
        (2, 6.0, 4.0),
    ]
    assert not any(name.startswith("em/") and "loss" in name for row in history_of(records) for name in row)
    assert "em/*" in [record.metric.glob_name for record in records if record.HasField("metric")]


def test_offline_keeps_the_recipe_and_nothing_about_the_host(run_path: Path) -> None:
    settings = claimed(run_path, recipe("offline", system=False))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
    records = read_transaction_log(run_path)
    [run] = [r.run for r in records if r.HasField("run")]
    assert (run.project, run.display_name) == ("a-project", "tiny")
    config = {item.key: json.loads(item.value_json) for item in run.config.update if item.key}
    assert config["training"]["algorithm"] == "grpo"
    assert "made_with" not in config
    assert (run.host, run.git.remote_url, run.git.commit) == ("", "", "")
    assert not any(r.HasField("stats") or r.HasField("output_raw") or r.HasField("environment") for r in records)
    folder = next((run_path / "wandb").glob("offline-run-*/files"))
    assert not list(folder.iterdir()), "no code, requirements or metadata files"
    log = next((run_path / "wandb").glob("offline-run-*/*.wandb")).read_bytes()
    assert len(socket.gethostname()) < 4 or socket.gethostname().encode() not in log
    assert str(Path.cwd()).encode() not in log


def test_a_run_is_found_by_its_group_and_tells_what_made_it(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = run_path.parent / "mine"
    for asked in (["init", "-q", "mine"], ["-C", "mine", *AUTHOR, "commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", *asked], cwd=run_path.parent, check=True)
    monkeypatch.chdir(repository)
    settings = claimed(run_path, recipe("offline", group="seeds", tags=("try", "small")))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
    records = read_transaction_log(run_path)
    [run] = [r.run for r in records if r.HasField("run")]
    assert (run.run_group, sorted(run.tags)) == ("seeds", ["small", "try"])
    config = {item.key: json.loads(item.value_json) for item in run.config.update if item.key}
    assert config["made_with"]["commit"] == commit_of(repository)
    assert len(config["made_with"]["commit"]) == 40
    assert {"promptcot", "torch", "trl"} <= set(config["made_with"]["versions"])


@pytest.mark.long
@pytest.mark.parametrize("system", [True, False])
def test_how_busy_the_machine_is_goes_along_unless_unwanted(run_path: Path, system: bool) -> None:
    with Tracker(run_path, claimed(run_path, recipe("offline", system=system)), plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
        time.sleep(40)  # W&B samples every 15 s
    assert any(r.HasField("stats") for r in read_transaction_log(run_path)) is system
    log = next((run_path / "wandb").glob("offline-run-*/*.wandb")).read_bytes()
    assert len(socket.gethostname()) < 4 or socket.gethostname().encode() not in log


@pytest.mark.long
def test_offline_sessions_share_an_id_and_repeat_nothing(run_path: Path) -> None:
    settings = claimed(run_path, recipe("offline"))
    for number in range(2):
        with Tracker(run_path, settings, plan=plan_of()) as tracker:
            tracker.log("base", {"loss": number}, number)
    records = read_transaction_log(run_path)
    ids = {r.run.run_id for r in records if r.HasField("run")}
    assert len(ids) == 1
    assert next(iter(ids)).startswith("my-run-")
    assert [row["base/loss"] for row in history_of(records) if "base/loss" in row] == [0, 1]


def test_without_a_key_the_run_says_so_once_and_goes_on(
    run_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(run_path))
    monkeypatch.setenv("NETRC", str(run_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with Tracker(run_path, claimed(run_path, recipe("online")), plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 0.5}, 1)
        tracker.table("samples", ["a"], [["b"]])
    [warning] = [r.getMessage() for r in caplog.records]
    assert "there is no API key" in warning
    assert "selfplay track sync" in warning
    assert len(read_metrics(run_path)) == 1


def test_online_one_run_is_resumed_under_its_id(run_path: Path, server: WandbServer) -> None:
    settings = claimed(run_path, recipe("online"))
    for session in range(2):
        with Tracker(run_path, settings, plan=plan_of()) as tracker:
            tracker.log("selfplay_1", {"reward": session / 2}, session)
            tracker.alarm("selfplay_1", "verifier_errors", f"session {session}")
    assert server.run.points("selfplay_1/reward") == [(0, 0), (2, 0.5)]
    assert server.run.alerts == [("verifier errors", "session 0"), ("verifier errors", "session 1")]
    assert server.run.config["training"]["value"]["algorithm"] == "grpo"
    assert server.run.exit_code == 0


def test_what_a_killed_driver_logged_arrives_and_the_run_is_marked_as_failed(
    run_path: Path, server: WandbServer
) -> None:
    claimed(run_path, recipe("online"))
    script = (
        "import os, signal, sys, json\n"
        "from pathlib import Path\n"
        "from selfplay.config.recipe import Recipe\n"
        "from selfplay.tracking.tracker import Tracker\n"
        "path = Path(sys.argv[1])\n"
        "tracker = Tracker(path, Recipe.model_validate(json.loads((path / 'recipe.json').read_text())))\n"
        "for step in range(50):\n"
        "    tracker.log('em_1', {'reward': step}, step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(run_path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    wait_until(lambda: server.runs and server.run.exit_code == 1)
    assert server.run.points("em_1/reward") == [(step, step) for step in range(50)]


def test_a_server_that_is_down_costs_the_run_nothing_and_sync_uploads_all(
    run_path: Path, server: WandbServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.down = True
    monkeypatch.setattr("selfplay.tracking.mirror_process.PATIENCE_S", 3.0)
    with Tracker(run_path, claimed(run_path, recipe("online")), plan=plan_of()) as tracker:
        mirror = psutil.Process(tracker._mirrors[0]._process.pid)
        mirror.suspend()
        for step in range(200):
            tracker.log("selfplay_1", {"reward": step}, step)
        tracker.table("prompts", ["problem"], [["2+2"]])
        mirror.resume()
    [warning] = [r.getMessage() for r in caplog.records]
    assert f"`selfplay track sync {run_path}` uploads the rest" in warning
    refused = synced(run_path, "--timeout", "1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("wandb: ")
    assert refused.stderr.count("\n") == 1
    server.down = False
    # W&B's process of the refused upload may reach the server only now, and make the run between two questions of this.
    said = [synced(run_path)]
    while said[-1].returncode and len(said) < 5:
        said.append(synced(run_path))
    assert "201 lines uploaded" in said[-1].stdout, said
    assert server.run.points("selfplay_1/reward") == [(step, step) for step in range(200)]
    assert [name for name in server.files if "media/table/prompts" in name]
    assert "already" in synced(run_path).stdout


@pytest.mark.long
def test_a_server_that_vanishes_midway_misses_nothing_in_the_end(
    run_path: Path, server: WandbServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfplay.tracking.mirror_process.PATIENCE_S", 3.0)
    settings = claimed(run_path, recipe("online"))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("selfplay_1", {"reward": 0}, 0)
        wait_until(lambda: server.runs and server.run.points("selfplay_1/reward"))
        server.down = True
        tracker.log("selfplay_1", {"reward": 1}, 1)
        tracker.table("rollouts", ["completion", "reason"], [["4", "right"]])
    assert len(caplog.records) == 1
    server.down = False
    monkeypatch.setattr("selfplay.tracking.mirror_process.PATIENCE_S", 60.0)
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("selfplay_1", {"reward": 2}, 2)
    assert [value for _, value in server.run.points("selfplay_1/reward")] == [0, 1, 2]
    assert [name for name in server.files if "media/table/rollouts" in name]


def test_tables_and_models_of_a_stage_are_artifacts(run_path: Path, server: WandbServer) -> None:
    settings = claimed(run_path, recipe("online"))
    for stage, table in (("seeds", "math-train"), ("selfplay_2", "rollouts")):
        write_arrow(run_path / f"stages/{stage}/{table}.parquet", pa.table({"a": [1, len(stage)]}))
    policy = run_path / "stages/selfplay_2/policy"
    policy.mkdir()
    (policy / "config.json").write_text("{}")
    (policy / "model.safetensors").write_bytes(b"weights")
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.done("seeds", 1.0, {"math-train": 2})
        tracker.done("selfplay_2", 1.0, {"rollouts": 2})
    found = {kept["name"]: kept for kept in server.artifacts if kept["type"] in ("dataset", "model")}
    assert {name: kept["type"] for name, kept in found.items()} == {
        "seeds": "dataset",
        "selfplay": "dataset",
        "policy": "model",
    }
    assert server.run.used == [found["seeds"]["id"]], "the run starts from the seeds"
    assert found["policy"]["files"] == ["config.json"], "weights stay here unless the recipe says models"
    assert found["policy"]["metadata"]["weights"] == "stages/selfplay_2/policy of the run directory"
    assert found["selfplay"]["metadata"]["stage"] == "selfplay_2"
    assert all(kept["state"] == "COMMITTED" for kept in found.values())


@pytest.mark.long
def test_sync_goes_on_where_an_offline_run_was(run_path: Path, server: WandbServer) -> None:
    with Tracker(run_path, claimed(run_path, recipe("offline")), plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 1.0}, 0)
    assert server.runs == {}
    assert "1 lines uploaded" in synced(run_path).stdout
    assert server.run.points("base/loss") == [(0, 1.0)]


@pytest.mark.long
def test_lines_that_a_power_cut_took_do_not_hide_later_ones(run_path: Path, server: WandbServer) -> None:
    settings = claimed(run_path, recipe("online"))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        for step in range(5):
            tracker.log("base", {"loss": step}, step)
    file = run_path / "metrics.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    with Tracker(run_path, settings, plan=plan_of()) as tracker:
        tracker.log("base", {"loss": 9}, 9)
    assert [value for _, value in server.run.points("base/loss")] == [0, 1, 2, 3, 4, 9]


def test_a_service_of_whoever_began_the_process_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_SERVICE", "WANDB_SILENT", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, "another's")
    keep_files_in(tmp_path)
    assert "WANDB_SERVICE" not in os.environ


def test_importing_tracking_does_not_import_wandb() -> None:
    code = "import sys, selfplay.tracking; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def synced(run_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selfplay", "track", "sync", str(run_path), *options]
    return subprocess.run(command, check=False, timeout=100, capture_output=True, text=True)


def wait_until(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_mirror_is_not_hurt_by_the_terminal(run_path: Path) -> None:
    """Ctrl-C reaches all of a terminal's processes; the mirror has the last lines to pass on."""
    tracker = Tracker(run_path, claimed(run_path, recipe("offline")), plan=plan_of())
    try:
        assert os.getpgid(tracker._mirrors[0]._process.pid) != os.getpgid(0)
    finally:
        tracker.close()
