"""How far a run is: from its files alone, also damaged ones, without disturbing it."""

from __future__ import annotations

import fcntl
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.cli.run import launch_run
from selfplay.cli.status_view import counts_line, fitted, status_view, watch
from selfplay.compute.workers import WorkerError
from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json
from selfplay.run.progress import ProgressFile
from selfplay.tracking.digest import MetricDigest
from selfplay.watching.status import is_running, run_status
from tests.selfplay.plans import placed, plan_of, put_plan
from tests.selfplay.tracking.runs import claimed, recipe
from tests.selfplay.watching.shown import shown

STAGES = ("seeds", "em_1", "em_2", "synthesis", "selfplay_1", "selfplay_2")


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    for name in ("seeds", "em_1", "synthesis"):
        manifest = {"stage": name, "seconds": 3.5, "counts": {"rows": 12, "share": 0.123456, "[b]": "[/b]"}}
        write_json(tmp_path / "stages" / name / "manifest.json", manifest)
    lines = [
        placed({"time": 1.0, "stage": "selfplay_1", "step": step, "metrics": {"reward": step / 10, "kl": 0.5}})
        for step in range(5)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    (tmp_path / "lock").touch()
    return tmp_path


def test_the_status_of_a_stopped_run(run_path: Path) -> None:
    text = shown(status_view(run_status(run_path, plan_of(STAGES))))
    assert "3 of 6 stages done" in text
    assert "not running" in text
    states = {line.split()[1]: line.split()[0] for line in reversed(text.splitlines()) if len(line.split()) > 1}
    assert [states[name] for name in STAGES] == ["✓", "✓", "-", "✓", "▶", "·"], "em_2 ended early, so it was skipped"
    assert "[b] [/b], rows 12, share 0.1235" in text
    assert "reward 0.4, kl 0.5" in text
    assert "0.000 → 0.400" in text


def test_the_status_of_a_running_run_does_not_disturb_it(run_path: Path) -> None:
    assert not is_running(run_path)
    with (run_path / "lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert "in progress" in shown(status_view(run_status(run_path, plan_of(STAGES))))
        assert is_running(run_path)
    assert not is_running(run_path)
    with (run_path / "lock").open("a+") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_status_of_runs_at_their_ends(run_path: Path, tmp_path: Path) -> None:
    assert "finished" in shown(status_view(run_status(run_path, plan_of(("seeds", "em_1")))))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "0 of 6 stages done" in shown(status_view(run_status(empty, plan_of(STAGES))))


def test_a_damaged_manifest_is_said_to_be_damaged(run_path: Path) -> None:
    (run_path / "stages" / "em_1" / "manifest.json").write_text("{")
    assert "is damaged" in " ".join(shown(status_view(run_status(run_path, plan_of(STAGES)))).split())


def running(run_path: Path) -> Any:
    held = (run_path / "lock").open("a+")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return held


def log(run_path: Path, *lines: dict[str, Any]) -> None:
    with (run_path / "metrics.jsonl").open("a") as file:
        file.write(
            "\n" + "".join(json.dumps({"time": time.time(), "step": None} | placed(line)) + "\n" for line in lines)
        )


def told(run_path: Path, patch: pytest.MonkeyPatch, work: str, total: int, done: dict[float, int]) -> None:
    """The progress of a piece of work: how much was done at which second of a clock that is at 98 when it begins."""
    clock = [98.0]
    patch.setattr("selfplay.run.progress.time.monotonic", lambda: clock[0])
    progress = ProgressFile(run_path)
    progress.stage("selfplay_1", 5, 6)
    progress.begin(work, total)
    for clock[0], count in done.items():
        progress.advance(count)


def test_what_goes_on_is_said_with_its_rate_and_what_is_left(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(run_path, monkeypatch, "selfplay 1: rollouts \x1b[2J", 100, {100.0: 0, 110.0: 40})
    with running(run_path):
        status = run_status(run_path, plan_of(STAGES))
    assert status["current"]["rate_per_s"] == pytest.approx(4.0)
    assert status["current"]["eta_s"] == pytest.approx(15.0)
    text = shown(status_view(status))
    assert "40 of 100 completions, 1 shards done, 4 completions a second, about 15.0 s left of it" in text
    assert "\x1b" not in text
    assert run_status(run_path, plan_of(STAGES))["current"] is None, "nothing goes on in a run that was stopped"


def test_steps_of_an_earlier_session_do_not_count_as_speed(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(run_path, monkeypatch, "selfplay_1: training policy", 601, {100.0: 501, 105.0: 1, 110.0: 1})
    with running(run_path):
        current = run_status(run_path, plan_of(STAGES))["current"]
    assert current["done"] == 503
    assert (current["rate_per_s"], current["eta_s"]) == (pytest.approx(0.2), pytest.approx(490.0))


def test_answers_of_an_endpoint_are_no_shards(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(run_path, monkeypatch, "labelling: solving group 1", 100, {100.0: 50, 101.0: 1, 102.0: 1, 103.0: 1})
    with running(run_path):
        text = shown(status_view(run_status(run_path, plan_of(STAGES))))
    assert "53 of 100 completions, 1 completions a second" in text


def test_a_run_that_hangs_is_seen_to(run_path: Path) -> None:
    now = time.time()
    counts = {"done": 1, "total": 5, "pieces": 1, "rate": 2.0}
    progress = {"stage": "selfplay_1", "work": "w", "stage_began": now - 9e4} | counts
    for quiet, said in ((30.0, False), (7200.0, True)):
        write_json(run_path / "progress.json", progress | {"written": now - quiet})
        with running(run_path):
            text = shown(status_view(run_status(run_path, plan_of(STAGES))))
        assert ("nothing new for 2 h 00 min" in " ".join(text.split())) is said


def test_why_a_session_ended_is_said_until_the_next_one_goes_on(
    run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise WorkerError("a worker failed: \x1b[2J no memory")

    monkeypatch.setattr("selfplay.pipeline.launch.launch", fail)
    told(run_path, monkeypatch, "w", 5, {100.0: 1})
    with pytest.raises(typer.Exit):
        launch_run(recipe("disabled"), run_path, None, None)
    status = run_status(run_path, plan_of(STAGES))
    assert status["ended"].startswith("a worker failed")
    assert "no memory" in shown(status_view(status))
    assert "\x1b" not in shown(status_view(status))
    with running(run_path):
        assert run_status(run_path, plan_of(STAGES))["ended"] is None
    ProgressFile(run_path).stage("selfplay_1", 5, 6)
    assert run_status(run_path, plan_of(STAGES))["ended"] is None
    assert "the same `selfplay run` command" in shown(status_view(run_status(run_path, plan_of(STAGES))))


def test_alarms_held_out_accuracy_and_failures_are_shown(run_path: Path) -> None:
    log(
        run_path,
        {"stage": "selfplay_1", "alarm": "one_answer", "text": "One [b]answer[/b] won."},
        {"stage": "evaluation_0", "step": 0, "metrics": {"math/greedy": 0.5}},
        {"stage": "evaluation_1", "step": 1, "metrics": {"math/greedy": 0.25}},
        {"stage": "selfplay_1", "metrics": {"rollouts/status/wrong/math": 0.4, "rollouts/status/correct/math": 0.6}},
    )
    status = run_status(run_path, plan_of((*STAGES, "evaluation_0", "evaluation_1")))
    assert status["failures"] == [{"domain": "math", "reason": "wrong", "share": 0.4}]
    text = shown(status_view(status))
    assert "! One [b]answer[/b] won." in text
    assert "50.0% → 25.0%" in text
    assert "40.0%" in text


def test_a_round_that_goes_on_is_read_from_its_rollouts(run_path: Path) -> None:
    file = run_path / "stages/selfplay_1/policy-training/rollouts-0.jsonl"
    file.parent.mkdir(parents=True)
    rows = [{"domain": "code", "passed": n >= 5, "status": "accepted" if n >= 5 else "time_limit"} for n in range(10)]
    rows.append({"domain": "code", "passed": None, "status": "error"})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"torn')
    status = run_status(run_path, plan_of(STAGES))
    assert (status["pass_rate"][0], status["pass_rate"][-1]) == (0.0, 1.0)
    assert [(row["reason"], round(row["share"], 3)) for row in status["failures"]] == [
        ("time_limit", 0.455),
        ("not checked", 0.091),
    ]


def test_a_clock_that_was_set_back_gives_no_negative_times(run_path: Path) -> None:
    write_json(
        run_path / "progress.json",
        {"stage": "selfplay_1", "work": "w", "done": 0, "total": 5, "pieces": 1, "rate": None}
        | {"stage_began": time.time() + 1e6, "written": 9e12},
    )
    log(run_path, {"time": time.time() + 1e6, "stage": "selfplay_1", "metrics": {"a": 1.0}})
    with running(run_path):
        status = run_status(run_path, plan_of(STAGES))
    assert (status["current"]["stage_s"], status["current"]["quiet_s"], status["latest"]["age_s"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"stage": "selfplay_1"}'])
def test_a_damaged_progress_file_is_passed_over(run_path: Path, content: str) -> None:
    (run_path / "progress.json").write_text(content)
    with running(run_path):
        assert run_status(run_path, plan_of(STAGES))["current"] is None


def test_looking_again_reads_only_what_is_new(run_path: Path) -> None:
    metrics = MetricDigest(run_path)
    log(run_path, {"stage": "selfplay_1", "alarm": "one_answer", "text": "One answer won."})
    first = run_status(run_path, plan_of(STAGES), metrics)
    file = run_path / "metrics.jsonl"
    file.write_bytes(b"x" * (file.stat().st_size - 1) + b"\n")
    with file.open("a") as handle:
        handle.write(json.dumps({"time": 2.0, "stage": "selfplay_1", "step": 9, "metrics": {"reward": 0.9}}) + "\n")
    second = run_status(run_path, plan_of(STAGES), metrics)
    assert second["alarms"] == first["alarms"] != []
    assert second["reward"][0]["values"] == [*first["reward"][0]["values"], 0.9]


@pytest.mark.parametrize("verb", ["status", "report"])
def test_a_run_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, verb: str) -> None:
    settings = recipe("disabled").model_dump()
    settings["training"]["selection"] = {}
    settings["domains"]["math"]["seeds"]["dev"] = 10
    claimed(tmp_path, Recipe.model_validate(settings))
    put_plan(tmp_path, ["seeds", "base", "selfplay_1", "evaluation_1", "selection_1"])
    write_json(tmp_path / "stages" / "seeds" / "manifest.json", {"stage": "seeds", "seconds": 1.0, "counts": {}})
    assert CliRunner().invoke(app, [verb, str(tmp_path)]).exit_code == 0
    (tmp_path / "stages" / "selection_1").mkdir()
    (tmp_path / "stages" / "selection_1" / "manifest.json").write_text("{")
    done = CliRunner().invoke(app, [verb, str(tmp_path)])
    assert done.exit_code == 2
    assert "selection_1/manifest.json: is not JSON" in done.output
    assert "it is damaged: delete it and run again" in done.output


def test_a_report_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    claimed(tmp_path, recipe("disabled"))
    (tmp_path / "report.html").mkdir()
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "report.html" in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_is_valid_json(run_path: Path) -> None:
    assert json.loads(json.dumps(run_status(run_path, plan_of(STAGES))))["stages"][2] == {
        "name": "em_2",
        "state": "skipped",
    }


def test_watching_ends_with_the_run(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfplay.cli.status_view.INTERVAL_S", 0.0)
    states = [run_status(run_path, plan_of(STAGES)) | {"running": state} for state in (True, True, False)]
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    watch(console, lambda: states.pop(0))
    assert states == []
    assert "not running" in console.file.getvalue()  # type: ignore[attr-defined]


def long_run(run_path: Path) -> dict[str, Any]:
    """The status of a run that is in the seventh of ten rounds."""
    stages = [f"{kind}_{number}" for number in range(1, 11) for kind in ("selection", "selfplay", "evaluation")]
    for name in stages[:19]:
        counts = {f"some_count_{place}": place for place in range(9)}
        write_json(run_path / "stages" / name / "manifest.json", {"seconds": 3.5, "counts": counts})
    for number in range(1, 8):
        log(run_path, {"stage": f"selfplay_{number}", "step": 1, "metrics": {"reward": number / 10}})
        log(run_path, {"stage": f"evaluation_{number}", "step": number, "metrics": {"math/greedy": number / 20}})
    now = time.time()
    progress = {"stage": "selfplay_7", "work": "selfplay_7: training policy", "stage_began": now, "written": now}
    write_json(run_path / "progress.json", progress | {"done": 3, "total": 5, "pieces": 1, "rate": None})
    with running(run_path):
        return run_status(run_path, plan_of(stages))


@pytest.mark.parametrize("height", [24, 40])
def test_a_long_run_fits_on_the_screen_that_follows_it(run_path: Path, height: int) -> None:
    console = Console(file=io.StringIO(), width=100, height=height, color_system=None)
    view = fitted(long_run(run_path), console)
    console.print(view)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    text = "\n".join(lines)
    assert len(lines) <= height
    for words in ("19 of 30 stages done", "▶  selfplay_7", "evaluation_6", "evaluation_7", "3 of 5 steps", "0.700"):
        assert words in text, text
    assert ("selection_1 " in text) is (height == 40), "stages that ended long ago make room"


def test_a_short_run_is_shown_whole(run_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100, height=50, color_system=None)
    status = run_status(run_path, plan_of(STAGES))
    assert shown(fitted(status, console)) == shown(status_view(status))


def test_a_count_that_was_not_taken_is_left_out() -> None:
    assert counts_line({"kept": 3, "kill_rate": None, "rows": [1]}) == "kept 3"


def full_run(run_path: Path, alarms: int) -> dict[str, Any]:
    """That of a run with all that there can be to tell, and the metrics that GRPO logs with each step."""
    stages = [stage["name"] for stage in long_run(run_path)["stages"]]
    for number in range(alarms):
        log(run_path, {"stage": "selfplay_7", "alarm": f"a{number}", "text": f"Alarm {number}: " + "it goes ill " * 8})
    many = {f"completions/some_metric_{number}": number / 7 for number in range(30)}
    heldout = {f"math_of_a_long_name/avg@8 T=1.0 and more {number}": number / 20 for number in range(4)}
    log(run_path, *({"stage": f"evaluation_{n}", "step": n, "metrics": heldout} for n in range(1, 8)))
    log(run_path, *({"stage": "selfplay_7", "step": n, "metrics": many | {"reward": n / 90}} for n in range(2, 80)))
    file = run_path / "stages/selfplay_7/policy-training/rollouts-0.jsonl"
    file.parent.mkdir(parents=True)
    rows = [{"domain": f"d{n % 4}", "passed": n % 3 == 0, "status": f"status_{n % 5}"} for n in range(500)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with running(run_path):
        return run_status(run_path, plan_of(stages))


@pytest.mark.parametrize("alarms", [0, 1, 9])
@pytest.mark.parametrize("height", [24, 25, 50])
def test_how_well_it_goes_fits_80_columns_before_the_latest_metrics(run_path: Path, alarms: int, height: int) -> None:
    console = Console(file=io.StringIO(), width=80, height=height, color_system=None)
    console.print(fitted(full_run(run_path, alarms), console))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height
    text = "\n".join(line.rstrip() for line in lines)
    places = [
        text.find(words) for words in ("▶  selfplay_7", "3 of 5 steps", "pass rate", "held-out", "reward ", "latest of")
    ]
    shown = [place for place in places if place >= 0]
    assert shown == sorted(shown)
    assert min(places[:4]) >= 0, text
    assert "that did not pass" in text
    assert places[5] >= 0, text
    assert "→" in text


def test_all_of_it_is_shown_where_that_is_asked_for(run_path: Path) -> None:
    text = shown(status_view(full_run(run_path, 1)), 80)
    assert "some_metric_29" in text
    assert text.index("that did not pass") < text.index("latest of")
    assert sum(line.startswith("held-out") for line in text.splitlines()) == 4
