"""Steps of one GRPO training with a server's rollouts, drawn ahead or not, and where their seconds went."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import _rollout_steps
from benchmarks._waiting_server import WaitingServer
from selfplay.config.rules import GRPORule
from selfplay.trl_trainers.grpo_trainer import SelfplayGRPOTrainer
from selfplay.trl_trainers.vllm_rollouts.process_state import in_place
from selfplay.trl_trainers.vllm_server import served


def steps_of(staleness: int, wait_s: float, update_wait_s: float, model: str, sizes: tuple[int, int, int]) -> Any:
    """Trains with a server that waits, and gives the median seconds of all steps but the first.

    Args:
        staleness: `max_staleness`.
        wait_s: seconds that each completion takes at least.
        update_wait_s: seconds by which each backward pass is put off.
        model: as for `_rollout_steps.main`.
        sizes: completions of a step, tokens of each, steps.
    """
    from trl.generation import vllm_client

    WaitingServer.wait_s = wait_s
    rule = GRPORule(rollouts="server", max_staleness=staleness)
    loss = SelfplayGRPOTrainer._compute_loss

    def late(self: Any, *asked: Any) -> Any:
        time.sleep(update_wait_s)
        return loss(self, *asked)

    with (
        in_place(served, "RolloutServer", WaitingServer),
        in_place(vllm_client, "is_vllm_available", lambda **_: True),
        in_place(SelfplayGRPOTrainer, "_compute_loss", late),
    ):
        return _rollout_steps.main(rule, model, *sizes)


def steps_by_vllm(staleness: int, model: str, sizes: tuple[int, int, int]) -> Any:
    """The same with vLLM's own server, as fast as it is."""
    return _rollout_steps.main(GRPORule(rollouts="server", max_staleness=staleness), model, *sizes)
