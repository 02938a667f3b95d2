"""Who gets the processor first: those who answer before those who work long, each with the share that it had.

A slice is how long a thread keeps the processor once it has it; who takes short ones is let in sooner. Linux from 6.12
on takes the length of a slice from `sched_setattr`. There a thread that wakes up waits for the end of the slice of
whoever runs, unless its own is shorter: 4 ms a time where the clock ticks 250 times a second, which is as long as all
the work on a small request. An older kernel, or one that allows none of this, goes on as before.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

from sandbox.process.launching import standing_back, where_children_start

SHORT_S, LONG_S = 1e-4, 1e-2
"""The shortest that there are, and some that are longer than those of who asks for none (1 to 3 ms)."""
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of `sched_setattr` and `sched_getattr`."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""Of `struct sched_attr`: size, policy, flags, niceness, priority, runtime (the slice), deadline, period."""


def come_first() -> None:
    """Has this thread, the threads that it starts, and all processes that are started from now on get the processor as
    soon as they want it."""
    take_slices_of(SHORT_S)
    where_children_start(lambda: take_slices_of(SHORT_S))


def stand_back(niceness: int) -> None:
    """Has all processes that are started from now on leave the processor to others first, this process among them, and
    at once when these want it."""
    where_children_start(lambda: os.nice(niceness))
    where_children_start(lambda: take_slices_of(LONG_S))
    standing_back.append(niceness)


def take_slices_of(seconds: float) -> bool:
    """Sets the slices of this thread, and of all threads and processes that it starts; False where that can't be done.

    A thread with another policy than the usual one keeps it as it is.
    """
    number = _CALLS.get(platform.machine(), (0, 0))[0]
    if not number or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, round(seconds * 1e9), 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(wanted), 0) == 0)


def slices() -> float:
    """The seconds that were set for this thread; 0 where none were, or where that can't be read."""
    number = _CALLS.get(platform.machine(), (0, 0))[1]
    found = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if not number or ctypes.CDLL(None).syscall(number, 0, found, _ATTRIBUTES.size, 0) != 0:
        return 0.0
    return float(_ATTRIBUTES.unpack(found.raw)[5]) / 1e9
