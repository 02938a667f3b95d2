"""Semaphores that are pipes: counted, waited for in time, and shared with threads and forks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from sandbox.landlock.parallel import PipeSemaphore

LOCK, SEMAPHORE = 0, 1


class Closing(PipeSemaphore):
    """One that can be closed, as those of a test's own process are by its end."""

    def close(self) -> None:
        os.close(self.handle)
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
