"""Damaged small files and lines of a run are one sentence, or passed over; none ends `status` or the report."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfplay.cli.status_view import status_view
from selfplay.report.page import facts, write_report
from selfplay.run.directory import RunDirectory, read_recipe
from selfplay.run.files import RunError
from selfplay.run.plan import Plan, expected, manifest_of, read_plan
from selfplay.tracking.alarms import Curves, raised
from selfplay.tracking.metric_log import Follower, metric_line
from selfplay.tracking.mirror import copy_new
from selfplay.tracking.tensorboard_sink import TensorboardSink
from selfplay.tracking.tracker import Tracker
from selfplay.watching.status import run_status
from tests.selfplay.report.conftest import FakeRun
from tests.selfplay.tracking.reading import read_alarms, read_lines, read_metrics

VALUES: list[Any] = [
    *(None, True, -1, 0, 3.5, 10**400, -(10**400), 2**63, "", "x", "../x", "\ud800", [], {}, [1], [[]], {"a": 1}, [{}]),
    *([None], {"row": 1}, [{"round": "x"}], 1e400, -1e400, float("nan")),
]
TEXTS = ["", "{", "[]", "3", "null", "\x00", "NaN", '{"a": 1, "a"']


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of a JSON value; of a list the first item."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, held in inner:
        yield from paths(held, (*at, key))


def variants(content: Any, most: int = 25) -> Iterator[Any]:
    """The content without one of its fields, or with one of the values in it: as many of these as wanted."""
    cases = [(path, value) for path in paths(content) for value in [..., *VALUES]]
    for path, value in random.Random(0).sample(cases, min(most, len(cases))):
        found = copy.deepcopy(content)
        at = found
        for key in path[:-1]:
            at = at[key]
        if value is ...:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        yield found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return FakeRun(tmp_path / "run").write()


def looks(run: Path) -> None:
    """All that looks at a run from outside, but for the page, which takes long: its facts."""
    plan = read_plan(run)
    with contextlib.suppress(RunError):
        facts(run)
    with contextlib.suppress(RunError):
        plan = expected(run, plan)
    status = run_status(run, plan)
    json.dumps(status)
    Console(file=io.StringIO()).print(status_view(status))


@pytest.mark.parametrize("name", ["stages/em_1/manifest.json", "stages/selfplay_2/manifest.json", "summary.json"])
def test_a_damaged_file_is_one_sentence(run: Path, name: str) -> None:
    file = run / name
    whole = json.loads(file.read_text())
    for text in [*TEXTS, *map(json.dumps, variants(whole))]:
        file.write_text(text)
        try:
            facts(run)
        except RunError as error:
            assert str(error).startswith(str(file)), error  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
        looks(run)


def test_damaged_progress_is_passed_over(run: Path) -> None:
    (run / "stages" / "evaluation_2" / "manifest.json").unlink()
    with RunDirectory.open(run, read_recipe(run)):
        stages = run_status(run, read_plan(run))["stages"]
        name = next(stage["name"] for stage in stages if stage["state"] == "current")
        whole = {"stage": name, "index": 13, "stages": 13, "stage_began": 1.0, "work": "w", "total": 9, "done": 3}
        whole |= {"pieces": 1, "work_began": 1.0, "rate": 0.5, "written": 2.0, "ended": "so"}
        (run / "progress.json").write_text(json.dumps(whole))
        assert run_status(run, read_plan(run))["current"]["done"] == 3
        for text in [*TEXTS, *map(json.dumps, variants(whole))]:
            (run / "progress.json").write_text(text)
            looks(run)


LINES: list[dict[str, Any]] = [
    {
        "time": 1.0,
        "stage": "selfplay_1",
        "kind": "selfplay",
        "round": 1,
        "step": 1,
        "metrics": {"reward": 0.5, "loss": 1.0},
    },
    {
        "time": 1.0,
        "stage": "evaluation_1",
        "kind": "evaluation",
        "round": 1,
        "step": 1,
        "metrics": {"math/greedy": 0.5},
    },
    {
        "time": 1.0,
        "stage": "labelling",
        "kind": "labelling",
        "round": 1,
        "step": None,
        "metrics": {"a": 1.0},
        "histograms": {"h": {"edges": [0.0, 1.0, 2.0], "counts": [1, 2]}},
    },
    {"time": 1.0, "stage": "selfplay_1", "metrics": {"rollouts/status/wrong/math": 0.5}, "step": 2},
    {"time": 1.0, "stage": "labelling", "table": "prompts_labelling"},
    {
        "time": 1.0,
        "stage": "labelling",
        "kind": "labelling",
        "done": {"seconds": 2.0, "counts": {"tasks": 3, "lost": {"a": 1}}},
    },
    {"time": 1.0, "stage": "selfplay_1", "alarm": "diverged", "text": "so"},
    {
        "time": 1.0,
        "stage": "",
        "summary": {"name": "x", "evaluation": [{"round": 0, "domain": "d", "metric": "m", "value": 1}]},
    },
]


@pytest.mark.parametrize("place", range(len(LINES)))
def test_a_bad_line_of_metrics_ends_nothing(run: Path, tmp_path: Path, place: int) -> None:
    good = json.dumps({"time": 9.0, "stage": "selfplay_2", "step": 7, "metrics": {"reward": 0.25}})
    bad = [*TEXTS, *map(json.dumps, variants(LINES[place]))]
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        for text in bad:
            file.write(text + "\n")
        file.write(good + "\n")
    assert read_metrics(run)[-1].metrics == {"reward": 0.25}
    read_alarms(run)
    looks(run)
    curves = Curves()
    for row in read_lines(run):
        line = metric_line(row)
        if line is not None:
            curves.add(line)
    raised(curves, read_recipe(run).tracking.alarms)
    sink = TensorboardSink(tmp_path)
    sink.start()
    follower = Follower(run / "metrics.jsonl")
    copy_new(follower, sink, 0, run)
    sink.finish(False)
    assert follower.count >= len(bad)
    with Tracker(run, read_recipe(run)) as tracker:
        tracker.log("selfplay_2", {"reward": 0.5}, 8)


def test_a_report_is_written_over_bad_lines(run: Path) -> None:
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        for line in LINES:
            file.writelines(json.dumps(bad) + "\n" for bad in variants(line))
    assert write_report(run).stat().st_size > 1000


def test_plans_and_manifests_of_nonsense(run: Path) -> None:
    whole = json.loads((run / "plan.json").read_text())
    for text in [*TEXTS, *map(json.dumps, variants(whole))]:
        (run / "plan.json").write_text(text)
        try:
            plan = read_plan(run)
        except RunError:
            continue
        assert isinstance(plan, Plan)
    (run / "stages" / "em_1" / "manifest.json").write_text('{"seconds": 1.0, "counts": []}')
    with pytest.raises(RunError, match=r"is damaged \('counts': .*delete the stage's folder"):
        manifest_of(run, "em_1")
