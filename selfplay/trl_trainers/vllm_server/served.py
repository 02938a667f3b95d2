"""TRL's generation by a vLLM server that the first rank runs: probed after every sync, and begun again where it fails.

Only the first rank speaks with the server; the others hear from it what came, and whether the server was lost, so that
all of them give a new one the trainer's weights together. What was finished before is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from accelerate.utils import broadcast_object_list
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

from selfplay.config.section import Supervision
from selfplay.engines import loading, vllm_opening
from selfplay.run.seeding import derive
from selfplay.trl_trainers.vllm_rollouts.generation import PREFILLED, Opening, ProbedGeneration
from selfplay.trl_trainers.vllm_rollouts.probe import Logprobs, TokenIds
from selfplay.trl_trainers.vllm_rollouts.process_state import in_place
from selfplay.trl_trainers.vllm_server.client import RolloutClient
from selfplay.trl_trainers.vllm_server.inside import HERE
from selfplay.trl_trainers.vllm_server.process import RolloutServer, ServerGone, flags


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOpening(Opening):
    """All that the server is started with."""

    gpus: tuple[str, ...] = ()
    """Its own, as CUDA_VISIBLE_DEVICES names them; none on a CPU."""
    window: int
    """Tokens of the longest sequence."""
    limits: Supervision
    max_staleness: int = 0
    """Syncs by which the trainer may be ahead of the weights that wrote a completion."""


def arguments_of(opening: ServerOpening) -> list[str]:
    """The arguments of vLLM's server, without where it listens."""
    settings = vllm_opening.settings_of(opening.model, opening.device)
    settings |= {"max_model_len": opening.window, "logprobs_mode": "processed_logprobs"}
    if opening.device == "cpu":
        # Prompts that are prefilled whole must fit.
        settings |= {"max_num_batched_tokens": max(PREFILLED, opening.window)}
        settings |= {"worker_extension_cls": f"{HERE}.WeightTaker"}
    else:
        settings |= {"weight_transfer_config": {"backend": "nccl"}} | _spread_over(opening)
    settings |= dict(opening.args) | vllm_opening.place_of(opening.model)
    settings |= {"served_model_name": "policy", "middleware": f"{HERE}.Door"}
    return flags(settings)


def open_server(opening: ServerOpening) -> RolloutServer:
    """A server that answers. Raises ServerLost."""
    server = RolloutServer(arguments_of(opening), opening.device, ",".join(opening.gpus), opening.limits)
    server.open()
    return server


def _spread_over(opening: ServerOpening) -> dict[str, int]:
    """Without another word the model is spread over all of its GPUs."""
    others = math.prod(int(opening.args.get(name, 1)) for name in ("pipeline_parallel_size", "data_parallel_size"))
    return {"tensor_parallel_size": max(len(opening.gpus) // others, 1)}


class ServedGeneration(ProbedGeneration):
    """A `ProbedGeneration` whose engine is a server."""

    _opening: ServerOpening
    _server: RolloutServer | None = None

    def at(self, step: int) -> None:
        """Says at which step of the training the next completions are drawn."""
        self._step = step
        if self.accelerator.is_main_process:
            self.vllm_client.at(step)

    def generate(self, *asked: Any, **others: Any) -> Any:
        """TRL's, again where the server was lost meanwhile."""
        while not (found := super().generate(*asked, **others))[1]:
            self._renew(None)
            self.sync_weights()
        return found

    def begin(self, prompts: list[list[int]], count: int, step: int) -> None:
        """Begins `count` completions of each of this rank's prompts, which the first call of a later step asks for."""
        if self.accelerator.is_main_process:
            self.vllm_client.begins(step)
        super().generate(prompts=prompts, images=None, num_generations=count)

    def ahead_state(self) -> dict[str, Any] | None:
        """The batch that was begun, for a checkpoint, on the first rank; it waits for all of it."""
        state: dict[str, Any] | None = self.vllm_client.ahead_state() if self.accelerator.is_main_process else None
        return state

    def take(self, state: dict[str, Any] | None) -> None:
        """Goes on from a state."""
        if self.accelerator.is_main_process:
            self.vllm_client.take(state)

    def sync_weights(self) -> None:
        """Gives the server the trainer's weights, and looks whether it has them; again, where it fails at that.

        Raises:
            SlowSync, StaleEngine: see `ProbedGeneration`.
            ServerLost: it fails each time.
        """
        while True:
            try:
                # Weights change only where nothing is under way.
                self._demand_well(self.vllm_client.join() if self.accelerator.is_main_process else None)
                return super().sync_weights()
            except ServerGone as fault:
                self._renew(str(fault))

    def _renew(self, reason: str | None) -> None:
        if self.accelerator.is_main_process:
            self.vllm_client.renew(reason)
        self.accelerator.wait_for_everyone()

    def _push(self) -> None:
        reason = None
        try:
            VLLMGeneration.sync_weights(self)
        except ServerGone as fault:
            reason = str(fault)
        self._demand_well(reason)

    def _scores(self, sequences: TokenIds) -> Logprobs:
        reason, found = None, None
        if self.accelerator.is_main_process:
            try:
                found = self.vllm_client.scores(sequences)
            except ServerGone as fault:
                reason = str(fault)
        self._demand_well(reason)
        scores: Logprobs = _told_by_first(found)
        return scores

    def _demand_well(self, reason: str | None) -> None:
        """Raises on all ranks what the first one met."""
        if (reason := _told_by_first(reason)) is not None:
            raise ServerGone(reason)

    def figures(self) -> dict[str, float]:
        """Those of the syncs, how often the server was started again so far, and how old its completions were."""
        own = self.vllm_client.figures() if self.accelerator.is_main_process else {}
        return super().figures() | own

    def _init_vllm(self) -> None:
        opening = self._opening
        if self.accelerator.is_main_process:
            self._server = open_server(opening)
            seed = derive(opening.seed, "rollouts", 0)
            self.vllm_client = RolloutClient(
                self._server,
                self.accelerator.device,
                seed,
                opening.ends,
                opening.sync_timeout_s,
                opening.max_staleness,
            )
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        """Ends the server."""
        if self._server is not None:
            self.vllm_client.close_communicator()
            self._server.close()


def _told_by_first(value: Any) -> Any:
    """The first rank's value, on all of them."""
    values = [value]
    broadcast_object_list(values, from_process=0)
    return values[0]


@contextmanager
def rollouts_by_server(opening: ServerOpening) -> Iterator[None]:
    """Within this a GRPOTrainer that is made, and is told to use vLLM's server, has it; it ends with it."""
    made: list[ServedGeneration] = []

    def make(**given: Any) -> ServedGeneration:
        made.append(ServedGeneration(opening=opening, **given))
        return made[-1]

    # On a CPU an open engine of the run's would take memory from both.
    loading.forget_all()
    with in_place(grpo_trainer, "VLLMGeneration", make):
        try:
            yield
        finally:
            for generation in made:
                generation.close()
