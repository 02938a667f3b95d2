"""The parts of a host that Python's multiprocessing needs, where programs have neither sockets with names nor /dev/shm.

Semaphores are pipes that hold a byte for each unit, and the listeners of managers are named pipes in the program's own
folder: both work between all processes of one test, those that are started afresh (`spawn`) included: such a process
changes its multiprocessing in the same way before anything else, and gets the pipes as it gets all descriptors.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import threading
import time
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_FIONREAD = 0x541B
_MOST = 32767
"""Units of a semaphore: what a pipe holds."""
_RECORD = 64
CODE = b""
"""This module's own, for processes that are started afresh; whoever executes it puts it here."""


class PipeSemaphore:
    """In the place of `_multiprocessing.SemLock`."""

    SEM_VALUE_MAX = _MOST

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        """A semaphore with `value` units, or for kind 0 a lock that its owner may take again."""
        out, into = os.pipe()
        os.set_blocking(out, False)
        os.write(into, bytes(value))
        self._take(kind, maxvalue, out, into)

    def _take(self, kind: int, maxvalue: int, out: int, into: int) -> None:
        # Without a name there is nothing to remove, and nobody has to remember to.
        self.kind, self.maxvalue, self.name = kind, maxvalue, None
        self._out, self._into = out, into
        self._depth, self._owner = 0, (0, 0)

    @property
    def handle(self) -> Any:
        """The pipe, as a process takes it that is being started afresh."""
        from multiprocessing import context, reduction

        spawning: Any = context.get_spawning_popen()
        return None if spawning is None else [reduction.DupFd(self._out), reduction.DupFd(self._into)]

    @classmethod
    def _rebuild(cls, handle: Any, kind: int, maxvalue: int, name: None) -> PipeSemaphore:
        out, into = handle
        semaphore = cls.__new__(cls)
        semaphore._take(kind, maxvalue, out.detach(), into.detach())
        return semaphore

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes a unit; tells whether that went well in time."""
        if self.kind == 0 and self._is_mine():
            self._depth += 1
            return True
        until = None if timeout is None else time.monotonic() + max(0.0, timeout)
        while True:
            try:
                os.read(self._out, 1)
            except BlockingIOError:
                left = 0.0 if not block else None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return False
                select.select([self._out], [], [], left)
            else:
                self._depth, self._owner = self._depth + 1, (os.getpid(), threading.get_ident())
                return True

    def release(self) -> None:
        """Gives a unit back. Raises AssertionError or ValueError where there is none to give."""
        if self.kind == 0:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._depth > 1:
                self._depth -= 1
                return
        elif self._get_value() >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        self._depth -= 1
        os.write(self._into, b"\0")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth

    def _is_mine(self) -> bool:
        return self._depth > 0 and self._owner == (os.getpid(), threading.get_ident())

    def _get_value(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._out, _FIONREAD, bytes(4)), sys.byteorder)

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        self._depth = 0


class _Finder:
    """Changes each of these modules when it is first imported."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        change = _CHANGES.get(name)
        spec = None if change is None else PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                change(module)  # type: ignore[misc]

            loader.exec_module = exec_module
        return spec


def install() -> None:
    """From now on programs of this process and its forks find multiprocessing changed."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)


def _change_semaphores(module: Any) -> None:
    module.SemLock = PipeSemaphore


def _change_shared_values(module: Any) -> None:
    # Not in /dev/shm, but in the program's own folder.
    module.Arena._dir_candidates = []


def _change_connections(module: Any) -> None:
    class Duplex(module.Connection):
        def __init__(self, into: int, out: int) -> None:
            super().__init__(into)
            self._out = out

        def _close(self, *_: object) -> None:
            os.close(self._handle)
            os.close(self._out)

        def _send(self, data: Any, *_: object) -> None:
            left = memoryview(data).cast("B")
            while left:
                left = left[os.write(self._out, left) :]

    class FifoListener:
        def __init__(self, address: str, *_: object) -> None:
            os.mkfifo(address, 0o600)
            self._door = os.open(address, os.O_RDWR | os.O_CLOEXEC)
            self._address, self._last_accepted = address, None

        def accept(self) -> Duplex:
            base = f"{self._address}-{os.read(self._door, _RECORD).decode().strip()}"
            into = os.open(f"{base}-up", os.O_RDONLY | os.O_CLOEXEC)
            out = os.open(f"{base}-down", os.O_WRONLY | os.O_CLOEXEC)
            os.unlink(f"{base}-up")
            os.unlink(f"{base}-down")
            return Duplex(into, out)

        def close(self) -> None:
            os.close(self._door)
            os.unlink(self._address)

    def fifo_client(address: str) -> Duplex:
        word = f"{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}"
        door = os.open(address, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        for end in ("up", "down"):
            os.mkfifo(f"{address}-{word}-{end}", 0o600)
        os.write(door, word.ljust(_RECORD).encode())
        os.close(door)
        out = os.open(f"{address}-{word}-up", os.O_WRONLY | os.O_CLOEXEC)
        return Duplex(os.open(f"{address}-{word}-down", os.O_RDONLY | os.O_CLOEXEC), out)

    module.SocketListener, module.SocketClient = FifoListener, fifo_client


def _change_spawning(module: Any) -> None:
    plain = module.get_command_line

    def get_command_line(**named: Any) -> list[str]:
        *options, program, mark = plain(**named)
        return [*options, f"{_FIRST.format(code=CODE.hex())}; {program}", mark]

    module.get_command_line = get_command_line


_FIRST = (
    "import marshal; code = bytes.fromhex('{code}'); names = dict(__name__='parallel'); "
    "exec(marshal.loads(code), names); names['CODE'] = code; names['install']()"
)
_CHANGES = {
    "_multiprocessing": _change_semaphores,
    "multiprocessing.heap": _change_shared_values,
    "multiprocessing.connection": _change_connections,
    "multiprocessing.spawn": _change_spawning,
}
