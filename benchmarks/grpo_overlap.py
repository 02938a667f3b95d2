"""GRPO whose server draws the next batch while the trainer steps (`max_staleness: 1`) against one that waits for it.

A server that waits, in vLLM's place, writes each batch in as many seconds as an update takes, which the first training
measures: as slow as the update, and as on devices of its own. Both arms have a process of their own and take turns.
`--engine vllm` takes vLLM's own server, as fast as it is: run that with `.venv-vllm/bin/python`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks._child import in_child, in_turns

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
    given = parser.parse_args(arguments)
    sizes = (given.completions, given.tokens, given.steps)
    module, wait = "benchmarks._overlap_steps", 0.0
    if given.engine == "waiting":
        first = in_child(module, 0, given.engine, 0.0, given.model, *sizes)
        wait = first["update_s"] + first["reward_s"]
    measure = lambda arm: in_child(module, arm, given.engine, wait, given.model, *sizes)  # noqa: E731
    found = in_turns(ARMS, given.passes, measure)
    apart, ahead = found["0"], found["1"]
    waited = apart["generation_s"] - apart["sampling/sync_s"] - apart["sampling/probe_s"]
    learnt = apart["update_s"] + apart["reward_s"]
    return {
        "engine": given.engine,
        "model": given.model,
        "completions": given.completions,
        "tokens": given.tokens,
        "wait_s": wait,
        "arms": found,
        "step_ratio": ahead["whole_s"] / apart["whole_s"],
        "best_ratio": (apart["whole_s"] - min(waited, learnt)) / apart["whole_s"],
    }
