"""Workers that are killed, that run out of memory, and workers that were interrupted at the worst instant."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.compute.workers import WorkerError, Workers


def kill_me(job: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_all_memory(job: Any) -> int:
    import torch

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    return len(torch.zeros(1 << 34, dtype=torch.uint8))


def fail(job: Any) -> None:
    raise OSError(28, "No space left on device", "/somewhere/x")


def fail_where_the_log_is_full(job: Any) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), 2)
    fail(job)


def nothing(job: Any) -> int:
    return 1


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(1, 1, "cpu", tmp_path / "workers.log")
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (kill_me, "was killed by the system, most likely since memory ran out"),
        (take_all_memory, "ran out of memory"),
        (fail, "GiB left): the disk is full; make room"),
        (fail_where_the_log_is_full, "GiB left): the disk is full; make room"),
    ],
)
def test_a_worker_that_fails_is_one_sentence_with_the_remedy(workers: Workers, job: Any, says: str) -> None:
    with pytest.raises(WorkerError) as caught:
        workers.map(job, [{}])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_workers_end_and_begin_anew_after_an_interruption_within_a_message(workers: Workers) -> None:
    """As a signal does that comes while a job is written: the worker waits for the rest of it."""
    assert workers.map(nothing, [{}]) == [1]
    workers._children[0].write(b"\x00\x00\x00")
    ended = threading.Thread(target=workers.stop, daemon=True)
    ended.start()
    ended.join(20)
    assert not ended.is_alive()
    assert workers.map(nothing, [{}]) == [1]
