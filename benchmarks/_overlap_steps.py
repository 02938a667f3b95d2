"""Steps of one GRPO training with a server's rollouts, drawn ahead or not; started by `grpo_overlap`.

`python -m benchmarks._overlap_steps STALENESS ENGINE WAIT MODEL COMPLETIONS TOKENS STEPS`, where ENGINE is `waiting`,
whose completions take WAIT seconds, or `vllm`.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any

from benchmarks import _rollout_steps
from benchmarks._waiting_server import WAIT
from selfplay.config.training import GRPORule
from selfplay.trl_trainers.vllm_server import served
from selfplay.trl_trainers.vllm_server.process import RolloutServer


def main(staleness: int, engine: str, wait: str, model: str, *sizes: int) -> dict[str, Any]:
    """Trains, and gives the median seconds of all steps but the first.

    Args:
        staleness: `max_staleness`.
        engine: `waiting` or `vllm`.
        wait: seconds that each completion takes at least, of an engine that waits.
        model: as for `_rollout_steps.main`.
        sizes: its completions, tokens and steps.
    """
    if engine == "waiting":
        from trl.generation import vllm_client

        os.environ[WAIT] = wait
        vllm_client.is_vllm_available = lambda **_: True
        stand_in: Any = functools.partial(RolloutServer, module="benchmarks._waiting_server")
        served.RolloutServer = stand_in  # type: ignore[misc]
    rule = GRPORule(rollouts="server", max_staleness=staleness)
    return _rollout_steps.main(rule, model, *sizes)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), *sys.argv[2:5], *map(int, sys.argv[5:8]))))
