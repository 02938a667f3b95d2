"""How far `selfplay plan` is off: predicted peaks of memory against measured ones, on a CPU with random-weight Qwen3.

SFT, DPO, GRPO and generation by transformers, each in a process of its own, which does a tiny run of the same work
first; what counts is how far resident memory rises above that. `PLAN_SIZES` (5M,30M,135M) sets the models; all three
take about ten minutes on two idle cores and 7 GB of memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from benchmarks._child import in_child
from benchmarks._memory_works import SIZES, WORKS

ENVIRONMENT = {
    # What is freed goes back at once, so that the peak is of what lives and not of what malloc keeps.
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}
MEGABYTE = 10**6


def compare(work: str, size: str) -> dict[str, Any]:
    """One work of one size, in megabytes, and the prediction as a share of what was measured."""
    os.environ.update(ENVIRONMENT)
    return beside_plan(in_child("benchmarks._memory_works", work, size))


def beside_plan(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `_memory_works` measured, in megabytes, and what share of it was predicted."""
    predicted = sum(found["terms"].values())
    return {
        "parameters": found["parameters"],
        "measured_mb": round(found["measured"] / MEGABYTE, 1),
        "predicted_mb": round(predicted / MEGABYTE, 1),
        "ratio": round(predicted / found["measured"], 3),
        "terms_mb": {name: round(size / MEGABYTE, 1) for name, size in found["terms"].items() if size},
    }


def run() -> dict[str, Any]:
    """All works at all sizes, and the prediction that is farthest off."""
    sizes = [size for size in os.environ.get("PLAN_SIZES", "5M,30M,135M").split(",") if size in SIZES]
    works = {work: {size: compare(work, size) for size in sizes} for work in WORKS}
    off = max(abs(row["ratio"] - 1) for of in works.values() for row in of.values())
    return {"farthest_off": round(off, 3), "works": works}
