"""The child's side: it dies with it, and answers on a channel that nothing else gets at."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct

PARENT = "SELFPLAY_PARENT"
"""Names the owner's process in the environment of a child that is to die with it."""
HEADER = struct.Struct(">Q")
"""Before each frame: its length in bytes."""
SWITCH_S = 5e-4
"""For `sys.setswitchinterval` in processes whose threads each wait for a sandbox: at Python's own 5 ms one of them that
makes many short calls to the kernel keeps the others from going on."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_HIGH = 100


def die_with_parent(parent: int | None = None) -> None:
    """Has the kernel kill this process when its parent ends, however it ends.

    Args:
        parent: the process that ought to be the parent still; None takes the owner's, if there is one.
    """
    owner = os.environ.pop(PARENT, None)
    if parent is None and owner is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel was asked.
    if os.getppid() != (int(owner or 0) if parent is None else parent):
        os._exit(1)


def adopt_orphans() -> None:
    """Makes what a child of this process starts and lets go of (a daemon) a child of this one, so that it is seen."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def take_channel() -> tuple[int, int]:
    """Dies with the owner from now on, and returns the descriptors to read from it and to write to it.

    They are out of the way and not passed on to what this process starts; standard input is empty from now on, and
    what is printed goes to standard error.
    """
    die_with_parent()
    into, out = _copied_high(0), _copied_high(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return into, out


def out_of_the_way(descriptor: int) -> int:
    """Moves a descriptor up, and keeps it from what this process starts: libraries find the numbers of a plain one."""
    moved = _copied_high(descriptor)
    os.close(descriptor)
    return moved


def read_frame(descriptor: int) -> bytes | None:
    """The next frame whole, and nothing of the one after it; None once the other side has hung up."""
    header = _read_exactly(descriptor, HEADER.size)
    return None if header is None else _read_exactly(descriptor, HEADER.unpack(header)[0])


def write_frame(descriptor: int, data: bytes) -> None:
    """Writes a frame. Raises BrokenPipeError once the other side has hung up."""
    write_all(descriptor, HEADER.pack(len(data)) + data)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes every byte. Raises BrokenPipeError once the other side has hung up."""
    left: bytes | memoryview = data
    while (sent := os.write(descriptor, left)) < len(left):
        left = memoryview(left)[sent:]


def _read_exactly(descriptor: int, size: int) -> bytes | None:
    whole = os.read(descriptor, size)
    if len(whole) == size:
        return whole
    parts = bytearray(whole)
    while whole and len(parts) < size:
        whole = os.read(descriptor, size - len(parts))
        parts += whole
    return bytes(parts) if len(parts) == size else None


def _copied_high(descriptor: int) -> int:
    copy: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    return copy
