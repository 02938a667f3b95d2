"""A GRPO step with rollouts by vLLM against one by transformers, and the share that syncs and probes take of it.

Both arms have a process of their own and take turns; every completion has the same length. With vLLM, TRL scores all
completions once more before the update, to weigh them by how far engine and trainer are apart (`correction_s`).
Needs vLLM: run it with `.venv-vllm/bin/python`, which `make vllm` makes. `--model FOLDER` takes a model in float32 in
place of a tiny one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks._child import in_child, in_turns

ARMS = ("transformers", "vllm")


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs both arms, and returns their seconds and what they are of each other."""
    parser = argparse.ArgumentParser(prog="grpo_rollouts", description=__doc__)
    parser.add_argument("--model", default="tiny", help="a folder in float32; a tiny one by default")
    parser.add_argument("--completions", type=int, default=64, help="of a step, a multiple of 8")
    parser.add_argument("--tokens", type=int, default=128, help="of each completion")
    parser.add_argument("--steps", type=int, default=5, help="of each training; the first is not counted")
    parser.add_argument("--passes", type=int, default=1, help="trainings of each arm")
    given = parser.parse_args(arguments)
    sizes = (given.completions, given.tokens, given.steps)
    found = in_turns(ARMS, given.passes, lambda arm: in_child("benchmarks._rollout_steps", arm, given.model, *sizes))
    ours, theirs = found["vllm"], found["transformers"]
    both = ours["sampling/sync_s"] + ours["sampling/probe_s"]
    return {
        "model": given.model,
        "completions": given.completions,
        "tokens": given.tokens,
        "arms": found,
        "step_ratio": ours["step_s"] / theirs["step_s"],
        "step_cpu_ratio": ours["whole_cpu_s"] / theirs["whole_cpu_s"],
        "step_ratio_but_for_correction": (ours["step_s"] - ours["correction_s"]) / theirs["step_s"],
        "generation_ratio": ours["generation_s"] / theirs["generation_s"],
        "sync_and_probe_share": both / ours["step_s"],
    }
