"""Worker processes: deadlines, memory caps, crashes, and no worker that outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers.pool import WorkerPool

WORKER = """
import ctypes, os, sys, time
from verifiers.pool_serving import serve

def answer(question):
    kind = question["kind"]
    if kind == "echo":
        return question["value"]
    if kind == "pid":
        return os.getpid()
    if kind == "sleep":
        time.sleep(60)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "memory":
        return len(bytearray(1 << 40))
    if kind == "raise":
        raise KeyError("no")
    if kind == "exit":
        os._exit(7)
    if kind == "noise":
        print("not an answer", flush=True)
        return 1

if __name__ == "__main__":
    serve(answer, lambda: None)
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    (tmp_path / "pool_test_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    with WorkerPool("pool_test_worker", workers=1, deadline_s=0.5, memory_mb=256) as made:
        yield made


def test_answers_come_back_and_the_worker_stays(pool: WorkerPool) -> None:
    assert pool.started == 0
    assert pool.ask({"kind": "echo", "value": [1, "two", None]}).value == [1, "two", None]
    assert pool.ask({"kind": "noise"}).value == 1
    assert pool.started == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("sleep", "timed_out"),
        ("segfault", "died"),
        ("memory", "over_memory"),
        ("raise", "failed"),
        ("exit", "died"),
    ],
)
def test_a_fault_costs_one_question(pool: WorkerPool, kind: str, status: str) -> None:
    pool.ask({"kind": "echo", "value": 1})
    begun = time.monotonic()
    assert pool.ask({"kind": kind}).status == status
    assert time.monotonic() - begun < 1.5
    assert pool.ask({"kind": "echo", "value": 2}).value == 2


def test_closing_ends_the_workers(pool: WorkerPool) -> None:
    pid = pool.ask({"kind": "pid"}).value
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="closed"):
        pool.ask({"kind": "pid"})


def test_a_worker_dies_with_a_killed_caller(tmp_path: Path) -> None:
    (tmp_path / "pool_test_worker.py").write_text(WORKER)
    caller = (
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from verifiers.pool import WorkerPool\n"
        "pool = WorkerPool('pool_test_worker', deadline_s=60)\n"
        "print(pool.ask({'kind': 'pid'}).value, flush=True)\n"
        "pool.ask({'kind': 'sleep'})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", caller, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 5
    while _runs(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
