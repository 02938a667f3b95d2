"""From the numbers a fork server answered, and a program's output, to an Execution."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import dataclass

from sandbox.inside import wire
from sandbox.inside.wire import StopReason
from sandbox.model import Execution, Limits, Status
from sandbox.warm import descriptors

_MB = 1 << 20
_TRACEBACK = b"Traceback (most recent call last):"
_BAD_ALLOC = b"terminate called after throwing an instance of 'std::bad_alloc'"


@dataclass(frozen=True, slots=True)
class Reply:
    """A fork server's answer, checked to be well-formed."""

    verdict: int
    """One of wire.Verdict."""
    exit_code: int | None
    signal: int | None
    dirty: bool
    cpu_s: float
    wall_s: float
    peak_bytes: float
    own_s: float
    """Processor seconds of the fork server itself."""


def read_reply(answer: bytes) -> Reply | None:
    """The answer's fields, or None if it is not one."""
    if len(answer) != wire.REPLY.size:
        return None
    fields = wire.REPLY.unpack(answer)
    verdict, code, number, dirty, cpu, wall, peak, tree, own = fields
    if (
        not all(map(math.isfinite, fields))
        or not StopReason.NONE <= verdict <= StopReason.NOT_STARTED
        or min(cpu, wall, peak, tree, own) < 0
    ):
        return None
    return Reply(
        int(verdict),
        int(code) if code >= 0 else None,
        int(number) or None,
        bool(dirty),
        cpu,
        wall,
        max(peak, tree),
        own,
    )


def judge(reply: Reply | None, limits: Limits, stdout_fd: int, stderr_fd: int) -> Execution:
    """Status and reason by the first rule that applies, limits before errors."""
    if reply is None:
        return Execution(Status.SANDBOX_ERROR, reason="the fork server died, hung or answered nonsense")
    if reply.verdict == StopReason.NOT_STARTED:
        why = os.strerror(reply.exit_code or 0)
        return Execution(Status.SANDBOX_ERROR, reason=f"the fork server could not start a process: {why}")
    most = limits.output_bytes
    # One more than allowed, which shows that there was more.
    stdout, stderr = descriptors.read_back(stdout_fd, most + 1), descriptors.read_back(stderr_fd, most + 1)
    flooded = max(len(stdout), len(stderr)) > most
    status, reason = _status(reply, limits, flooded, stderr[:most])
    return Execution(
        status,
        stdout=stdout[:most],
        stderr=stderr[:most],
        exit_code=reply.exit_code,
        signal=reply.signal,
        cpu_s=reply.cpu_s,
        wall_s=reply.wall_s,
        peak_memory_mb=reply.peak_bytes / _MB,
        reason=reason,
    )


def _status(reply: Reply, limits: Limits, flooded: bool, stderr: bytes) -> tuple[Status, str]:
    return _passed_limit(reply, limits, flooded) or _failure(reply, stderr) or (Status.OK, "")


def _passed_limit(reply: Reply, limits: Limits, flooded: bool) -> tuple[Status, str] | None:
    if reply.verdict == StopReason.CPU or reply.cpu_s > limits.cpu_s or reply.signal == signal.SIGXCPU:
        return Status.TIME_LIMIT, f"used more than {limits.cpu_s:g} s of processor time"
    if reply.verdict == StopReason.WALL:
        return Status.TIME_LIMIT, f"ran longer than {limits.wall_s:g} s"
    if reply.verdict == StopReason.MEMORY or reply.peak_bytes > limits.memory_mb * _MB:
        return Status.MEMORY_LIMIT, f"used more than {limits.memory_mb} MB of memory"
    if reply.verdict == StopReason.OUTPUT or flooded:
        return Status.OUTPUT_LIMIT, f"wrote more than {limits.output_bytes} bytes of output"
    return _without_status(reply, limits)


def _without_status(reply: Reply, limits: Limits) -> tuple[Status, str] | None:
    """Limits that have no status of their own: the system calls of a program that passes them fail."""
    if reply.verdict == StopReason.DISK:
        return Status.RUNTIME_ERROR, f"wrote more than {limits.disk_mb} MB of files, or too many of them"
    if reply.verdict == StopReason.PROCESSES:
        return Status.RUNTIME_ERROR, f"ran more than {limits.processes} processes or threads"
    return None


def _failure(reply: Reply, stderr: bytes) -> tuple[Status, str] | None:
    if reply.exit_code == 0 and reply.signal is None:
        return None
    if _allocation_failed(reply, stderr):
        return Status.MEMORY_LIMIT, "an allocation failed"
    if reply.signal is not None:
        return Status.RUNTIME_ERROR, f"killed by signal {reply.signal}{_signal_name(reply.signal)}"
    return Status.RUNTIME_ERROR, f"ended with exit code {reply.exit_code}"


def _allocation_failed(reply: Reply, stderr: bytes) -> bool:
    """Whether an exception that nobody caught says so, and not just a message of the program's own."""
    last = stderr[-2000:].rstrip().splitlines()[-2:]
    if reply.signal == signal.SIGABRT:
        return any(line.startswith(_BAD_ALLOC) for line in last)
    return bool(last) and last[-1].startswith(b"MemoryError") and _TRACEBACK in stderr


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""
