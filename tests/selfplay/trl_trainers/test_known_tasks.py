"""What labelling knows of tasks, and what a GRPO training makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig

from selfplay.config.training import GRPORule
from selfplay.trl_trainers.grpo import choice_of

MIDDLING, SOLVED, UNKNOWN = (0.5, 8), (1.0, 8), (0.0, 0)
"""A pass rate, and of how many tries."""


def first(folder: Path, known: list[tuple[float, int]], **rule: Any) -> int | None:
    """The prompt that is chosen first of three, or None where they come in turn."""
    pool = Dataset.from_list([{"domain": "math", "pass_rate": rate, "tried": tried} for rate, tried in known])
    batch = {"per_device_train_batch_size": 4, "num_generations": 4, "shuffle_dataset": False}
    config = GRPOConfig(str(folder), use_cpu=True, bf16=False, **batch)
    choice = choice_of(pool, GRPORule.model_validate(rule), config)
    return None if choice is None else choice.choose(1)[0]


def test_what_labelling_saw_decides_what_is_chosen(tmp_path: Path) -> None:
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING], candidates=3) == 2
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING], candidates=3, label_weight=0) == 0
    assert first(tmp_path, [SOLVED, SOLVED, MIDDLING]) is None


def test_what_nothing_is_known_of_comes_in_turn(tmp_path: Path) -> None:
    assert first(tmp_path, [UNKNOWN] * 3, candidates=3) == 0
    assert first(tmp_path, [UNKNOWN] * 3) is None
