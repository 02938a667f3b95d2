"""New programming problems of every kind, from seeds to a weight update under labels that the run found itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.run.records import LabelledTask, Rollout, RoundPrompt
from selfplay.run.tables import read_table
from tests.e2e.small_language import changed, whole_run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sandbox")]
GRPO = {"max_steps": 3, "per_device_train_batch_size": 32, "num_generations": 8, "learning_rate": 1e-4}


def function(first: int, second: int) -> dict[str, Any]:
    return {
        "problem": f"Return n plus {first} minus {second}.",
        "entry_point": "solve",
        "tests": [{"args": [n], "expected": n + first - second} for n in (0, 5)],
        "solution": f"```python\ndef solve(n):\n    return n + {first} - {second}\n```",
    }


def cpp_program(first: int, second: int) -> dict[str, Any]:
    main = f"#include <iostream>\nint main() {{ int n; std::cin >> n; std::cout << n + {first} - {second}; }}"
    return {
        "problem": f"Print n plus {first} minus {second}.",
        "language": "cpp",
        "tests": [{"input": str(n), "output": str(n + first - second)} for n in (0, 5)],
        "solution": f"```cpp\n{main}\n```",
    }


def labelled(run: Path) -> list[LabelledTask]:
    return [row for row in read_table(run / "stages/labelling/tasks.parquet", LabelledTask) if not row.dropped]


def test_new_functions_are_labelled_and_trained_on(tmp_path: Path) -> None:
    domain = {
        "verifier": "code",
        "shared_input_format": True,
        "new_programs": {"function": "solve"},
        "function_template": "{problem} {entry_point}\n",
    }
    run = whole_run(tmp_path, function, domain, {"algorithm": "grpo", "grpo": {"args": GRPO}})
    tasks = labelled(run)
    assert tasks
    assert {row.task.entry_point for row in tasks} == {"solve"}
    assert all(isinstance(test.expected, int) for row in tasks for test in row.task.tests)
    rollouts = read_table(run / "stages/selfplay_1/rollouts.parquet", Rollout)
    assert {row.status for row in rollouts} & {"accepted", "wrong_answer"}
    sources = {row.source for row in read_table(run / "stages/selfplay_1/prompts.parquet", RoundPrompt)}
    assert sources == {"synthesised"}
    assert changed(run)


def test_new_cpp_programs_are_labelled_and_trained_on(tmp_path: Path) -> None:
    domain = {
        "verifier": "code",
        "shared_input_format": True,
        "new_programs": {"language": "cpp"},
        "language_template": "{problem} {language} {tag}\n",
    }
    rft = {"rollouts": 4, "prompts": 8, "args": {"max_steps": 2, "per_device_train_batch_size": 4}}
    run = whole_run(tmp_path, cpp_program, domain, {"algorithm": "rft", "rft": rft})
    tasks = labelled(run)
    assert tasks
    assert {row.task.language for row in tasks} == {"cpp"}
    counts = json.loads((run / "stages/labelling/manifest.json").read_text())["counts"]
    assert counts["programs"] >= len(tasks)
    assert changed(run)
