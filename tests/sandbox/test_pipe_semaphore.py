"""Semaphores that are pipes: counted, waited for in time, and shared with threads and forks."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.landlock.parallel import _FIRST, PipeSemaphore
from sandbox.warm.descriptors import code_of

LOCK, SEMAPHORE = 0, 1


class Closing(PipeSemaphore):
    """One that can be closed, as those of a test's own process are by its end."""

    def close(self) -> None:
        os.close(self._out)
        os.close(self._into)


def made(kind: int, value: int, most: int) -> Closing:
    return Closing(kind, value, most, "", False)


@pytest.fixture
def lock() -> Iterator[Closing]:
    with closing(made(LOCK, 1, 1)) as lock:
        yield lock


def test_units_are_counted_and_none_is_given_that_is_not_there() -> None:
    with closing(made(SEMAPHORE, 2, 2)) as semaphore:
        assert [semaphore.acquire(False) for _ in range(3)] == [True, True, False]
        assert (semaphore._is_zero(), semaphore._count()) == (True, 2)
        semaphore.release()
        semaphore.release()
        assert semaphore._get_value() == 2
        with pytest.raises(ValueError, match="released too many times"):
            semaphore.release()


def test_a_wait_ends_in_time_or_with_a_unit() -> None:
    with closing(made(SEMAPHORE, 0, 1)) as semaphore:
        begun = time.monotonic()
        assert not semaphore.acquire(timeout=0.05)
        assert time.monotonic() - begun >= 0.05
        assert not semaphore.acquire(timeout=-1)
        threading.Timer(0.05, semaphore.release).start()
        assert semaphore.acquire(timeout=60)


def test_an_owner_may_take_its_lock_again_and_others_may_not(lock: Closing) -> None:
    found: list[object] = []

    def other() -> None:
        found.append(lock.acquire(False))
        try:
            lock.release()
        except AssertionError as error:
            found.append(str(error))

    with lock:
        assert lock.acquire()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        lock.release()
        assert (lock._is_mine(), lock._count()) == (True, 1)
    assert found == [False, "attempt to release recursive lock not owned by thread"]
    assert not lock._is_mine()
    assert lock.acquire(False)


def test_a_fork_does_not_own_what_its_parent_holds(lock: Closing) -> None:
    assert lock.acquire()
    child = os.fork()
    if not child:
        lock._after_fork()
        taken = lock.acquire(timeout=60)
        os._exit(0 if taken and lock._is_mine() else 1)
    lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


STARTED_AFRESH = """
import multiprocessing as mp

def work(queue, lock, value):
    assert type(lock._semlock).__name__ == "PipeSemaphore"
    with lock, value.get_lock():
        value.value += 1
    queue.put(mp.get_start_method())

if __name__ == "__main__":
    context = mp.get_context("spawn")
    given = context.Queue(), context.RLock(), context.Value("i", 1)
    processes = [context.Process(target=work, args=given) for _ in range(2)]
    for process in processes:
        process.start()
    print(*[given[0].get() for _ in processes])
    for process in processes:
        process.join()
    print(given[2].value, [process.exitcode for process in processes])
"""


def test_processes_that_are_started_afresh_have_them_too(tmp_path: Path) -> None:
    """As the fork server makes it ready for a program, here without the rules."""
    first = _FIRST.format(code=marshal.dumps(code_of("sandbox.landlock.parallel")).hex())
    program = tmp_path / "main.py"
    program.write_text(f"if __name__ == '__main__':\n    {first}\n{STARTED_AFRESH}")
    done = subprocess.run(
        [sys.executable, "-I", "-S", program], check=False, capture_output=True, timeout=120, text=True
    )
    assert done.stdout == "spawn spawn\n3 [0, 0]\n", done.stderr
