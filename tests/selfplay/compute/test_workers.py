"""Workers' beginnings and ends, in a driver of their own, as a user's terminal sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfplay.compute.workers import WorkerError, Workers
from selfplay.config.errors import UserError

ROOT = Path(__file__).parents[3]

JOBS = """
import os, tempfile, time

def nothing():
    pass

def leave(job):
    return tempfile.mkdtemp()

def fail(job):
    time.sleep(0.2)
    raise ValueError("no")
"""
BEGIN = """
import sys
from pathlib import Path
import jobs_of_test
from selfplay.compute.workers import WorkerError, Workers

workers = Workers(2, 1, "cpu", Path(sys.argv[1]))
"""


def _drive(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Runs a script without a main guard: what a worker does not run again needs none."""
    (tmp_path / "jobs_of_test.py").write_text(JOBS)
    script = tmp_path / "driver.py"
    script.write_text(BEGIN + source)
    command = [sys.executable, str(script), str(tmp_path / "workers.log")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment)


def test_workers_stopped_while_they_start_say_nothing(tmp_path: Path) -> None:
    done = _drive(tmp_path, "workers.start(jobs_of_test.nothing)\nworkers.stop()\n")
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_driver_that_ends_without_a_word_leaves_no_worker(tmp_path: Path) -> None:
    source = "workers.map(jobs_of_test.leave, [{}])\nprint(*[child.pid for child in workers._children])\n"
    done = _drive(tmp_path, source)
    assert done.returncode == 0, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    _until(lambda: not any(_alive(pid) for pid in pids))


def test_temporary_files_of_workers_end_with_them(tmp_path: Path) -> None:
    done = _drive(tmp_path, "print(workers.map(jobs_of_test.leave, [{}])[0])\nworkers.stop()\n")
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


def test_a_job_of_the_script_itself_is_refused_in_one_sentence(tmp_path: Path) -> None:
    source = "def job(job): pass\ntry:\n    workers.map(job, [{}])\nexcept WorkerError as error:\n    print(error)\n"
    done = _drive(tmp_path, source)
    assert done.stdout.startswith("a worker failed: AttributeError: Can't get attribute 'job'"), done.stderr


def test_work_that_failed_was_model_time_too(tmp_path: Path) -> None:
    source = "try:\n    workers.map(jobs_of_test.fail, [{}])\nexcept WorkerError:\n    print(workers.busy_seconds)\n"
    done = _drive(tmp_path, source)
    assert float(done.stdout) > 0.1, done.stderr
    assert "ValueError: no" in (tmp_path / "workers.log").read_text()


def double(job: Any) -> int:
    time.sleep(job["seconds"])
    return 2 * int(job["value"])


def rank_of(job: Any) -> tuple[str, str]:
    return os.environ["RANK"], os.environ["WORLD_SIZE"]


def own_pid(job: Any) -> int:
    return os.getpid()


def large(job: Any) -> bytes:
    return bytes(job["size"])


def leave_a_process(job: Any) -> int:
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


def exit_at_once(job: Any) -> None:
    os._exit(3)


def refuse() -> None:
    raise UserError("em.rounds: is wrong")


def fail_at_once() -> None:
    raise KeyError("nothing of the kind")


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(2, 1, "cpu", tmp_path / "workers.log")
    yield made
    made.stop()


def test_results_come_in_the_order_of_the_jobs(workers: Workers) -> None:
    jobs = [{"value": value, "seconds": 0.2 if value == 0 else 0.0} for value in range(20)]
    assert workers.map(double, jobs) == [2 * value for value in range(20)]
    assert dict(workers.as_done(double, jobs)) == {value: 2 * value for value in range(20)}
    assert workers.map(double, []) == []


def test_each_worker_is_one_rank_of_a_group(workers: Workers) -> None:
    with pytest.raises(WorkerError, match="ended with exit code 3"):
        workers.together(exit_at_once, {})
    assert workers.together(rank_of, {}) == ("0", "2")


def test_spared_gpus_are_the_last_ones_and_no_worker_is_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,8,9")
    on_gpus = Workers(3, 1, "cuda", tmp_path / "workers.log", gpus_each=2)
    with on_gpus.sparing(1) as names:
        assert (names, on_gpus.count) == (("9",), 2)
    with on_gpus.sparing(3) as names:
        assert (names, on_gpus.count) == (("7", "8", "9"), 1)
    with on_gpus.sparing(0) as names:
        assert (names, on_gpus.count) == ((), 3)
    assert on_gpus.count == 3
    with pytest.raises(WorkerError, match="raise their number"), on_gpus.sparing(5):
        pass
    with Workers(3, 1, "cpu", tmp_path / "workers.log").sparing(2) as names:
        assert names == ()


def test_results_larger_than_a_pipe_come_whole(workers: Workers) -> None:
    assert workers.map(large, [{"size": 3 << 20}] * 3) == [bytes(3 << 20)] * 3


def test_workers_stay_until_they_are_renewed(workers: Workers) -> None:
    def pids() -> set[int]:
        return set(workers.map(own_pid, [{}] * 8))

    first = pids()
    assert len(first | pids()) == 2
    workers.renew()
    assert not first & pids()


def test_work_that_is_given_up_leaves_no_answer_behind(workers: Workers) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.map(double, [{"value": 1, "seconds": 30.0}] * 2, on_tick=stop)
    assert workers.map(double, [{"value": 5, "seconds": 0.0}]) == [10]


def test_what_a_worker_started_ends_with_it(workers: Workers) -> None:
    [left] = workers.map(leave_a_process, [{}])
    assert _alive(left)
    workers.stop()
    assert not _alive(left)


def test_what_the_first_call_refuses_is_raised_as_it_is(tmp_path: Path) -> None:
    workers = Workers(1, 1, "cpu", tmp_path / "workers.log")
    try:
        workers.start(refuse)
        with pytest.raises(UserError, match=r"^em.rounds: is wrong$"):
            workers.wait_until_ready()
        workers.start(fail_at_once)
        with pytest.raises(WorkerError, match="a worker failed: KeyError: 'nothing of the kind'"):
            workers.wait_until_ready()
    finally:
        workers.stop()


def test_a_worker_dies_with_a_killed_driver(tmp_path: Path) -> None:
    (tmp_path / "jobs_of_test.py").write_text(JOBS)
    source = "workers.map(jobs_of_test.leave, [{}])\nprint(workers._children[0].pid, flush=True)\nsys.stdin.read()\n"
    (tmp_path / "driver.py").write_text(BEGIN + source)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py"), str(tmp_path / "workers.log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": tempfile.gettempdir()},
    ) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        driver.send_signal(signal.SIGKILL)
    _until(lambda: not _alive(worker))


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
