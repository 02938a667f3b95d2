"""The host's side of a fork server: starts it, asks it for one test at a time, and ends it with all below it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from struct import Struct
from typing import Protocol

from sandbox.inside import wire
from sandbox.model import Execution, Limits, Status
from sandbox.warm import cgroups
from sandbox.warm.precompiled import all_prepared

_GRACE_S = 30.0
"""Seconds that a fork server may answer late by, on a host that is busy with other things."""
_START_S = 30.0
_MIN_TMP_BYTES = 64 << 20
_OWN_SECONDS = 0.05
"""Of the processor's time that a control group counts, what a sandbox may have used beside what its server says."""
_UNREAD_S = 0.1
"""Processor seconds that may go by without reading the group's counter, which two sandboxes contend for."""
_BESIDE_S = 0.005
"""Seconds that a test takes on top of its own wall time."""
_TIME = Struct("@ll")
"""Seconds and microseconds of a socket's time limit."""
_PROCESSORS = os.cpu_count() or 1
_OWN_TASKS = 8
_OWN_MEMORY = 128 << 20
"""Of the processes that make a sandbox up, beside the test."""

Launch = Callable[[int, int], "subprocess.Popen[bytes]"]
"""Starts a fork server given the bytes of its temporary folder and the descriptor of its channel."""


class Server(Protocol):
    """The server that a warm sandbox asks for its tests."""

    @property
    def shown(self) -> Collection[Path]:
        """Folders of compiled headers that its programs find."""
        ...

    def ask(self, request: bytes, fds: list[int], limits: Limits) -> bytes:
        """The answer to a wire.REQUEST with its descriptors, or nothing if there was none in time."""
        ...

    def check(self, execution: Execution, limits: Limits, own_s: float) -> Execution:
        """The execution, or what is known beyond what the answer said; `own_s` is the fork server's processor time."""
        ...

    def stop(self) -> None:
        """Ends it; the next request starts it again."""
        ...


class ForkServer:
    """Starts when it is first asked, and again when it was stopped."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._tmp_bytes = _MIN_TMP_BYTES
        self.process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self.cgroup: cgroups.Cgroup | None = None
        self._patience_s = 0.0
        self._unread_s = 0.0
        """Most processor seconds that tests may have used since the group's counter was read."""
        self.shown: set[Path] = set()
        """Folders of compiled headers that its programs find."""

    def ask(self, request: bytes, fds: list[int], limits: Limits) -> bytes:
        """The answer to a request with its descriptors, or nothing if there was none in time."""
        try:
            channel = self._channel(limits)
            if self.cgroup is not None:
                self.cgroup.limit(_most_memory(limits), limits.processes + _OWN_TASKS)
            self._wait_at_most(limits.wall_s + _GRACE_S)
            socket.send_fds(channel, [request], fds)
            return channel.recv(256)
        except OSError:
            return b""

    def check(self, execution: Execution, limits: Limits, own_s: float) -> Execution:
        """Adds what the kernel counted for the whole tree, where it says more than the processes that were reaped."""
        if self.cgroup is None:
            return execution
        spent = self._spent_s(self.cgroup, execution, limits) - own_s - _OWN_SECONDS
        if execution.status is Status.OK and spent > limits.cpu_s:
            reason = f"used more than {limits.cpu_s:g} s of processor time"
            return replace(execution, status=Status.TIME_LIMIT, cpu_s=spent, reason=reason)
        if execution.status is not Status.OK and self.cgroup.ran_out_of_memory():
            reason = f"used more than {limits.memory_mb} MB of memory"
            return replace(execution, status=Status.MEMORY_LIMIT, reason=reason)
        return execution

    def _spent_s(self, cgroup: cgroups.Cgroup, execution: Execution, limits: Limits) -> float:
        """Processor seconds that a test used at least; 0 for one too short to have passed its limit."""
        most = (execution.wall_s + _BESIDE_S) * min(_PROCESSORS, limits.processes)
        if most <= limits.cpu_s and self._unread_s + most <= _UNREAD_S:
            self._unread_s += most
            return 0.0
        unread, self._unread_s = self._unread_s, 0.0
        return cgroup.spent_s() - unread

    def stop(self) -> None:
        """Ends it and every process below it. May be called twice."""
        channel, self._socket = self._socket, None
        if channel is not None:
            channel.close()
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
        cgroup, self.cgroup = self.cgroup, None
        if cgroup is not None:
            cgroup.remove()

    def _wait_at_most(self, seconds: float) -> None:
        """How long the channel waits, by the kernel: a time limit of Python's own costs two calls more for each."""
        assert self._socket is not None
        if seconds != self._patience_s:
            whole = int(seconds)
            limit = _TIME.pack(whole, int(1e6 * (seconds - whole)))
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                self._socket.setsockopt(socket.SOL_SOCKET, option, limit)
            self._patience_s = seconds

    def _channel(self, limits: Limits) -> socket.socket:
        wanted = limits.disk_mb << 20
        if wanted > self._tmp_bytes:
            self.stop()
            self._tmp_bytes = wanted
        if self._socket is None:
            self._start()
        assert self._socket is not None
        return self._socket

    def _start(self) -> None:
        """Raises OSError, with nothing left behind."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket, self._patience_s = ours, 0.0
        self.shown = set(all_prepared())
        self._unread_s = 0.0
        try:
            with theirs:
                self.process = self._launch(self._tmp_bytes, theirs.fileno())
            # The kernel may take as long to move the first process as the fork server takes to start.
            self.cgroup = cgroups.around([self.process.pid])
            self._wait_at_most(_START_S)
            if ours.recv(64) != wire.READY:
                raise ConnectionError("the fork server ended at once")
            tree = cgroups.process_tree(self.process.pid)
            if self.cgroup is not None:
                self.cgroup.admit(tree)
        except OSError:
            self.stop()
            raise
        _die_before_others(tree)


def _most_memory(limits: Limits) -> int:
    """The bytes at which the kernel stops: all that a test may use by the other limits, and the fork server beside."""
    files = (limits.disk_mb << 20) + 2 * limits.output_bytes + wire.VALUE_BYTES
    return (limits.memory_mb << 20) + files + _OWN_MEMORY


def _die_before_others(pids: Sequence[int]) -> None:
    """Has a kernel without memory end a program rather than the trainer."""
    for pid in pids:
        with contextlib.suppress(OSError):  # a hardened host, or processes of another user
            cgroups.write(f"/proc/{pid}/oom_score_adj", "800")
