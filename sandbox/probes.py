"""One real attempt against each limit of a sandbox: is it enforced here, or only promised?"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.model import Execution, Limits, Program, Sandbox, Status


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of trying one limit."""

    limit: str
    enforced: bool
    detail: str


_LIMITS = Limits(cpu_s=1.0, wall_s=4.0, memory_mb=256, processes=16, output_bytes=1 << 16, disk_mb=8)

_REACH = """
import json, os, socket, sys
canary, pid = json.loads(input())
network = []
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_RAW if family > socket.AF_INET6 else socket.SOCK_STREAM).close()
        network.append(int(family))
    except OSError:
        pass
def readable(path):
    try:
        return open(path, "rb").read(1) is not None
    except OSError:
        return False
def writable(folder):
    try:
        path = os.path.join(folder, ".sandbox-probe")
        open(path, "wb").close()
        os.unlink(path)
        return True
    except OSError:
        return False
folders = ["/", "/usr", "/etc", "/usr/lib", "/dev", "/var", "/home", "/root", sys.prefix]
folders.append(os.path.dirname(canary))
signalled = []
for target in (pid, os.getppid()):
    try:
        os.kill(target, 0)
        os.sched_setaffinity(target, os.sched_getaffinity(0))
        signalled.append(target)
    except OSError:
        pass
print(json.dumps({
    "network": network,
    "read": [path for path in (canary, "/etc/passwd", "/etc/shadow") if readable(path)],
    "write": [folder for folder in folders if folder != "/tmp" and writable(folder)],
    "processes": [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (os.getpid(), 1)],
    "signalled": signalled,
    "privileged": os.geteuid() == 0,
    "status": [line for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "Seccomp:"))],
}))
"""


@contextmanager
def _canary() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        path = os.path.join(folder, "canary")
        with open(path, "wb") as file:
            file.write(b"a secret of the host")
        yield path


def try_reach(sandbox: Sandbox) -> list[Finding]:
    """What a program can reach beside its own process: network, files, other processes. One short run."""
    with _canary() as path:
        question = json.dumps([path, os.getpid()]).encode()
        execution = sandbox.run(Program(_REACH), [question], _LIMITS)[0]
        untouched = os.listdir(os.path.dirname(path)) == ["canary"]
    if execution.status is not Status.OK:
        why = f"the probe did not run: {execution.reason} {execution.stderr[-300:].decode(errors='replace')}"
        return [Finding(limit, False, why) for limit in ("network", "host_read", "host_write", "other_processes")]
    seen: dict[str, Any] = json.loads(execution.stdout)
    return [
        _finding("network", seen["network"], "no socket beyond AF_UNIX", "opened families"),
        _finding("host_read", seen["read"], "canary and password files are not there", "read"),
        _finding("host_write", seen["write"] if untouched else ["the canary's folder"], "read-only", "wrote to"),
        _finding("other_processes", seen["processes"] + seen["signalled"], "none visible", "saw or reached"),
    ]


def _finding(limit: str, reached: list[Any], good: str, bad: str) -> Finding:
    return Finding(limit, not reached, good if not reached else f"{bad} {reached}")


def _expect(limit: str, source: str, *wanted: Status) -> Callable[[Sandbox], Finding]:
    def attempt(sandbox: Sandbox) -> Finding:
        execution = sandbox.run(Program(source), [b""], _LIMITS)[0]
        return Finding(limit, execution.status in wanted, _describe(execution))

    return attempt


def _describe(execution: Execution) -> str:
    return f"{execution.status}: {execution.reason}" if execution.reason else str(execution.status)


_PROCESSES = """
import os, sys, time
for _ in range(64):
    if os.fork() == 0:
        time.sleep(3)
        os._exit(0)
"""
_MEMORY = """
import os, time
os.fork(); os.fork()
held = [bytearray(1 << 20) for _ in range(120)]
time.sleep(3)
"""
_DISK = "for i in range(16): open(str(i), 'wb').write(bytes(1 << 20))"

_ATTEMPTS = (
    _expect("memory", _MEMORY, Status.MEMORY_LIMIT),
    _expect("processes", _PROCESSES, Status.RUNTIME_ERROR),
    _expect("cpu", "while True: pass", Status.TIME_LIMIT),
    _expect("wall", "import time\ntime.sleep(60)", Status.TIME_LIMIT),
    _expect("output", "while True: print('x' * 1000)", Status.OUTPUT_LIMIT),
    _expect("disk", _DISK, Status.RUNTIME_ERROR),
)


def try_amounts(sandbox: Sandbox) -> list[Finding]:
    """Whether memory (of a tree), processes, cpu, wall, output and disk are bounded. Takes about 7 s."""
    return [attempt(sandbox) for attempt in _ATTEMPTS]
