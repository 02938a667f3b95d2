"""Work in a process of its own: its wall and processor seconds, and the most memory that it held."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class Clock:
    """Adds up the wall and processor seconds of what runs under it, `with clock: ...`."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._begun[0]
        self.cpu += time.process_time() - self._begun[1]


def peak_mb() -> int:
    """Most memory that this process has held, in megabytes; `getrusage` would count what its parent held."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024


def in_child(module: str, *arguments: object) -> dict[str, Any]:
    """What `python -m module arguments` prints as JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def medians(passes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each number over several passes; what is no number must be the same in all of them."""
    found: dict[str, Any] = {}
    for name, first in passes[0].items():
        values = [one[name] for one in passes]
        if isinstance(first, float):
            found[name] = statistics.median(values)
        elif len(set(values)) > 1 and not name.endswith("_mb"):
            raise AssertionError(f"{name} differs between passes: {values}")
        else:
            found[name] = max(values) if name.endswith("_mb") else first
    return found


def in_turns(arms: Sequence[str], passes: int, run: Callable[[str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each arm's medians; arms take turns, so that whatever else the machine does meets all of them."""
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for _ in range(passes):
        for arm in arms:
            found[arm].append(run(arm))
    return {arm: medians(rows) for arm, rows in found.items()}
