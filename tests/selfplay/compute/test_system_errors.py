"""Errors of the system are told with their remedy, also by libraries that raise errors of their own."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from selfplay.compute.system_errors import RUN, is_for_a_person, lost_worker_sentence, sentence, worker_sentence

RUST = "Error while serializing: I/O error: {} at path"
FULL, READ_ONLY = "the disk is full; make room", "the file system is read-only; make it writable"
QUOTA, PERMISSION = "the disk quota is used up; make room", "there is no permission to write; give it"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), FULL),
        (RuntimeError("write(): fd 3 failed with No space left on device"), FULL),
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


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Bytes left by the beginning of a path; 9 GiB elsewhere."""
    rooms: dict[str, int] = {}

    def left(place: Path) -> SimpleNamespace:
        found = next((size for start, size in rooms.items() if str(place).startswith(start)), 9 * 2**30)
        return SimpleNamespace(f_files=9, f_favail=9, f_bavail=found, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", left)
    return rooms


TORN = "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"
"""As torch says it when an archive does not fit; tests/faults/test_disk.py has it said for real."""


@pytest.mark.parametrize("said", [TORN, "PytorchStreamWriter failed writing file data/0: file write failed"])
def test_torch_does_not_say_that_the_disk_is_full_and_we_do(room: dict[str, int], said: str) -> None:
    room["/run"] = 3 * 2**19
    assert sentence(RuntimeError(said), "/run") == f"/run (1.5 MiB left): {FULL} and run the same command again"
    room["/run"] = 5 * 2**30
    assert "as on a full disk or past a quota" in sentence(RuntimeError(said), "/run")
    assert is_for_a_person(RuntimeError(said))


def test_the_place_that_is_full_is_named_which_may_not_be_the_run(
    room: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/models")
    room["/models"] = 100
    assert sentence(RuntimeError(RUST.format("No space left on device")), "/run").startswith("/models (0.1 KiB left): ")
    named = OSError(errno.ENOSPC, "No space left on device", "/run/x")
    assert sentence(named, "/run").startswith("/run/x (9.0 GiB left): ")


def test_a_disk_that_fills_up_between_two_looks_is_one_disk(room: dict[str, int]) -> None:
    room["/run"] = 2**30
    room[tempfile.gettempdir()] = 2**30 - 4096
    assert sentence(RuntimeError(RUST.format("No space left on device")), "/run").startswith("/run (1.0 GiB left): ")


def test_what_led_to_an_error_counts_where_it_is_a_full_disk() -> None:
    def raised(first: Exception) -> Exception:
        try:
            try:
                raise first
            finally:
                raise ValueError("I/O operation on closed file")
        except ValueError as error:
            return error

    assert FULL in sentence(raised(OSError(errno.ENOSPC, "No space left on device", "/a/b")), "/run")
    assert (
        sentence(raised(OSError(errno.EACCES, "Permission denied", "/a/b")), "/run") == "I/O operation on closed file"
    )
    assert not is_for_a_person(ValueError("I/O operation on closed file"))


def test_a_worker_names_its_run(monkeypatch: pytest.MonkeyPatch, room: dict[str, int]) -> None:
    monkeypatch.setenv(RUN, "/run")
    room["/run"] = 0
    assert worker_sentence(RuntimeError(TORN)).startswith(f"a worker failed: /run (0.0 KiB left): {FULL}")
    assert "/dev/shm is full" in lost_worker_sentence(-signal.SIGBUS)
