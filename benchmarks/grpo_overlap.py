"""GRPO whose server draws the next batch while the trainer steps (`max_staleness: 1`) against one that waits for it.

A server that waits, in vLLM's place, writes each batch in as many seconds as an update takes, which a first training
measures: as slow as the update, and as on devices of its own. Arms take turns. `--update-wait` has updates wait, too,
where a machine is too small or too busy to compute. `--engine vllm` takes vLLM's own server, as fast as it is: run that
with `.venv-vllm/bin/python`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks._child import in_turns
from benchmarks._overlap_steps import steps_by_vllm, steps_of

ARMS = ("0", "1")
"""By `max_staleness`."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs both arms, and returns their seconds and what they are of each other."""
    parser = argparse.ArgumentParser(prog="grpo_overlap", description=__doc__)
    parser.add_argument("--engine", choices=("waiting", "vllm"), default="waiting")
    parser.add_argument("--model", default="tiny", help="a folder in float32; a tiny one by default")
    parser.add_argument("--completions", type=int, default=64, help="of a step, a multiple of 8")
    parser.add_argument("--tokens", type=int, default=32, help="of each completion")
    parser.add_argument("--steps", type=int, default=8, help="of each training; the first is not counted")
    parser.add_argument("--passes", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--wait", type=float, help="seconds of a batch; by default those of an update")
    parser.add_argument("--update-wait", type=float, default=0.0, help="seconds by which each backward pass is put off")
    given = parser.parse_args(arguments)
    sizes, late, wait = (given.completions, given.tokens, given.steps), given.update_wait, given.wait
    if wait is None and given.engine == "waiting":
        first = steps_of(0, 0.0, late, given.model, sizes)
        wait = first["update_s"] + first["reward_s"]

    def measured(arm: str) -> dict[str, Any]:
        if given.engine == "vllm":
            return dict(steps_by_vllm(int(arm), given.model, sizes))
        return dict(steps_of(int(arm), wait, late, given.model, sizes))

    found = in_turns(ARMS, given.passes, measured)
    apart, ahead = found["0"], found["1"]
    drawn = apart["generation_s"] - apart["sampling/sync_s"] - apart["sampling/probe_s"]
    learnt = apart["update_s"] + apart["reward_s"]
    return {
        "engine": given.engine,
        "model": given.model,
        "completions": given.completions,
        "tokens": given.tokens,
        "wait_s": wait,
        "update_wait_s": late,
        "arms": found,
        "step_ratio": ahead["whole_s"] / apart["whole_s"],
        "best_ratio": max(drawn, learnt) / (drawn + learnt),
    }
