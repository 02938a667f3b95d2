"""Worker processes: deadlines, memory caps, crashes, and no worker that outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from verifiers.pool.pool import Bounds, WorkerOutcome, WorkerPool

WORKER = """
import ctypes, os, sys, time
from verifiers.pool.serving import serve

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
    if kind == "late":
        time.sleep(question["seconds"])
        return question["value"]
    if kind == "torn":
        os.write(1, b'{"status": "ok", "val')
        time.sleep(60)
    if kind == "forged":
        os.write(1, b'{"status": "ok", "value": "forged", "number": 999, "last": false}\\n')
        return "true"
    if kind == "forked":
        if os.fork() == 0:
            time.sleep(60)
        return 3
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
    with closing(WorkerPool("pool_test_worker", workers=1, memory_mb=256)) as made:
        yield made


def ask(pool: WorkerPool, question: object, seconds: float = 0.5) -> WorkerOutcome:
    [outcome] = pool.spread([question], [Bounds(seconds, seconds)])
    return outcome


def test_answers_come_back_and_the_worker_stays(pool: WorkerPool) -> None:
    assert pool.started == 0
    assert ask(pool, {"kind": "echo", "value": [1, "two", None]}).value == [1, "two", None]
    assert ask(pool, {"kind": "noise"}).value == 1
    assert pool.started == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("sleep", "timed_out"),
        ("segfault", "died"),
        ("memory", "over_memory"),
        ("raise", "failed"),
        ("exit", "died"),
        ("torn", "timed_out"),
    ],
)
def test_a_fault_costs_one_question(pool: WorkerPool, kind: str, status: str) -> None:
    ask(pool, {"kind": "echo", "value": 1})
    assert ask(pool, {"kind": kind}).status == status
    assert ask(pool, {"kind": "echo", "value": 2}).value == 2


def test_who_finds_all_workers_busy_gets_another_where_there_are_places(pool: WorkerPool) -> None:
    with closing(WorkerPool("pool_test_worker", workers=1, places=2)) as roomy, ThreadPoolExecutor(1) as threads:
        assert ask(roomy, {"kind": "echo", "value": 1}).value == 1
        busy = threads.submit(ask, roomy, {"kind": "sleep"}, 3.0)
        while roomy._idle:
            time.sleep(0.005)
        assert ask(roomy, {"kind": "echo", "value": 2}).value == 2
        assert roomy.started == 2
        assert busy.result().status == "timed_out"


