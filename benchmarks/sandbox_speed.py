"""What one isolated test costs, beside what a process costs at least, a fresh interpreter, and other graders' schemes.

CPU milliseconds count every process of the sandbox and the caller's own share, by the scheduler's nanoseconds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.grader_schemes import SCHEMES
from sandbox.bubblewrap.backend import find_binaries
from sandbox.languages import find_language
from sandbox.model import Limits, Program
from sandbox.open import open_sandbox
from sandbox.process.inside import SWITCH_S
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.visible_files import interpreter, interpreter_folders
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

ROUNDS, TESTS = 7, 20
LIMITS = Limits()
ECHO = Program("import sys\nn = int(sys.stdin.readline())\nprint(sum(i * i for i in range(n)))")
_TIMED = ECHO.source.replace("print(", "(") + "\nimport time\nprint(1000 * time.process_time())"
ADD = Program("def add(a, b):\n    return a + b")
DOUBLE = Program(
    "#include <bits/stdc++.h>\nusing namespace std;\nint main() { long long n; cin >> n; cout << 2 * n << endl; }",
    "cpp",
)
THROUGHPUT_SUBMISSIONS = 400
MACHINE_S = 1.0
_RATE = """
import os, time
def turn():
    {turn}
turn()
done, begun = 0, time.perf_counter()
while (seconds := time.perf_counter() - begun) < {seconds}:
    turn()
    done += 1
print(done / seconds)
"""
MACHINE = {
    "loops": "sum(i * i for i in range(10_000))",
    "forks": "pid = os.fork() or os._exit(0); os.waitpid(pid, 0)",
}
"""Work that shares nothing of ours: what two processes do of it, to what one does, is what the machine gives."""


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


def _compiled(sandbox: WarmSandbox) -> dict[str, float]:
    """A C++ program: its compilation, when it was compiled before, and one run of it."""
    compiled, cached = [], []
    for number in range(ROUNDS):
        fresh = Program(f"{DOUBLE.source} // {number}", "cpp")
        for samples in (compiled, cached):
            begun = time.perf_counter()
            sandbox._compile(fresh, find_language("cpp"))
            samples.append(1000 * (time.perf_counter() - begun))
    figures = _median(_warm(lambda: sandbox.run(DOUBLE, [b"10\n"] * TESTS, LIMITS)), "cpp_run")
    figures["cpp_compile_wall_ms"] = round(statistics.median(compiled), 3)
    figures["cpp_compiled_before_wall_ms"] = round(statistics.median(cached), 4)
    return figures


def _function_mode(sandbox: WarmSandbox) -> dict[str, float]:
    """The tests of a function, all in one process as the code verifier runs them first."""
    figures = {}
    for count in (1, 20):

        def together(count: int = count) -> list[Any]:
            return sandbox.call_together(ADD, "add", [[1, 2]] * count, LIMITS)

        # `_warm` divides by the executions: what a submission costs is the whole.
        rounds = [sample for _ in range(TESTS) for sample in _warm(together)]
        figures |= _median([(cpu * count, wall * count) for cpu, wall in rounds], f"function_with_{count}_tests")
    figures["function_20_tests_to_1"] = round(
        figures["function_with_20_tests_cpu_ms"] / figures["function_with_1_tests_cpu_ms"], 3
    )
    return figures


def _submissions_per_s(workers: int) -> float:
    task = Task(tests=tuple(Test(input="10\n", output="285\n") for _ in range(3)))
    verifier = CodeVerifier(workers=workers)
    try:
        completion = f"```python\n{ECHO.source}\n```"
        verifier.verify_many([(task, completion)] * 20)
        begun = time.perf_counter()
        verdicts = verifier.verify_many([(task, completion)] * THROUGHPUT_SUBMISSIONS)
        seconds = time.perf_counter() - begun
    finally:
        verifier.close()
    assert all(verdict.passed for verdict in verdicts)
    return THROUGHPUT_SUBMISSIONS / seconds


def _throughput() -> dict[str, float]:
    sys.setswitchinterval(SWITCH_S)  # as in the command and in workers
    pairs = [(_submissions_per_s(1), _submissions_per_s(2)) for _ in range(5)]
    return {
        "submissions_per_s_1_worker": round(statistics.median(one for one, _ in pairs), 1),
        "submissions_per_s_2_workers": round(statistics.median(two for _, two in pairs), 1),
        "two_workers_to_one": round(statistics.median(two / one for one, two in pairs), 3),
    }


def _machine() -> dict[str, float]:
    """How much more two processes do than one where nothing of ours is shared, in the same pairs."""
    return {f"two_{name}_to_one": round(statistics.median(_machine_ratios(turn)), 3) for name, turn in MACHINE.items()}


def _machine_ratios(turn: str) -> list[float]:
    command = [sys.executable, "-S", "-c", _RATE.format(turn=turn, seconds=MACHINE_S)]

    def rate(processes: int) -> float:
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        return sum(float(one.communicate()[0]) for one in started)

    return [rate(2) / rate(1) for _ in range(5)]


def _schemes() -> dict[str, float]:
    """Processor milliseconds of other graders' ways, unisolated, each in a small process of its own."""
    figures = {}
    for name in SCHEMES:
        command = [sys.executable, "-m", "benchmarks.grader_schemes", name]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        unit = "10_tests" if name == "one_process_for_all" else "test"
        figures[f"scheme_{name}_{unit}_cpu_ms"] = float(json.loads(done.stdout))
    return figures


def _measure(sandbox: WarmSandbox) -> dict[str, float]:
    sandbox.run(ECHO, [b"10\n"] * 30, LIMITS)
    figures = _median(_warm(lambda: sandbox.run(ECHO, [b"10\n"] * TESTS, LIMITS)), "warm_test")
    figures |= _median(_warm(lambda: sandbox.call(ADD, "add", [[1, 2]] * TESTS, LIMITS)), "warm_call")
    figures |= _median(_start(1), "start_and_1_test")
    figures |= _median(_start(10), "start_and_10_tests")
    figures |= _function_mode(sandbox)
    figures |= _compiled(sandbox)
    figures |= _throughput()
    figures |= _machine()
    figures |= _schemes()
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
