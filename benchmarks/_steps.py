"""Seconds of each optimiser step of a training of this project, as its callbacks see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from selfplay.trl_trainers import session


class Stopwatch(TrainerCallback):
    """Keeps the seconds of each step, by the clock and of the processor, from its first micro-batch to its update."""

    def __init__(self, on_begin: Callable[[], None] | None = None) -> None:
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.trainer: Any = None
        self._on_begin = on_begin
        self._begun = self._cpu_begun = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model is loaded and spread; no step was made."""
        if self._on_begin is not None:
            self._on_begin()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Before the first micro-batch."""
        self._begun, self._cpu_begun = _now(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After the update."""
        self.seconds.append(_now() - self._begun)
        self.cpu.append(time.process_time() - self._cpu_begun)


def watch_steps(watch: Stopwatch) -> None:
    """Has the next trainings of this process tell a stopwatch of their steps, and leave it their trainer."""
    run = session.run_training

    def watched(trainer: Any, *others: Any) -> Any:
        watch.trainer = trainer
        trainer.add_callback(watch)
        return run(trainer, *others)

    session.run_training = watched


def _now() -> float:
    """The time when all that a GPU was asked is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
