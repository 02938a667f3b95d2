"""The trainer's weights on their way to the server, by TRL's protocol; every sync is probed.

What is being written freezes for as long as a sync takes, and goes on with the new weights, as TRL has it (`/pause`
with `mode=keep`): a completion may have tokens of several, each with the log-probability of those that wrote it. Of all
that only the first rank does anything, so that a server which is lost meanwhile is started again without the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from selfplay.trl_trainers.asynchronous.library import plain_attention
from selfplay.trl_trainers.vllm_rollouts.generation import within
from selfplay.trl_trainers.vllm_rollouts.probe import WeightProbe
from selfplay.trl_trainers.vllm_server.client import RolloutClient
from selfplay.trl_trainers.vllm_server.process import ServerGone


class SentWeights:
    """Gives a server the trainer's weights, and looks whether it has them."""

    def __init__(self, client: RolloutClient, probe: WeightProbe, limit_s: float) -> None:
        """
        Args:
            client: of the server.
            probe: compares the two.
            limit_s: longest sync, seconds.
        """
        self._client, self._probe, self._limit_s = client, probe, limit_s
        self._trainer: Any = None
        self._halted: Callable[[], AbstractContextManager[None]] = nullcontext
        self._begun = 0.0
        self._lost = ""
        """How the server was lost during this sync, as a verb."""
        self._figures: dict[str, float] = {}

    def follow(self, trainer: Any, halted: Callable[[], AbstractContextManager[None]]) -> None:
        """Takes the trainer whose weights are sent, and a context in which nothing is drawn."""
        self._trainer, self._halted = trainer, halted

    def figures(self) -> dict[str, float]:
        """Findings of the last sync and its probe, and how often the server was started again; once."""
        found, self._figures = self._figures, {}
        return found | self._client.figures()

    def init_weight_transfer(self) -> None:
        """The client has met its server."""

    def pause(self) -> None:
        """Freezes what is being written."""
        self._begun, self._lost = time.monotonic(), ""
        self._client.at(self._trainer.state.global_step)
        self._tried(self._client.pause)

    def send_weights(self, iterator: Iterator[tuple[str, Any]]) -> None:
        """Sends all of them.

        Raises:
            SlowSync: it took longer than it may.
        """
        self._tried(partial(self._send, iterator))

    def resume(self) -> None:
        """Has the server go on, and compares.

        Raises:
            StaleEngine: it has other weights.
            ServerLost: it cannot be kept going.
        """
        self._tried(self._go_on)
        if self._lost:
            self.revive(self._lost)

    def destroy(self) -> None:
        """Lets go of what holds memory of the GPU; the server ends with the training."""
        self._client.close_communicator()

    def revive(self, reason: str) -> None:
        """Starts a server that was lost again, and gives it the trainer's weights.

        Args:
            reason: how it was lost, as a verb.

        Raises:
            SlowSync, StaleEngine, ServerLost: see above.
        """
        with self._halted():
            while reason:
                self._client.renew(reason)
                self._lost, self._begun = "", time.monotonic()
                with self._weights() as iterator:
                    self._tried(partial(self._send, iterator))
                self._tried(self._compare)
                reason = self._lost

    def _tried(self, act: Callable[[], None]) -> None:
        """Does it, unless the server was lost before, and notes if it is."""
        if self._lost:
            return
        try:
            act()
        except ServerGone as fault:
            self._lost = str(fault)

    def _send(self, iterator: Iterator[tuple[str, Any]]) -> None:
        # They are the trainer's own tensors, and no copies.
        tensors = list(iterator)
        told = [(name, str(value.dtype).removeprefix("torch."), list(value.shape)) for name, value in tensors]
        step = self._trainer.state.global_step
        what = f"the sync of the weights at step {step}"
        within(self._limit_s, lambda: self._client.update_named_params(told, iter(tensors)), what)
        self._client.reset_prefix_cache()

    def _go_on(self) -> None:
        self._client.resume()
        self._compare()

    def _compare(self) -> None:
        trainer, sent = self._trainer, time.monotonic()
        network = trainer.accelerator.unwrap_model(trainer.model)
        with plain_attention(network):
            found = self._probe.compare(network, self._client.scores)
            if not self._probe.agrees(found):
                raise self._probe.fault(network, found, trainer.state.global_step)
        self._figures |= {"sampling/sync_s": sent - self._begun, "sampling/probe_s": time.monotonic() - sent}
        self._figures |= {"sampling/probe/max": found.largest, "sampling/probe/mean": found.mean}

    @contextmanager
    def _weights(self) -> Iterator[Iterator[tuple[str, Any]]]:
        """The tensors that TRL sends at a sync, with an adapter merged into the base."""
        network = self._trainer.accelerator.unwrap_model(self._trainer.model)
        merges = hasattr(network, "merge_adapter")
        if merges:
            network.merge_adapter()
        try:
            yield self._trainer._streaming_iter()
        finally:
            if merges:
                network.unmerge_adapter()
