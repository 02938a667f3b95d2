"""One real attempt against each limit of a sandbox: is it enforced here, or only promised?"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sandbox.model import Execution, Limits, Program, Sandbox, Status


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """The outcome of trying one limit."""

    limit: str
    enforced: bool
    detail: str


_SHOWN = 12

REACH = ("network", "host_read", "host_write", "other_processes")
"""Limits on what a program can reach, in the order of try_reach's findings."""

_LIMITS = Limits(cpu_s=1.0, wall_s=4.0, memory_mb=256, processes=16, output_bytes=1 << 16, disk_mb=8)
_PATIENCE_S = 60.0

_REACH = """
import json, os, socket, sys
asked = json.loads(input())
canary, folder, pid = asked["canary"], os.path.dirname(asked["canary"]), asked["pid"]
def tried(action):
    try:
        return action() is not False
    except OSError:
        return False
network = [int(family) for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET)
           if tried(lambda: socket.socket(family, socket.SOCK_RAW if family > 10 else socket.SOCK_STREAM).close())]
for family, address in ((socket.AF_INET, ("127.0.0.1", asked["port"])),
                        *((socket.AF_UNIX, name) for name in asked["names"])):
    def connect():
        with socket.socket(family) as s:
            s.settimeout(1)
            s.connect(address)
    if tried(connect):
        network.append(str(address).replace(chr(0), "@"))
def write(path):
    open(path, "wb").close()
    os.unlink(path)
folders = ["/", "/usr", "/etc", "/usr/lib", "/dev", "/var", "/home", "/root", sys.prefix, folder]
for change in (lambda: os.chmod(canary, 0o640), lambda: os.utime(canary, (1, 1)), lambda: os.truncate(canary, 0)):
    tried(change)
def processes():
    return [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (os.getpid(), 1)
            and tried(lambda: open("/proc/" + p + "/stat").close())]
def seen():
    try:
        return processes()
    except OSError:
        return []
numbers = {*range(2, 5000), *range(pid - 100, pid + 100), os.getppid()} - {1, os.getpid()}
reached = [target for target in sorted(numbers)
           if target > 0 and tried(lambda: os.kill(target, 0))]
reached += [target for target in (pid, os.getppid())
            if tried(lambda: os.sched_setaffinity(target, os.sched_getaffinity(0)))]
print(json.dumps({
    "network": network,
    "read": [path for path in (canary, "/etc/passwd", "/etc/shadow") if tried(lambda: open(path, "rb").close())],
    "write": [path for path in folders if path != "/tmp" and tried(lambda: write(path + "/.sandbox-probe"))],
    "processes": sorted({*map(int, seen()), *reached}),
}))
"""
_SECRET = b"a secret of the host"


class _Host:
    """Things that a program must not reach: a file that anybody may read and write, listeners that anybody may call."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._canary = os.path.join(folder, "canary")
        # Open to all, so that nothing but the sandbox protects it.
        os.chmod(folder, 0o777)
        with open(self._canary, "wb") as file:
            file.write(_SECRET)
        os.chmod(self._canary, 0o666)
        names = [os.path.join(folder, "listener"), f"\0{secrets.token_hex(8)}"]
        self._listeners = [socket.create_server(("127.0.0.1", 0)), *map(_unix_listener, names)]
        os.chmod(names[0], 0o777)
        self.question = {
            "canary": self._canary,
            "pid": os.getpid(),
            "port": self._listeners[0].getsockname()[1],
            "names": names,
        }
        self._before = self._look()

    def changed(self) -> bool:
        """Whether anything of it is no longer as it was."""
        return self._look() != self._before

    def _look(self) -> tuple[object, ...]:
        state = os.stat(self._canary)
        with open(self._canary, "rb") as file:
            return file.read(), state.st_mode, state.st_mtime_ns, sorted(os.listdir(self._folder))

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def _unix_listener(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen()
    return listener


@contextmanager
def _host() -> Iterator[_Host]:
    with tempfile.TemporaryDirectory(prefix="canary-") as folder:
        host = _Host(folder)
        try:
            yield host
        finally:
            host.close()


def try_reach(sandbox: Sandbox) -> list[ProbeFinding]:
    """Tries what a program can reach beside its own process: network, files, other processes. One short run."""
    with _host() as host:
        execution = sandbox.run(Program(_REACH), [json.dumps(host.question).encode()], _LIMITS)[0]
        changed = host.changed()
    if execution.status is not Status.OK:
        why = f"the probe did not run: {execution.reason} {execution.stderr[-300:].decode(errors='replace')}"
        return [ProbeFinding(limit, False, why) for limit in REACH]
    seen: dict[str, Any] = json.loads(execution.stdout)
    return [
        _finding("network", seen["network"], "no socket reaches anything", "opened or reached"),
        _finding("host_read", seen["read"], "canary and password files cannot be read", "read"),
        _finding("host_write", [*seen["write"], *(["the canary"] if changed else [])], "read-only", "wrote to"),
        _finding("other_processes", seen["processes"], "none can be seen or signalled", "saw or reached"),
    ]


def _finding(limit: str, reached: list[Any], good: str, bad: str) -> ProbeFinding:
    shown = f"{reached[:_SHOWN]}{' and more' if len(reached) > _SHOWN else ''}"
    return ProbeFinding(limit, not reached, good if not reached else f"{bad} {shown}")


def _expect(limit: str, source: str, *wanted: Status) -> Callable[[Sandbox], ProbeFinding]:
    # On a busy machine the clock would come before the limit that is tried.
    limits = _LIMITS if limit == "wall" else replace(_LIMITS, wall_s=_PATIENCE_S)

    def attempt(sandbox: Sandbox) -> ProbeFinding:
        execution = sandbox.run(Program(source), [b""], limits)[0]
        return ProbeFinding(limit, execution.status in wanted, _describe(execution))

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


def try_amounts(sandbox: Sandbox) -> list[ProbeFinding]:
    """Whether memory (of a tree), processes, cpu, wall, output and disk are bounded. Takes about 7 s."""
    return [attempt(sandbox) for attempt in _ATTEMPTS]
