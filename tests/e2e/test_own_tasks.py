"""A user's own tasks by the command line: functions and C++ programs are trained on under their whole labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfplay.run.records import Rollout, RoundPrompt
from selfplay.run.tables import read_table
from tests.e2e.conftest import selfplay

TRAIN, HELDOUT = (1, 2, 3, 4, 5, 6), (7, 8)
LEARN = {"max_steps": 150, "per_device_train_batch_size": 8, "learning_rate": 7.0e-3, "warmup_steps": 10}
SAMPLING = {"temperature": 1.0, "max_new_tokens": 128}


def function(number: int) -> dict[str, Any]:
    return {
        "problem": f"Return n plus {number}.",
        "entry_point": "plus",
        "tests": [{"args": [n], "expected": n + number} for n in (0, 5)],
        "solution": f"```python\ndef plus(n):\n    return n + {number}\n```",
    }


def cpp_program(number: int) -> dict[str, Any]:
    return {
        "problem": f"Print n plus {number}.",
        "language": "cpp",
        "tests": [{"input": str(n), "output": str(n + number)} for n in (0, 5)],
        "time_limit_s": 2,
        "solution": f"```cpp\n#include <iostream>\nint main() {{ int n; std::cin >> n; std::cout << n + {number}; }}"
        "\n```",
    }


def trained(folder: Path, row: Any, training: dict[str, Any]) -> Path:
    """A run of one round on these tasks, by a model that has nearly learnt their solutions by heart."""
    for split, numbers in (("train", TRAIN), ("heldout", HELDOUT)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row(number)) + "\n" for number in numbers))
    recipe = {
        "name": "own",
        "compute": {"device": "cpu", "workers": 1},
        "model": {"kind": "scratch", "hidden_size": 64, "vocabulary": 320, "args": LEARN},
        "domains": {
            "code": {
                "seeds": {"kind": "file", "train": "train.jsonl", "heldout": "heldout.jsonl", "level": "easy"},
                "verifier": "code",
            }
        },
        "training": {"rounds": 1, "pool": {"arm": "external"}, "sampling": SAMPLING} | training,
        "tracking": {"wandb": {"mode": "disabled"}},
        "evaluation": {"problems": 2, "samples": 2, "temperatures": [1.0], "max_new_tokens": 128, "bootstrap": 100},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(recipe))
    done = selfplay("run", folder / "own.yaml", "--run-dir", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def statuses(run: Path) -> set[str]:
    return {row.status for row in read_table(run / "stages/selfplay_1/rollouts.parquet", Rollout)}


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    args = {"max_steps": 4, "per_device_train_batch_size": 24, "num_generations": 8, "learning_rate": 1e-4}
    return trained(tmp_path_factory.mktemp("functions"), function, {"algorithm": "grpo", "grpo": {"args": args}})


@pytest.mark.long
def test_grpo_trains_on_functions(functions: Path) -> None:
    found = statuses(functions)
    assert "accepted" in found
    assert found & {"wrong_answer", "runtime_error"}, "a wrong program is judged by calling its function"
    prompts = read_table(functions / "stages/selfplay_1/prompts.parquet", RoundPrompt)
    assert {one.task.task.entry_point for one in prompts} == {"plus"}
    summary = json.loads((functions / "summary.json").read_text())
    assert summary["rounds"][0]["sources"] == {"external": 6}


@pytest.mark.long
def test_people_see_the_whole_label(functions: Path) -> None:
    shown = selfplay("rollouts", functions, "--stage", "selfplay_1", "--limit", "1")
    assert "function plus" in shown.stdout
    assert "plus(5)" in shown.stdout
    as_json = selfplay("rollouts", functions, "--stage", "selfplay_1", "--limit", "1", "--json")
    task = json.loads(as_json.stdout.splitlines()[0])["task"]
    number = int(task["problem"].split()[-1].strip("."))
    assert task["tests"][1] == {"input": "", "output": "", "args": [5], "expected": 5 + number}


@pytest.mark.long
def test_rft_trains_on_cpp_programs(tmp_path: Path) -> None:
    rft = {"rollouts": 8, "args": {"max_steps": 2, "per_device_train_batch_size": 4}}
    run = trained(tmp_path, cpp_program, {"algorithm": "rft", "rft": rft})
    found = statuses(run)
    assert "accepted" in found
    assert found & {"wrong_answer", "compile_error"}
    counts = json.loads((run / "stages/selfplay_1/manifest.json").read_text())["counts"]
    assert 0 < counts["samples"] <= len(TRAIN)


@pytest.mark.long
def test_a_run_directory_of_other_code_is_refused_in_one_sentence(functions: Path, tmp_path: Path) -> None:
    """As an earlier version of this code left it."""
    recipe = json.loads((functions / "recipe.json").read_text())
    pool = recipe["training"]["pool"]
    recipe["training"]["pool"] = {
        "arm": "given",
        "given": pool.pop("external"),
        "given_share": pool.pop("external_share"),
    }
    old = tmp_path / "run"
    old.mkdir()
    (old / "recipe.json").write_text(json.dumps(recipe))
    (old / "stages" / "base").mkdir(parents=True)
    (old / "stages" / "base" / "manifest.json").write_text("{}")
    refusals = {
        "run": "has no plan.json, so an earlier version of promptcot made it; use that version, or start anew",
        "status": "recipe.json: another version of this code wrote it (training.pool.",
    }
    commands = {"run": [functions.parent / "own.yaml", "--run-dir", old], "status": [old]}
    for verb, says in refusals.items():
        done = selfplay(verb, *commands[verb])
        assert done.returncode == 2
        assert says in done.stderr.splitlines()[-1]
