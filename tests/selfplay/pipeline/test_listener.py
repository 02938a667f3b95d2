"""What a run tells: of each stage once, with what its tables say, and with alarms that may stop it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.recipe import Recipe
from selfplay.pipeline.listener import AlarmStop, RunListener
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.results import LabellingResult, SelfplayResult
from selfplay.run.tables import write_table
from selfplay.tracking.tracker import Tracker
from selfplay.watching.rollout_tables import COLUMNS, gold_of, newest_rollouts
from selfplay.watching.stage_figures import stage_figures
from selfplay.watching.terminal import Progress
from tests.selfplay.plans import plan_of, put_plan
from tests.selfplay.tracking.reading import read_alarms, read_lines, read_metrics
from tests.selfplay.tracking.runs import recipe
from verifiers.model import Task, Test


def task(number: int, answer: str, dropped: str = "") -> LabelledTask:
    return LabelledTask(f"t{number}", "p", "math", Task("1+1?", answer), 0.75, 0.5, dropped, None)


def rollout(task_id: str, passed: bool | None, status: str) -> Rollout:
    reward = None if passed is None else float(passed)
    return Rollout(f"{task_id}-{status}", task_id, "math", 1, "T=1.0", 0, "so 2", passed, reward, status, "because")


@contextmanager
def told(path: Path, settings: Recipe, stream: io.StringIO | None = None) -> Iterator[tuple[RunDirectory, RunListener]]:
    put_plan(path)
    with (
        RunDirectory.open(path, settings) as run,
        Progress(stream or io.StringIO()) as progress,
        Tracker(path, settings, plan=plan_of()) as tracker,
        RunListener(run, plan_of(), progress, tracker) as audience,
    ):
        yield run, audience


def label(run: RunDirectory, audience: RunListener, answers: list[str]) -> None:
    audience.stage("labelling", 1, 2, run.stage("labelling").done)

    stage = run.stage("labelling")
    if not stage.done:
        rows = [task(number, answer) for number, answer in enumerate(answers)]
        fault = "label: too few tests agreed on"
        untried = replace(task(len(rows), "0"), agreement=None, pass_rate=None, dropped=fault)
        stage.write("tasks", LabelledTask, [*rows, untried])
        stage.finish(1.0, "", "", LabellingResult(tasks=len(answers), lost={"label: tie": 2}))


def test_the_end_of_a_stage_is_told_once_whatever_happens(tmp_path: Path) -> None:
    for _ in range(2):
        with told(tmp_path, recipe("disabled")) as (run, audience):
            label(run, audience, [str(n) for n in range(30)])
    [line] = read_metrics(tmp_path)
    assert line.metrics == {"agreement/math": 0.75, "top_answer_share/math": pytest.approx(1 / 30)}
    rows = list(read_lines(tmp_path))
    assert sum(rows[0]["histograms"]["pass_rate"]["counts"]) == 30
    assert sum(rows[0]["histograms"]["agreement"]["counts"]) == 30
    [done] = [row["done"] for row in rows if "done" in row]
    assert done["counts"] == {"tasks": 30, "lost": {"label: tie": 2}, "measured": 0}
    assert len((tmp_path / "tables" / "prompts_labelling.jsonl").read_text().splitlines()) == 31


def test_the_end_of_a_stage_that_a_kill_left_untold_is_told_later(tmp_path: Path) -> None:
    with RunDirectory.open(tmp_path, recipe("disabled")) as run:
        run.stage("labelling").finish(1.0, "", "", LabellingResult(tasks=3, lost={}))
    with told(tmp_path, recipe("disabled")) as (run, audience):
        label(run, audience, [])
    assert [row["done"]["counts"] for row in read_lines(tmp_path) if "done" in row] == [
        {"tasks": 3, "lost": {}, "measured": 0}
    ]


def test_rollouts_are_told_by_task_and_by_reason(tmp_path: Path) -> None:
    rows = [rollout("a", True, "correct"), rollout("a", False, "wrong"), rollout("b", False, "wrong")]
    rows += [rollout("b", None, "error")]
    with told(tmp_path, recipe("disabled")) as (run, audience):
        audience.stage("selfplay_1", 1, 1, False)
        stage = run.stage("selfplay_1")
        stage.write("rollouts", Rollout, rows)
        stage.finish(1.0, "", "", SelfplayResult(prompts=2, sources={}, rollouts=4))
    [line] = read_metrics(tmp_path)
    assert line.metrics == {
        "rollouts/status/correct/math": 0.25,
        "rollouts/status/wrong/math": 0.5,
        "rollouts/not_checked/math": 0.25,
        "rollouts/zero_variance_share": 0.5,
    }
    kept = table_of(tmp_path, "rollouts_selfplay_1")
    assert [(row["reason"], row["mode"], row["step"]) for row in kept] == [("because", "T=1.0", None)] * 4
    assert [row["verdict"] for row in kept] == ["passed", "failed", "failed", "not checked"]
    [alarm] = read_alarms(tmp_path)
    assert (alarm.stage, alarm.name) == ("selfplay_1", "verifier_errors")


def test_a_rollout_alone_is_no_group_without_variance(tmp_path: Path) -> None:
    """Each greedy completion of an evaluation was one: 53% of its groups, where of those sampled 29% were alike."""
    put_plan(tmp_path)
    folder = tmp_path / "stages" / "evaluation_1"
    rows = [rollout("a", True, "correct"), rollout("a", False, "wrong"), rollout("b", False, "wrong")]
    write_table(folder / "rollouts.parquet", Rollout, [*rows, replace(rows[0], mode="greedy")])
    assert stage_figures(folder, Kind.EVALUATION).metrics["rollouts/zero_variance_share"] == 0.0


def table_of(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run / f"tables/{name}.jsonl").read_text().splitlines()]


def test_rollouts_are_shown_every_some_steps_while_a_training_goes_on(tmp_path: Path) -> None:
    settings = recipe("disabled", rollouts_every=5)
    log = tmp_path / "stages/selfplay_1/policy-training/rollouts-0.jsonl"
    row = {
        "domain": "math",
        "completion": "so 2",
        "passed": True,
        "reward": 1.0,
        "status": "correct",
        "reason": "because",
    }
    for session in range(2):
        with told(tmp_path, settings) as (run, audience):
            if not session:
                label(run, audience, ["2"])
                log.parent.mkdir(parents=True)
            audience.stage("selfplay_1", 2, 2, False)
            audience.log("evaluation_0", {"math/greedy": 1.0}, 50)
            for step in (range(1, 8), range(6, 16))[session]:
                with log.open("a") as file:
                    file.write(json.dumps(row | {"step": step, "task_id": "t0" if step % 2 else "t9"}) + "\n")
                audience.log("selfplay_1", {"reward": 1.0}, step)
    told_tables = [line for line in read_lines(tmp_path) if "series" in line]
    assert [(line["series"], line["step"]) for line in told_tables] == [("rollouts_selfplay_1", n) for n in (5, 10, 15)]
    rows = table_of(tmp_path, told_tables[1]["table"])
    assert list(rows[0]) == list(COLUMNS)
    assert [row["step"] for row in rows if row["task_id"] == "t0"] == [1, 3, 5, 7, 7, 9]
    by_task = {row["task_id"]: (row["prompt"], row["gold"], row["verdict"], row["reward"]) for row in rows}
    assert by_task == {"t0": ("1+1?", "2", "passed", 1.0), "t9": ("", "", "passed", 1.0)}


def test_tables_of_rollouts_stay_small(tmp_path: Path) -> None:
    put_plan(tmp_path)
    log = tmp_path / "stages/selfplay_1/policy-training/rollouts-0.jsonl"
    log.parent.mkdir(parents=True)
    row = {"step": 1, "task_id": "t", "domain": "math", "completion": "x" * 9000, "passed": None, "status": "error"}
    log.write_text((json.dumps(row) + "\n") * 100)
    _, rows = newest_rollouts(tmp_path, "selfplay_1")
    assert len(rows) == 64
    assert rows[0][COLUMNS.index("completion")].endswith("x … (1000 more characters)")
    assert (
        gold_of(Task(tests=tuple(Test(str(n), str(n)) for n in range(5))))
        == "0\n→ 0\n\n1\n→ 1\n\n2\n→ 2\n\nand 2 more tests"
    )


def test_an_alarm_is_raised_once_everywhere(tmp_path: Path) -> None:
    stream = io.StringIO()
    for _ in range(2):
        with told(tmp_path, recipe("disabled"), stream) as (run, audience):
            label(run, audience, ["4"] * 30)
            audience.log("labelling", {"more": 1.0})
            audience.stage("evaluation_0", 2, 2, False)
            audience.log("evaluation_0", {"math/greedy": 1.0})
    [alarm] = read_alarms(tmp_path)
    assert alarm.name == "one_answer"
    assert stream.getvalue().count("Alarm: In labelling, 100% of the labels of math") == 1


def test_an_alarm_stops_the_run_where_the_recipe_says_so(tmp_path: Path) -> None:
    stopping = recipe("disabled", alarms={"stop": ["one_answer"]})
    for _ in range(2):
        with pytest.raises(AlarmStop, match=r"tracking.alarms.stop names one_answer"):  # noqa: PT012, SIM117
            with told(tmp_path, stopping) as (run, audience):
                label(run, audience, ["4"] * 30)
                audience.stage("evaluation_0", 2, 2, False)
    with told(tmp_path, recipe("disabled")) as (run, audience):
        label(run, audience, [])
        audience.stage("evaluation_0", 2, 2, False)
    assert len(read_alarms(tmp_path)) == 1


def test_where_a_run_is_can_be_read_from_elsewhere(tmp_path: Path) -> None:
    with told(tmp_path, recipe("disabled")) as (_, audience):
        audience.stage("labelling", 3, 9, False)
        audience.begin("labelling: solving group 1", 100)
        audience.advance(0)
        audience.advance(100)
        where = json.loads((tmp_path / "progress.json").read_text())
    assert (where["stage"], where["index"], where["stages"]) == ("labelling", 3, 9)
    assert (where["work"], where["done"], where["total"], where["pieces"]) == (
        "labelling: solving group 1",
        100,
        100,
        1,
    )
    assert where["rate"] is None, "nobody knows it before a second has passed"
