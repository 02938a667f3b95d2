"""The machine on one page: what `selfplay doctor` finds, and how fast a device multiplies and copies.

`python -m benchmarks._gpu.machine DEVICE FOLDER`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfplay.preflight.doctor import examine_machine

SIDE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices that are multiplied."""
COPIED = {"cpu": 1 << 26, "cuda": 1 << 31}
"""Bytes that are copied."""
TRIES = 7


def measure(device: str, folder: Path) -> dict[str, Any]:
    """The findings, the devices, and two rates that plans assume."""
    import torch

    side = SIDE[device]
    found: dict[str, Any] = {
        "findings": [finding.to_json() for finding in examine_machine(folder)],
        "torch": torch.__version__,
        "devices": [_device(place) for place in range(torch.cuda.device_count())] if device == "cuda" else [],
        "flops": {},
    }
    for name in ("bfloat16", "float32"):
        matrix = torch.ones(side, side, device=device, dtype=getattr(torch, name))
        found["flops"][name] = 2 * side**3 / _seconds(device, lambda own=matrix: own @ own)
        del matrix
    block = torch.ones(COPIED[device] // 4, device=device)
    # A copy reads and writes.
    found["bytes_per_s"] = 2 * COPIED[device] / _seconds(device, block.clone)
    return found


def _device(place: int) -> dict[str, Any]:
    import torch

    known = torch.cuda.get_device_properties(place)
    return {"name": known.name, "bytes": known.total_memory, "capability": f"{known.major}.{known.minor}"}


def _seconds(device: str, work: Callable[[], Any]) -> float:
    import torch

    taken = []
    for _ in range(TRIES):
        begun = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
