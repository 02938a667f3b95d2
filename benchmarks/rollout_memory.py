"""Peak memory of what handles rollouts, from a thousand to a hundred thousand: it should not grow.

Rollouts of 2,000 tokens with their ids and log-probabilities, made without a model. Five works, each in a process of
its own: writing the table of rollouts, pairs for dpo, examples for sft, an evaluation's metrics, and the data set of a
trainer's rank. `ROLLOUT_COUNTS` (1000,10000,100000) and `ROLLOUT_TOKENS` (2000) set the sizes; the largest takes a few
minutes and 4 GB of disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._rollout_works import WORKS

ROOT = Path(__file__).resolve().parents[1]


def child(work: str, count: int, tokens: int, folder: Path) -> dict[str, Any]:
    """The figures of one work in a fresh process."""
    line = [sys.executable, "-m", "benchmarks._rollout_works", work, str(count), str(tokens), str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{work} of {count} rollouts failed: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(counts: list[int], tokens: int) -> dict[str, Any]:
    """Every work at every size, and for each work the largest size's peak over the smallest's."""
    works: dict[str, Any] = {work: {} for work in WORKS}
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="rollout-memory-") as folder:
            for work in WORKS:
                works[work][str(count)] = child(work, count, tokens, Path(folder))
    first, last = str(counts[0]), str(counts[-1])
    growth = {work: round(of[last]["peak_mb"] / of[first]["peak_mb"], 3) for work, of in works.items()}
    return {"tokens": tokens, "k": 8, "growth": growth, "works": works}


def run() -> dict[str, Any]:
    """Measures and returns the figures: megabytes of resident memory at their peak, and their ratios."""
    counts = [int(count) for count in os.environ.get("ROLLOUT_COUNTS", "1000,10000,100000").split(",")]
    return measure(counts, int(os.environ.get("ROLLOUT_TOKENS", "2000")))
