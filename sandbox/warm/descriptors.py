"""Files in memory that carry data to and from a sandbox without a pipe to pump or a folder to clean."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def open_sealed(data: bytes) -> int:
    """A read-only descriptor of an anonymous file that nobody can change any more; the caller closes it."""
    fd = os.memfd_create("data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        # A second opening, since a file that is open for writing anywhere cannot be executed.
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


@contextmanager
def scratch_files(count: int) -> Iterator[list[int]]:
    """Descriptors of empty anonymous files for a program to write to, closed at the end."""
    fds = [os.memfd_create("output", os.MFD_CLOEXEC) for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def read_back(fd: int, limit: int) -> bytes:
    """The file's first bytes, at most `limit`."""
    return os.pread(fd, min(os.fstat(fd).st_size, limit), 0)


def size_of(fd: int) -> int:
    """The file's length in bytes."""
    return os.fstat(fd).st_size
