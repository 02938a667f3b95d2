"""FSDP2 over several ranks beside data parallelism: memory of a rank, and seconds of a step at the same whole batch.

SFT of a random Qwen3 of 59 million parameters on Gloo ranks, each training in processes of its own, all arms in turns.
Peaks are how far memory rises above what libraries and a tiny training hold. `--time` takes two ranks and larger
batches for the ratio of the steps, and leaves memory out. Ratios need as many idle cores as there are ranks. `--cut`
has all ranks share each sequence (`compute.sequence_parallel`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from benchmarks._child import in_child, in_turns
from benchmarks.plan_memory import ENVIRONMENT, MEGABYTE

MODULE = "benchmarks._rank_works"
NAMES = ("weights", "optimiser", "states", "peak", "while_loading", "predicted")


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measures all arms, and puts them side by side."""
    parser = argparse.ArgumentParser(prog="fsdp2_ranks", description=__doc__)
    parser.add_argument("--ranks", default="1,2,4", help="numbers of ranks")
    parser.add_argument("--sequences", type=int, default=4, help="of the whole batch, a multiple of all ranks")
    parser.add_argument("--tokens", type=int, default=32, help="of each sequence")
    parser.add_argument("--passes", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--time", action="store_true", help="two ranks, FSDP2 and DDP, for their seconds")
    parser.add_argument("--cut", action="store_true", help="each sequence is cut over all ranks")
    given = parser.parse_args(arguments)
    if given.time:
        return beside_ddp(given.sequences, given.tokens, given.passes)
    os.environ.update(ENVIRONMENT)
    ranks = [int(number) for number in given.ranks.split(",")]
    arms = [f"fsdp2 {number}" for number in ranks] + ([] if given.cut else [f"none {max(ranks)}"])
    found = in_turns(arms, given.passes, lambda arm: _measured(arm, given.sequences, given.tokens, given.cut))
    return {arm: in_megabytes(one) for arm, one in found.items()} | {
        "states_of_one": {arm: round(one["states"] / found[arms[0]]["states"], 4) for arm, one in found.items()},
        "parameters": found[arms[0]]["parameters"],
    }


def _measured(arm: str, sequences: int, tokens: int, cut: bool = False) -> dict[str, Any]:
    sharding, ranks = arm.split()
    found = in_child(MODULE, sharding, ranks, "59M", sequences, tokens, "cpu", *([ranks] if cut else []))
    return {name: float(value) if name in NAMES else value for name, value in found.items()}


def in_megabytes(found: dict[str, Any]) -> dict[str, Any]:
    """The memory of the fullest rank, and how much of its peak `selfplay plan` foresees."""
    told = {name: round(found[name] / MEGABYTE, 1) for name in NAMES}
    return told | {"ratio": round(found["predicted"] / found["peak"], 3), "step_s": round(found["step_s"], 3)}


def beside_ddp(sequences: int, tokens: int, passes: int) -> dict[str, Any]:
    """Seconds of a step of two ranks, sharded and whole: by the clock, and of all ranks' processors."""
    found = in_turns(("none 2", "fsdp2 2"), passes, lambda arm: _measured(arm, sequences, tokens))
    ddp, sharded = found["none 2"], found["fsdp2 2"]
    seconds = {f"{arm}_{name}": one[name] for arm, one in found.items() for name in ("step_s", "step_cpu_s")}
    ratios = {f"{name}_ratio": sharded[name] / ddp[name] for name in ("step_s", "step_cpu_s")}
    return {"sequences": sequences, "tokens": tokens, "passes": passes, **seconds, **ratios}
