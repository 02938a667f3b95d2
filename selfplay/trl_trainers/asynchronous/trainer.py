"""TRL's AsyncGRPOTrainer with a worker and a sync of this project, and its log in this project's names.

Nothing of its loss is changed: ratios are those of the trainer's log-probabilities over the ones of the weights that
wrote each token, clipped by `epsilon`, so that older weights are corrected for. There is no term for a reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selfplay.trl_trainers.asynchronous import library
from selfplay.trl_trainers.asynchronous.weights import SentWeights
from selfplay.trl_trainers.asynchronous.worker import GroupWorker

THEIR_DIVERGENCE, DIVERGENCE = "kl", "sampling/kl"
"""TRL's name for what is of engine and trainer, and not of a reference; and the one that it has here."""
POLL_S = 0.5
"""Longest wait for a completion before it is asked whether rollouts go on."""
THEIR_AGE, AGE = "sample/staleness_max", "sampling/staleness"
TOO_OLD = "sample/dropped_stale_total"


class SelfplayAsyncTrainer(library.trainer_class()):  # type: ignore[misc]
    """An AsyncGRPOTrainer that learns from a `GroupWorker`, which only the first rank has."""

    def __init__(
        self,
        *,
        worker: GroupWorker | None,
        sent: SentWeights | None,
        rolled_out: Callable[[], dict[str, float]],
        **others: Any,
    ) -> None:
        """
        Args:
            worker: rolls out, on the first rank.
            sent: syncs the weights, on the first rank.
            rolled_out: figures of what was rolled out since the last time.
            others: what AsyncGRPOTrainer takes.
        """
        # Where there is none TRL would ask the server how an adapter is to be sent, with all ranks together.
        super().__init__(rollout_worker=worker, weight_transfer=sent or object(), **others)
        self._own_worker, self._sent, self._rolled_out = worker, sent, rolled_out
        if sent is not None and worker is not None:
            sent.follow(self, worker.halted)

    def get_train_dataloader(self) -> Any:
        """TRL's, in which a completion is as old as it will be when it is learnt from."""
        loader = super().get_train_dataloader()
        if self._own_worker is not None:
            self._rollout_dataset.model_version_fn = self._own_worker.rollout_buffer.used_last
            self._rollout_dataset.poll_interval_s = POLL_S
        # Accelerate's reads a micro-batch ahead, for which one rank has no need.
        return loader.base_dataloader if self.accelerator.num_processes == 1 else loader

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what was rolled out and synced since the last log."""
        if self._sent is not None and self._own_worker is not None:
            own = self._metrics["train"]
            logs[TOO_OLD] = float(self._own_worker.rollout_buffer.take_too_old())
            if ages := own.pop(THEIR_AGE, None):
                logs[AGE] = max(ages)
            if found := own.pop(THEIR_DIVERGENCE, None):
                own[DIVERGENCE] = found
            logs.update(self._rolled_out() | self._sent.figures())
        super().log(logs, start_time)