@pytest.mark.parametrize(("worth", "workers"), [(60.0, 1), (0.01, 2)])
def test_a_second_worker_starts_for_what_is_worth_it(
    worth: float, workers: int, pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifiers.pool.pool._WORTH_A_START_S", worth)
    questions = [{"kind": "late", "seconds": 0.01, "value": number} for number in range(12)]
    with closing(WorkerPool("pool_test_worker", workers=2)) as two:
        answers = two.spread(questions, [Bounds(5.0, 5.0)] * 12)
        assert [answer.value for answer in answers] == list(range(12))
        assert two.started == workers


def test_many_small_calls_are_worth_a_second_worker_too(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.pool.pool._WORTH_A_START_S", 0.1)
    questions = [{"kind": "late", "seconds": 0.01, "value": number} for number in range(4)]
    with closing(WorkerPool("pool_test_worker", workers=2)) as two:
        for _ in range(4):
            assert [one.value for one in two.spread(questions, [Bounds(5.0, 5.0)] * 4)] == [0, 1, 2, 3]
        assert two.started == 2


def test_all_workers_can_be_started_before_there_is_a_question(pool: WorkerPool) -> None:
    with closing(WorkerPool("pool_test_worker", workers=2)) as two:
        two.start()
        two.start()
        assert two.started == 2
        assert all(worker.ready for worker in two._idle)
        assert ask(two, {"kind": "echo", "value": 1}).value == 1


def test_a_fault_in_a_text_of_many_pages_costs_no_worker_either(pool: WorkerPool) -> None:
    ask(pool, {"kind": "echo", "value": 1})
    assert pool._idle[0]._room == 1 << 15
    for kind in ("segfault", "sleep", "memory"):
        assert ask(pool, {"kind": kind, "text": "x" * 200_000}).status != "ok"
    assert ask(pool, {"kind": "echo", "value": 2}).value == 2
    assert pool.started == 1


def test_an_answer_that_comes_late_is_for_nobody(pool: WorkerPool) -> None:
    for value in range(5):
        assert ask(pool, {"kind": "late", "seconds": 0.5 + 0.01 * value, "value": "late"}).status in {"timed_out", "ok"}
        assert ask(pool, {"kind": "echo", "value": value}).value == value


def test_an_answer_to_another_question_is_for_nobody(pool: WorkerPool) -> None:
    assert ask(pool, {"kind": "forged"}).value == "true"


def test_a_kill_costs_a_fork_and_no_new_worker(pool: WorkerPool) -> None:
    pids = []
    for _ in range(3):
        pids.append(ask(pool, {"kind": "pid"}).value)
        ask(pool, {"kind": "segfault"})
    assert len(set(pids)) == 3
    assert pool.started == 1


def test_a_child_is_renewed_after_its_items(tmp_path: Path, pool: WorkerPool) -> None:
    with closing(WorkerPool("pool_test_worker", workers=1, max_items=3)) as renewing:
        pids = [ask(renewing, {"kind": "pid"}, 5.0).value for _ in range(9)]
        assert [len(set(pids[at : at + 3])) for at in (0, 3, 6)] == [1, 1, 1]
        assert len(set(pids)) == 3
        assert renewing.started == 1


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_lost_whole_is_replaced(
    pool: WorkerPool, kill: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifiers.pool.pool._RENEWAL_S", 1.0)
    ask(pool, {"kind": "echo", "value": 1})
    os.killpg(pool._idle[0].process.pid, kill)
    time.sleep(0.1)
    assert ask(pool, {"kind": "echo", "value": 4}).status == ("ok" if kill == signal.SIGKILL else "timed_out")
    assert ask(pool, {"kind": "echo", "value": 5}).value == 5
    assert pool.started == 2


def test_questions_of_many_threads_get_their_own_answers(tmp_path: Path, pool: WorkerPool) -> None:
    with closing(WorkerPool("pool_test_worker", workers=2)) as shared, ThreadPoolExecutor(8) as threads:
        questions = [{"kind": "segfault"} if n % 10 == 9 else {"kind": "echo", "value": n} for n in range(100)]
        outcomes = list(threads.map(lambda question: ask(shared, question, 5.0), questions))
    for n, outcome in enumerate(outcomes):
        assert (outcome.status, outcome.value) == (("died", None) if n % 10 == 9 else ("ok", n))


def test_closing_ends_the_workers(pool: WorkerPool) -> None:
    pid = ask(pool, {"kind": "pid"}).value
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="closed"):
        ask(pool, {"kind": "pid"})


def test_a_worker_dies_with_a_killed_caller(tmp_path: Path) -> None:
    (tmp_path / "pool_test_worker.py").write_text(WORKER)
    caller = (
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from verifiers.pool.pool import Bounds, WorkerPool\n"
        "pool = WorkerPool('pool_test_worker')\n"
        "print(pool.spread([{'kind': 'pid'}], [Bounds(60, 60)])[0].value, flush=True)\n"
        "pool.spread([{'kind': 'sleep'}], [Bounds(60, 60)])\n"
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


def test_a_module_that_cannot_be_loaded_costs_three_starts() -> None:
    with closing(WorkerPool("no_such_worker", workers=1)) as broken:
        outcomes = broken.spread([{"kind": "echo", "value": 1}] * 200, [Bounds(5.0, 5.0)] * 200)
        assert {outcome.status for outcome in outcomes} == {"failed"}
        assert (len(outcomes), broken.started) == (200, 3)
        assert "could not be started" in outcomes[-1].reason
        # Whatever was wrong may be mended by now: each later call tries once.
        assert len(broken.spread([{"kind": "echo", "value": 1}] * 200, [Bounds(5.0, 5.0)] * 200)) == 200
        assert broken.started == 4
