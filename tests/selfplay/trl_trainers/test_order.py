"""All epochs of a GRPO training as one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from selfplay.trl_trainers.arguments import build
from selfplay.trl_trainers.grpo import one_epoch_order


def order(count: int, **args: Any) -> list[int]:
    settings = {"num_generations": 4, "per_device_train_batch_size": 8} | args
    return one_epoch_order(count, build("grpo", settings, "x", 7, "cpu"))


@pytest.mark.parametrize(
    ("args", "needed"),
    [
        ({"max_steps": 15}, 30),
        ({"max_steps": 15, "gradient_accumulation_steps": 2}, 60),
        ({"max_steps": 15, "num_iterations": 2}, 16),
        ({"num_train_epochs": 2}, 20),
        ({"num_train_epochs": 0.5}, 5),
    ],
)
def test_as_many_rows_as_the_training_reads(args: dict[str, Any], needed: int) -> None:
    assert len(order(10, **args)) == needed


def test_every_epoch_holds_each_row_once_in_an_order_of_its_own() -> None:
    rows = order(10, num_train_epochs=3)
    epochs = [rows[start : start + 10] for start in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_may_be_the_datasets() -> None:
    assert order(5, max_steps=5, shuffle_dataset=False) == [0, 1, 2, 3, 4] * 2


def test_rows_are_seen_evenly() -> None:
    counts = Counter(order(7, max_steps=40))
    assert max(counts.values()) - min(counts.values()) <= 1
