"""Errors of the system are told with their remedy, also by libraries that raise errors of their own."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from selfplay.compute.system_errors import sentence, worker_sentence

RUST = "Error while serializing: I/O error: {} at path"
FULL, READ_ONLY = "the disk is full; make room", "the file system is read-only; make it writable"
QUOTA, PERMISSION = "the disk quota is used up; make room", "there is no permission to write; give it"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), FULL),
        (OSError(errno.EROFS, "Read-only file system", "/a/b"), READ_ONLY),
        (RuntimeError(RUST.format("No space left on device (os error 28)")), FULL),
        (RuntimeError(RUST.format("Read-only file system (os error 30)")), READ_ONLY),
        (RuntimeError(RUST.format("Disk quota exceeded (os error 122)")), QUOTA),
        (RuntimeError(RUST.format("Permission denied (os error 13)")), PERMISSION),
        (sqlite3.OperationalError("database or disk is full"), FULL),
        (sqlite3.OperationalError("attempt to write a readonly database"), READ_ONLY),
    ],
)
def test_a_fault_of_the_disk_has_its_remedy_in_the_driver_and_in_workers(error: Exception, said: str) -> None:
    assert f"{said} and run the same command again" in sentence(error, "/run")
    told = worker_sentence(error)
    assert told.startswith("a worker failed: ")
    assert f"{said} and run the same command again" in told
    assert "\n" not in told


def test_what_a_server_denies_is_no_fault_of_the_disk() -> None:
    error = RuntimeError("the endpoint said 403: Permission denied")
    assert sentence(error, "/run") == "the endpoint said 403: Permission denied"
