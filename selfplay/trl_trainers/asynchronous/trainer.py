"""TRL's AsyncGRPOTrainer with a worker and a sync of this project, and its log in this project's names.

Nothing of its loss is changed: ratios are those of the trainer's log-probabilities over the ones of the weights that
wrote each token, clipped by `epsilon`, so that older weights are corrected for. There is no term for a reference.
"""

from __future__ import annotations

from typing import Any

from selfplay.trl_trainers.asynchronous import library
from selfplay.trl_trainers.asynchronous.worker import Rollouts

THEIR_DIVERGENCE, DIVERGENCE = "kl", "sampling/kl"
"""TRL's name for what is of engine and trainer, and not of a reference; and the one that it has here."""
POLL_S = 0.5
"""Longest wait for a completion before it is asked whether rollouts go on."""
THEIR_AGE, AGE = "sample/staleness_max", "sampling/staleness"
TOO_OLD = "sample/dropped_stale_total"


class SelfplayAsyncTrainer(library.trainer_class()):  # type: ignore[misc]
    """An AsyncGRPOTrainer that learns from a `GroupWorker`, which only the first rank has."""

    def __init__(self, *, rollouts: Rollouts | None, **others: Any) -> None:
        """
        Args:
            rollouts: those of the first rank.
            others: what AsyncGRPOTrainer takes.
        """
        # Where there is no sync TRL would ask the server how an adapter is to be sent, with all ranks together.
        given = {"weight_transfer": object()}
        if rollouts is not None:
            given = {"weight_transfer": rollouts.sent, "rollout_worker": rollouts.worker}
        super().__init__(**given, **others)
        self._rollouts = rollouts
        if rollouts is not None:
            rollouts.sent.follow(self, rollouts.worker.halted)
            rollouts.groups.follow(lambda: int(self.state.global_step))

    def get_train_dataloader(self) -> Any:
        """TRL's, in which a completion is as old as it will be when it is learnt from."""
        loader = super().get_train_dataloader()
        if self._rollouts is not None:
            self._rollout_dataset.model_version_fn = self._rollouts.worker.rollout_buffer.used_last
            self._rollout_dataset.poll_interval_s = POLL_S
        # Accelerate's reads a micro-batch ahead, for which one rank has no need.
        return loader.base_dataloader if self.accelerator.num_processes == 1 else loader

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was rolled out and synced since the last log."""
        if self._rollouts is not None:
            own = self._metrics["train"]
            logs[TOO_OLD] = float(self._rollouts.worker.rollout_buffer.take_too_old())
            if ages := own.pop(THEIR_AGE, None):
                logs[AGE] = max(ages)
            if found := own.pop(THEIR_DIVERGENCE, None):
                own[DIVERGENCE] = found
            logs.update(self._rollouts.groups.figures() | self._rollouts.sent.figures())
        super().log(logs, start_time)
