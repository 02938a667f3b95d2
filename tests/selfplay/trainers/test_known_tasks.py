"""What labelling knows of tasks, and what a GRPO training makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from trl import GRPOConfig

from selfplay.trainers.grpo import Known, choice_of, write_tasks
from selfplay.training_settings import GRPORule
from verifiers.model import Task

AGREED, DISPUTED, SOLVED = Known(0.5, 8, 1.0), Known(0.5, 8, 0.6), Known(1.0, 8, 1.0)


def first(folder: Path, known: list[Known] | None, **rule: Any) -> int | None:
    """The prompt that is chosen first of three, or None where they come in turn."""
    file = folder / "tasks.parquet"
    write_tasks(file, [(f"t{i}", "math", "1 + 1", Task(answer="2")) for i in range(3)], known)
    batch = {"per_device_train_batch_size": 4, "num_generations": 4, "shuffle_dataset": False}
    config = GRPOConfig(str(folder), use_cpu=True, bf16=False, **batch)
    choice = choice_of(pq.read_table(file).to_pylist(), GRPORule.model_validate(rule), config)
    return None if choice is None else choice.choose(1)[0]


def test_of_prompts_alike_the_one_whose_label_more_votes_agree_on_is_chosen(tmp_path: Path) -> None:
    assert first(tmp_path, [DISPUTED, AGREED, SOLVED], candidates=3) == 1
    assert first(tmp_path, [DISPUTED, AGREED, SOLVED], candidates=3, doubt=0) == 0


@pytest.mark.parametrize("doubt", [0, 4])
def test_an_agreed_label_is_not_enough_where_the_group_has_no_variance(tmp_path: Path, doubt: float) -> None:
    assert first(tmp_path, [SOLVED, SOLVED, AGREED], candidates=3, doubt=doubt) == 2


def test_what_nothing_is_known_of_comes_in_turn(tmp_path: Path) -> None:
    assert first(tmp_path, None, candidates=3) == 0
    assert first(tmp_path, None) is None
