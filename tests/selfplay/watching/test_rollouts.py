"""`selfplay rollouts`: what is found, and that no completion steers the terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.cli.views import rollouts_view
from selfplay.run.files import RunError
from selfplay.run.records import LabelledTask, Rollout, RoundPrompt, Seed
from selfplay.run.tables import Record, write_table
from selfplay.watching.rollouts import find_rollouts, how_judged, stages_with_rollouts
from tests.selfplay.tracking.runs import claimed, recipe
from verifiers.model import Task, Test

HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]so[/red] \u202e\x9b5n\r\tx = 4\nboxed 4"


def rollout(task_id: str, index: int, passed: bool | None, domain: str = "math") -> Rollout:
    status = {True: "correct", False: "wrong", None: "error"}[passed]
    reward = None if passed is None else float(passed)
    reason = "" if passed else "[b]4[/b] is not 5\x1b[0m"
    return Rollout(f"{task_id}-{index}", task_id, domain, 1, "T=1.0", index, HOSTILE, passed, reward, status, reason)


def write(path: Path, record: type[Record], rows: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, record, rows)


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    claimed(tmp_path, recipe("disabled"))
    tasks = [LabelledTask(f"task{n}", "p", "math", Task(f"What is {n}+3?", "5"), 0.75, 0.5, "", None) for n in range(3)]
    write(tmp_path / "stages/labelling/tasks.parquet", LabelledTask, tasks)
    write(tmp_path / "stages/labelling/completions.parquet", Rollout, [rollout("task0", 0, True)])
    rows = [rollout("task0", 0, True), rollout("task0", 1, False), rollout("task1", 0, True), rollout("task2", 0, None)]
    write(tmp_path / "stages/selfplay_1/rollouts.parquet", Rollout, rows)
    seed = Seed("seed0", "math", "heldout", "s", (), "", "", Task("What is 2+2?", "4"), "", None)
    write(tmp_path / "stages/seeds/math-heldout.parquet", Seed, [seed])
    write(tmp_path / "stages/evaluation_1/rollouts.parquet", Rollout, [rollout("seed0", 0, False)])
    return tmp_path


def test_the_newest_round_is_shown_with_what_was_asked(run_path: Path) -> None:
    assert stages_with_rollouts(run_path) == ["selfplay_1", "evaluation_1", "labelling"]
    found = find_rollouts(run_path)
    assert [(one.task_id, one.task, len(one.rollouts)) for one in found] == [
        ("task0", Task("What is 0+3?", "5"), 2),
        ("task1", Task("What is 1+3?", "5"), 1),
        ("task2", Task("What is 2+3?", "5"), 1),
    ]
    assert [one.task_id for one in find_rollouts(run_path, limit=2)] == ["task0", "task1"]
    assert [one.task_id for one in find_rollouts(run_path, task="task2")] == ["task2"]


def test_failed_means_not_passed(run_path: Path) -> None:
    found = find_rollouts(run_path, failed=True)
    assert [(one.task_id, [row["passed"] for row in one.rollouts]) for one in found] == [
        ("task0", [False]),
        ("task2", [None]),
    ]


def test_held_out_problems_are_found_among_the_seeds(run_path: Path) -> None:
    [one] = find_rollouts(run_path, "evaluation_1")
    assert one.task == Task("What is 2+2?", "4")


def test_the_whole_label_of_an_external_prompt_is_shown(run_path: Path) -> None:
    tests = (Test(args=([1, "\x1b[2J"],), expected={"a": 2}), *(Test(args=(n,), expected=n) for n in range(3)))
    task = Task("Do.", tests=tests, entry_point="go", float_tolerance=0.1, comparison="any_order", time_limit_s=2)
    labelled = LabelledTask("task0", "own", "code", task, 1.0, 0.0, "", None)
    prompts = [RoundPrompt("i", 1, labelled, "external", "my book", 1, False)]
    write(run_path / "stages/selfplay_1/prompts.parquet", RoundPrompt, prompts)
    (run_path / "stages/labelling/tasks.parquet").unlink()
    [one] = find_rollouts(run_path, task="task0")
    assert one.task == task
    assert one.agreement is None, "the label was given, not voted on"
    assert one.as_json()["task"]["tests"][0]["expected"] == {"a": 2}
    console = Console(file=io.StringIO(), width=200)
    console.print(rollouts_view(one))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    for said in ("function go; 2 s, 512 MB; either error up to 0.1; compared by any_order", "2 more tests", "→ {"):
        assert said in " ".join(text.split())
    program = Task("Do.", tests=(Test("1", "2"),), language="cpp", checker="exit(0)")
    assert how_judged(program) == "program in C++; a checker of its own"
    assert how_judged(Task("Do.", "4")) == ""


def test_a_round_that_goes_on_is_read_from_its_log(run_path: Path) -> None:
    file = run_path / "stages/selfplay_2/policy-training/rollouts-0.jsonl"
    file.parent.mkdir(parents=True)
    row = {"step": 3, "task_id": "task1", "domain": "math", "completion": "5", "passed": True, "reward": 1.0}
    file.write_text(json.dumps(row | {"status": "correct", "reason": ""}) + '\n{"torn')
    [one] = find_rollouts(run_path)
    assert (one.stage, one.task, one.rollouts[0]["mode"]) == ("selfplay_2", Task("What is 1+3?", "5"), "step 3")


def test_of_a_round_that_goes_on_the_newest_rollouts_come_first(
    run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfplay.watching.rollouts.BLOCK_BYTES", 100)
    file = run_path / "stages/selfplay_2/policy-training/rollouts-0.jsonl"
    file.parent.mkdir(parents=True)
    row = {"domain": "math", "passed": False, "reward": 0.0, "status": "wrong", "reason": ""}
    with file.open("w") as log:
        for step, tasks in ((1, ("task0", "task1")), (2, ("task2", "task3")), (3, ("task0", "task4"))):
            for task in tasks:
                for text in ("a", "b" * 300):
                    log.write(json.dumps(row | {"step": step, "task_id": task, "completion": text}) + "\n")
        log.write('{"torn')
    found = find_rollouts(run_path, limit=3)
    assert [(one.task_id, [(r["mode"], r["completion"][0]) for r in one.rollouts]) for one in found] == [
        ("task4", [("step 3", "a"), ("step 3", "b")]),
        ("task0", [("step 3", "a"), ("step 3", "b")]),
        ("task3", [("step 2", "a"), ("step 2", "b")]),
    ]
    [one] = find_rollouts(run_path, task="task0", limit=1)
    assert [r["mode"] for r in one.rollouts] == ["step 1", "step 1", "step 3", "step 3"]
    assert len(find_rollouts(run_path)) == 5


def test_a_hostile_completion_cannot_steer_the_terminal(run_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    for one in find_rollouts(run_path):
        console.print(rollouts_view(one))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\r", "\t", "\u202e"}
    assert "[red]so[/red]" in text
    assert "[b]4[/b] is not 5" in text
    assert "boxed 4" in text
    assert "1 of 2 passed" in text


def test_long_texts_are_cut_unless_wanted_whole(run_path: Path) -> None:
    [one] = find_rollouts(run_path, task="task1")
    one.rollouts[0]["completion"] = "x" * 5000
    shown = []
    for whole in (False, True):
        console = Console(file=io.StringIO(), width=120)
        console.print(rollouts_view(one, whole))
        shown.append(console.file.getvalue())  # type: ignore[attr-defined]
    assert "3500 more characters" in shown[0].replace("\n", "")
    assert shown[1].count("x") >= 5000


def test_the_command_prints_json_that_is_safe_too(run_path: Path) -> None:
    done = CliRunner().invoke(app, ["rollouts", str(run_path), "--failed", "--json"])
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["rollouts"][0]["completion"] == HOSTILE
    assert set(rows[0]) == {"stage", "task_id", "domain", "task", "agreement", "rollouts"}


def test_what_did_not_pass_is_not_counted_as_if_it_were_all(run_path: Path) -> None:
    shown = [
        CliRunner().invoke(app, ["rollouts", str(run_path), "--task", "task0", *more]) for more in ([], ["--failed"])
    ]
    assert "selfplay_1: 1 of 2 passed" in shown[0].stdout
    assert "selfplay_1: 1 did not pass" in shown[1].stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--stage", "selfplay_9"], "those that have are selfplay_1"),
        (["--task", "nobody"], "no rollouts of such a task"),
        (["--domain", "maths"], "--domain maths: the run's domains are math"),
    ],
)
def test_what_is_not_there_is_refused(run_path: Path, options: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["rollouts", str(run_path), *options])
    assert done.exit_code == 2
    assert says in done.output


def test_where_nothing_is_found_that_is_said(run_path: Path) -> None:
    done = CliRunner().invoke(app, ["rollouts", str(run_path), "--stage", "labelling", "--failed"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing of the kind" in done.stderr


def test_before_there_are_any(tmp_path: Path) -> None:
    claimed(tmp_path, recipe("disabled"))
    with pytest.raises(RunError, match="no rollouts yet"):
        find_rollouts(tmp_path)
