"""What one isolated test costs, beside what a process costs at least, a fresh interpreter, and other graders' schemes.

CPU milliseconds count every process of the sandbox and the caller's own share, by the scheduler's nanoseconds.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.grader_schemes import SCHEMES
from sandbox.bubblewrap.backend import BARE, FILTER, bwrap_command, find_binaries
from sandbox.inside.wire import CHANNEL_ENV
from sandbox.languages import find_language
from sandbox.model import Limits, Program
from sandbox.open import open_sandbox
from sandbox.process.inside import SWITCH_S
from sandbox.process.launching import launch
from sandbox.seccomp.filter import filter_program
from sandbox.warm.descriptors import BUNDLE_ENV, ENTRY, bundle, open_sealed
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.visible_files import interpreter, interpreter_folders
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

ROUNDS, TESTS, PARTS_ROUNDS = 7, 20, 25
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
print("ready", flush=True)
input()
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
_WORKER = (
    "from benchmarks.sandbox_speed import SUBMISSION, CodeVerifier\nverifier = CodeVerifier()",
    "verifier.verify_many([SUBMISSION] * 20)",
    "verifier.close()",
)
SUBMISSION = (Task(tests=(Test(input="10\n", output="285\n"),) * 3), f"```python\n{ECHO.source}\n```")


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
            done = subprocess.run(command, input=b"10\n", stdout=PIPE, check=True)
            inside += float(done.stdout or 0)
        cpu = _own_cpu_ms() - cpu + inside
        samples.append((cpu / TESTS, 1000 * (time.perf_counter() - wall) / TESTS))
    return samples


def _start_parts() -> dict[str, float]:
    """Starts that end early, each after one part more: what is below the caller, in processor milliseconds."""
    ends = {
        "namespaces": ["/usr/bin/true"],
        "interpreter": _python("import posix; posix._exit(0)"),
        "modules": _python(ENTRY.replace(".serve()", "; posix._exit(0)")),
    }
    samples: dict[str, list[float]] = {name: [] for name in ends}
    for _ in range(PARTS_ROUNDS):
        for name, end in ends.items():
            samples[name].append(_early_end_ms(end))
    return {f"start_to_{name}_cpu_ms": round(statistics.median(found), 3) for name, found in samples.items()}


def _early_end_ms(end: list[str]) -> float:
    fds = {
        CHANNEL_ENV: os.open(os.devnull, os.O_RDONLY),
        BUNDLE_ENV: open_sealed(bundle()),
        FILTER: open_sealed(filter_program()),
    }
    command, within = bwrap_command(find_binaries()[0], LIMITS.disk_mb << 20, fds, ())
    command[command.index("--") + 1 :] = end
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with launch(command, fds=list(fds.values()), environment=BARE, within=within, cwd="/") as started:
        assert started.wait() == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for fd in fds.values():
        os.close(fd)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _python(code: str) -> list[str]:
    return [interpreter(), "-P", "-s", "-S", "-c", code]


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


def _submissions(workers: int) -> tuple[float, float]:
    """How many are judged in a second, and processor milliseconds of each."""
    with closing(CodeVerifier(workers=workers)) as verifier:
        verifier.verify_many([SUBMISSION] * 20)
        cpu, begun = _own_cpu_ms() + _tree_cpu_ms(os.getpid()), time.perf_counter()
        verdicts = verifier.verify_many([SUBMISSION] * THROUGHPUT_SUBMISSIONS)
        seconds = time.perf_counter() - begun
        cpu = _own_cpu_ms() + _tree_cpu_ms(os.getpid()) - cpu
    assert all(verdict.passed for verdict in verdicts)
    cpu += sum(1000 * verdict.details["cpu_s"] for verdict in verdicts)
    return THROUGHPUT_SUBMISSIONS / seconds, cpu / THROUGHPUT_SUBMISSIONS


def _throughput() -> dict[str, float]:
    """Two workers beside one, and beside what two processors allow: one worker keeps more than one busy at times."""
    sys.setswitchinterval(SWITCH_S)  # as in the command and in workers
    pairs = [(_submissions(1), _submissions(2)) for _ in range(5)]
    figures = {}
    for place, name in enumerate(("1_worker", "2_workers")):
        figures[f"submissions_per_s_{name}"] = round(statistics.median(pair[place][0] for pair in pairs), 1)
        figures[f"submission_cpu_ms_{name}"] = round(statistics.median(pair[place][1] for pair in pairs), 3)
    busy = statistics.median(rate * cpu / 1000 for (rate, cpu), _ in pairs)
    return {
        **figures,
        "two_workers_to_one": round(statistics.median(two / one for (one, _), (two, _) in pairs), 3),
        "processors_of_one_worker": round(busy, 3),
        "two_workers_to_one_at_most": round(2 / max(busy, 1.0), 3),
    }


def _machine() -> dict[str, float]:
    """How much more two processes do than one where nothing of ours is shared, and with a worker in each."""
    ratios = {f"two_{name}_to_one": _machine_ratios(turn, "-S") for name, turn in MACHINE.items()}
    ratios["two_processes_with_a_worker_to_one"] = _machine_ratios(_WORKER[1], before=_WORKER[0], after=_WORKER[2])
    return {name: round(statistics.median(found), 3) for name, found in ratios.items()}


def _machine_ratios(turn: str, *options: str, before: str = "", after: str = "") -> list[float]:
    code = "\n".join((before, _RATE.format(turn=turn, seconds=MACHINE_S), after))
    command = [sys.executable, *options, "-c", code]
    return [_rate(command, 2) / _rate(command, 1) for _ in range(5)]


def _rate(command: list[str], processes: int) -> float:
    """What so many processes of a command do in a second, from when the last of them is ready."""
    started = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(processes)]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return sum(float(one.communicate()[0]) for one in started)


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
    figures |= _start_parts()
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
