"""Completions on their way to the trainer: in the order in which they came, and none that would be too old.

A micro-batch is taken before it is trained on, by a step where accelerate reads ahead. So a completion's age is told by
the step that will learn from it, which its place in the order says, and not by the step at which it is taken.
"""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Flow:
    """How many completions go where."""

    group: int
    """Completions of a prompt."""
    samples_a_step: int
    """Completions that one step learns from, on all ranks."""
    most_stale: int
    """Syncs by which a completion may be behind the weights that learn from it."""
    most_under_way: int
    """Completions that the server writes at a time."""
    read_ahead: int = 0
    """Completions that are taken before the step that learns from them, also where there is none."""


class FreshBuffer(queue.Queue[Any]):
    """The queue that TRL's trainer drains."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow
        self.first_version = 0
        """The number of the weights of the training's first step."""
        self.taken: list[int] = []
        """The groups of all completions that were taken, in order."""
        self._too_old = 0

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next completion that is young enough. Raises queue.Empty, as any queue."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            sample = super().get(block, left)
            if self.used_at(len(self.taken)) - sample.model_version <= self._flow.most_stale:
                self.taken.append(sample.group_id)
                return sample
            self._too_old += 1

    def take_too_old(self) -> int:
        """How many nobody learns from, for their age, since the last time."""
        found, self._too_old = self._too_old, 0
        return found

    def used_at(self, place: int) -> int:
        """The number of the weights that learn from the completion at this place of the order."""
        return self.first_version + place // self._flow.samples_a_step

    def used_last(self) -> int:
        """The same for what was taken last."""
        return self.used_at(max(len(self.taken) - 1, 0))

    def learnt_from(self, steps: int) -> set[int]:
        """The groups from which so many steps have learnt."""
        return set(self.taken[: steps * self._flow.samples_a_step])
