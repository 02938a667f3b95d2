"""What one isolated test costs, beside what a process costs at least and what a fresh interpreter costs.

CPU milliseconds count every process of the sandbox and the caller's own share, by the scheduler's nanoseconds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.bubblewrap import find_binaries
from sandbox.model import Limits, Program
from sandbox.open import open_sandbox
from sandbox.visible_files import interpreter, interpreter_folders
from sandbox.warm import WarmSandbox

ROUNDS, TESTS = 7, 20
LIMITS = Limits()
ECHO = Program("import sys\nn = int(sys.stdin.readline())\nprint(sum(i * i for i in range(n)))")
_TIMED = ECHO.source.replace("print(", "(") + "\nimport time\nprint(1000 * time.process_time())"
ADD = Program("def add(a, b):\n    return a + b")


def _tree_cpu_ms(pid: int) -> float:
    """Processor time of living processes below one, without it."""
    total = 0.0
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in file.read_text().split():
            total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e6
            total += _tree_cpu_ms(int(child))
    return total


def _own_cpu_ms() -> float:
    times = os.times()
    return 1000 * (time.process_time() + times.children_user + times.children_system)


def _median(samples: list[tuple[float, float]], name: str) -> dict[str, float]:
    return {
        f"{name}_cpu_ms": round(statistics.median(cpu for cpu, _ in samples), 3),
        f"{name}_wall_ms": round(statistics.median(wall for _, wall in samples), 3),
    }


def _warm(act: Callable[[], list[Any]]) -> list[tuple[float, float]]:
    samples = []
    for _ in range(ROUNDS):
        cpu, wall = _own_cpu_ms() + _tree_cpu_ms(os.getpid()), time.perf_counter()
        executions = act()
        wall = 1000 * (time.perf_counter() - wall)
        # The tests' own processes have ended, so their time comes from the executions.
        cpu = _own_cpu_ms() + _tree_cpu_ms(os.getpid()) - cpu + sum(1000 * e.cpu_s for e in executions)
        samples.append((cpu / len(executions), wall / len(executions)))
    return samples


def _start(tests: int) -> list[tuple[float, float]]:
    samples = []
    for _ in range(ROUNDS):
        cpu, wall = _own_cpu_ms() + _tree_cpu_ms(os.getpid()), time.perf_counter()
        with open_sandbox() as sandbox:
            executions = sandbox.run(ECHO, [b"10\n"] * tests, LIMITS)
            wall = 1000 * (time.perf_counter() - wall)
            cpu = _own_cpu_ms() + _tree_cpu_ms(os.getpid()) - cpu
        samples.append((cpu + sum(1000 * e.cpu_s for e in executions), wall))
    return samples


def _commands(command: list[str]) -> list[tuple[float, float]]:
    """A command that prints nothing, or its own milliseconds where its parent does not collect them."""
    samples = []
    for _ in range(ROUNDS):
        cpu, wall, inside = _own_cpu_ms(), time.perf_counter(), 0.0
        for _ in range(TESTS):
            done = subprocess.run(command, input=b"10\n", stdout=subprocess.PIPE, check=True)
            inside += float(done.stdout or 0)
        cpu = _own_cpu_ms() - cpu + inside
        samples.append((cpu / TESTS, 1000 * (time.perf_counter() - wall) / TESTS))
    return samples


def _fresh_in_bwrap() -> list[str]:
    binds = [word for path in interpreter_folders() for word in ("--ro-bind", path, path)]
    links = ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    bwrap = [
        find_binaries()[0],
        "--unshare-all",
        "--ro-bind",
        "/usr",
        "/usr",
        *links,
        *binds,
        "--tmpfs",
        "/tmp",
    ]
    return [*bwrap, "--die-with-parent", interpreter(), "-I", "-S", "-c", _TIMED]


def _measure(sandbox: WarmSandbox) -> dict[str, float]:
    sandbox.run(ECHO, [b"10\n"] * 30, LIMITS)
    figures = _median(_warm(lambda: sandbox.run(ECHO, [b"10\n"] * TESTS, LIMITS)), "warm_test")
    figures |= _median(_warm(lambda: sandbox.call(ADD, "add", [[1, 2]] * TESTS, LIMITS)), "warm_call")
    figures |= _median(_start(1), "start_and_1_test")
    figures |= _median(_start(10), "start_and_10_tests")
    figures |= _median(_commands(["/bin/true"]), "fork_exec_true")
    figures |= _median(_commands(_fresh_in_bwrap()), "fresh_python_in_bwrap")
    return figures


def run() -> dict[str, Any]:
    """Medians in milliseconds and their ratios. Raises SandboxUnavailable where no sandbox opens."""
    with open_sandbox() as sandbox:
        figures = _measure(sandbox)
    warm = figures["warm_test_cpu_ms"]
    return {
        **figures,
        "warm_test_to_fork_exec": round(warm / max(figures["fork_exec_true_cpu_ms"], 1e-3), 2),
        "fresh_python_to_warm_test": round(figures["fresh_python_in_bwrap_cpu_ms"] / warm, 2),
    }
