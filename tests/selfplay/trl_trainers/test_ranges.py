"""Values that a trainer would take and fail at, by the types and defaults of its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import pytest

from selfplay.trl_trainers.checks.ranges import value_faults


class Kind(Enum):
    """Names that a library has classes for."""

    LINEAR = "linear"


class Own:
    """What nobody but the library knows."""


@dataclass
class Config:
    """Fields as configurations of trainers have them."""

    learning_rate: float = 5e-5
    warmup_steps: float = 0
    max_steps: int = -1
    num_generations: int = 8
    gradient_accumulation_steps: int = 1
    seed: int = 0
    beta: float = 0.0
    top_p: float = 1.0
    adam_beta1: float = 0.9
    bf16: bool | None = None
    optim: str = "adamw"
    reward_weights: list[float] | None = None
    save_steps: float = 500
    fsdp: str | bool | None = None
    lr_scheduler_kwargs: dict[str, Any] | str | None = None
    accelerator_config: dict | str | None = None
    lr_scheduler_type: Kind | str = "linear"
    label_names: list[str] | None = None
    include_for_metrics: list[str] = field(default_factory=list)
    debug: str | list[Kind] = ""
    task: Literal["a", "b"] | None = None
    layers: list[int] | int | None = None
    own: Own | None = None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("learning_rate", 1e-4), ("learning_rate", 1), ("max_steps", -1), ("max_steps", 5), ("seed", 0)),
        *(("beta", 0.0), ("top_p", 1.0), ("adam_beta1", 0.0), ("bf16", True), ("bf16", None), ("bf16", 1)),
        *(("optim", "sgd"), ("reward_weights", [1, 0.5]), ("reward_weights", None), ("save_steps", 0.1)),
        *(("save_steps", 20.0), ("fsdp", "full"), ("warmup_steps", 0), ("lr_scheduler_kwargs", {"num_cycles": 0.5})),
        *(("lr_scheduler_kwargs", '{"num_cycles": 0.5}'), ("accelerator_config", "a.json"), ("layers", [1, 2])),
        *(("lr_scheduler_type", "cosine"), ("label_names", ["labels"]), ("include_for_metrics", []), ("debug", "x")),
        *(("debug", ["x"]), ("task", "c"), ("own", {"a": 1}), ("own", "x"), ("label_names", None)),
    ],
)
def test_what_a_trainer_can_use_is_taken(name: str, value: Any) -> None:
    assert value_faults(Config, {name: value}) == {}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("learning_rate", 0, "must be above 0"),
        ("learning_rate", -1e-5, "must not be negative"),
        ("learning_rate", float("nan"), "must be a number that is finite"),
        ("learning_rate", "fast", "must be a number, such as 0.001"),
        ("learning_rate", True, "must be a number, such as 0.001"),
        ("learning_rate", 1e300, "must be at most 1e+15"),
        ("num_generations", 0, "must be above 0"),
        ("num_generations", 2.5, "must be a whole number, such as 100"),
        ("num_generations", 2**40, "must be at most 2147483647"),
        ("max_steps", -2, "must not be negative"),
        ("top_p", 1.5, "must be at most 1"),
        ("adam_beta1", 1.0, "must be below 1"),
        ("save_steps", 1.5, "must be a whole number of steps, or a share of all below 1"),
        ("bf16", 3, "must be no number"),
        ("optim", 3, "must be no number"),
        ("optim", ["adamw"], "must be a text"),
        ("bf16", "false", "must be true or false"),
        ("bf16", {}, "must be true or false"),
        ("fsdp", ["full"], "must be true or false or a text"),
        ("label_names", "labels", "must be a list"),
        ("debug", {"a": 1}, "must be a text or a list"),
        ("lr_scheduler_kwargs", "num_cycles", "must be a mapping"),
        ("lr_scheduler_kwargs", ["num_cycles"], "must be a text or a mapping"),
        ("lr_scheduler_kwargs", {"a": [{"num_cycles": float("nan")}]}, "must hold numbers that are finite alone"),
        ("reward_weights", 1.0, "must be a list of numbers"),
        ("reward_weights", [1.0, "x"], "must be a number, such as 0.001"),
    ],
)
def test_what_it_would_fail_at_is_told(name: str, value: Any, fault: str) -> None:
    assert value_faults(Config, {name: value}) == {name: fault}
