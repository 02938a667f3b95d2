"""What labelling knows of tasks, and what a GRPO training makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from trl import GRPOConfig

from selfplay.config.training import GRPORule
from selfplay.trl_trainers.grpo import Known, choice_of, write_tasks
from verifiers.model import Task

MIDDLING, SOLVED = Known(0.5, 8), Known(1.0, 8)


def first(folder: Path, known: list[Known] | None, **rule: Any) -> int | None:
    """The prompt that is chosen first of three, or None where they come in turn."""
    file = folder / "tasks.parquet"
    write_tasks(file, [(f"t{i}", "math", "1 + 1", Task(answer="2")) for i in range(3)], known)
    batch = {"per_device_train_batch_size": 4, "num_generations": 4, "shuffle_dataset": False}
    config = GRPOConfig(str(folder), use_cpu=True, bf16=False, **batch)
    choice = choice_of(pq.read_table(file).to_pylist(), GRPORule.model_validate(rule), config)
    return None if choice is None else choice.choose(1)[0]


def test_what_labelling_saw_decides_what_is_chosen(tmp_path: Path) -> None:
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING], candidates=3) == 2
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING], candidates=3, label_weight=0) == 0
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING]) is None


def test_what_nothing_is_known_of_comes_in_turn(tmp_path: Path) -> None:
    assert first(tmp_path, None, candidates=3) == 0
    assert first(tmp_path, None) is None
