"""Files in memory: sealed ones stay as they are, and the bundle is all that runs inside."""

from __future__ import annotations

import marshal
import os
from functools import partial
from pathlib import Path

import pytest

from sandbox.warm.descriptors import (
    INSIDE_MODULES,
    LANDLOCK_MODULES,
    bundle,
    open_program,
    open_sealed,
    read_back,
    scratch_files,
    size_of,
    source_of,
)


def test_a_sealed_file_is_read_and_never_written() -> None:
    data = bytes(range(256)) * 1000
    fd = open_sealed(data)
    try:
        assert os.read(fd, 5) == data[:5]
        assert size_of(fd) == len(data)
        assert read_back(fd, len(data)) == data
        assert read_back(fd, 10) == data[:10]
        # Neither by opening it anew, as whoever holds the descriptor can.
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        for held in (fd, again):
            os.lseek(held, 0, os.SEEK_SET)
            assert os.read(held, 10) == data[:10]
            for change in (partial(os.write, held, b"x"), partial(os.ftruncate, held, 0)):
                with pytest.raises(PermissionError):
                    change()
        os.close(again)
    finally:
        os.close(fd)


def test_a_program_can_be_executed() -> None:
    fd = open_program(Path("/bin/true").read_bytes())
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(fd, b"x")
        assert os.waitpid(os.posix_spawn(f"/proc/self/fd/{fd}", ["true"], {}), 0)[1] == 0
    finally:
        os.close(fd)


def test_scratch_files_are_written_apart_and_closed_at_the_end() -> None:
    with scratch_files(2) as (first, second):
        os.write(first, b"out")
        assert (read_back(first, 100), read_back(second, 100)) == (b"out", b"")
    for fd in (first, second):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_the_bundle_has_every_module_in_order_without_docstrings() -> None:
    _, found = marshal.loads(bundle(LANDLOCK_MODULES))
    assert [name for name, _ in found] == [*INSIDE_MODULES, *LANDLOCK_MODULES]
    assert bundle() != bundle(LANDLOCK_MODULES)
    for name, code in found:
        assert code.co_filename == f"<{name}>"
        assert not isinstance(code.co_consts[0], str) or code.co_consts[0] == ""
        assert "__future__" not in code.co_names
    assert source_of("sandbox.inside") == b""
    assert b"def execute" in source_of("sandbox.inside.program_text")
