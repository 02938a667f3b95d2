"""A child process as its owner sees it: a module that is run, spoken to within deadlines, and ended with all below it.

A child is `python -P -m MODULE`, started afresh: nothing of a caller that holds threads and devices is copied, and its
main script is not run again. It has a session of its own, so that what a terminal sends is for the owner alone. It
speaks over its standard input and output, in lines or in frames, which `sandbox.process.inside` gives to the child;
unless it is to outlive its owner, the kernel kills it when the owner ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sandbox.process.inside import HEADER, PARENT
from sandbox.process.launching import launch

if TYPE_CHECKING:
    import psutil

_ROOT = str(Path(__file__).resolve().parents[2])
_SWEEPS = 5
_END_S = 60.0
_CHUNK = 1 << 16


class ChildGone(Exception):
    """The child has ended, hung up, or said what has no end; the message says which."""


class Child:
    """One process. Reading is for one thread at a time, and so is everything else."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[object] = (),
        *,
        fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        outlives: bool = False,
        longest: int = 1 << 40,
    ) -> None:
        """Starts the process.

        Args:
            module: what is run; it begins with `take_channel` or `die_with_parent`.
            arguments: its command line.
            fds: descriptors that it inherits under their numbers.
            environment: all that it gets; None gives it this process's. The import path comes on top.
            stderr: where it complains.
            outlives: whether it goes on when this process ends.
            longest: most bytes of one line or frame.

        Raises:
            OSError: that can't be done.
        """
        given = dict(os.environ if environment is None else environment) | {"PYTHONPATH": import_path()}
        self._process = launch(
            [sys.executable, "-P", "-m", module, *map(str, arguments)],
            fds=fds,
            environment=given if outlives else given | {PARENT: str(os.getpid())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.complaints = self._process.stderr
        self._in, self.out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self.ended = os.pidfd_open(self.pid)
        """A descriptor that can be read once the process has ended; so can `out` once it has said something."""
        os.set_blocking(self._in, False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self.out, select.POLLIN)
        self._writable.register(self._in, select.POLLOUT)
        self._over = select.poll()
        for waiting in (self._readable, self._writable, self._over):
            waiting.register(self.ended, select.POLLIN)
        self._buffer = bytearray()
        self._lines: deque[bytes] = deque()
        self._longest = longest
        self._outlives = outlives
        self._below: list[psutil.Process] = []

    def widen(self, size: int) -> int:
        """Has what is written to it held up to so many bytes before it reads them; returns how many there can be, which
        stays as it was where the kernel gives this user no more."""
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, size)
        return fcntl.fcntl(self._in, fcntl.F_GETPIPE_SZ)

    def write(self, data: bytes, until: float | None = None) -> None:
        """Writes every byte by that time of the monotonic clock. Raises TimeoutError or ChildGone."""
        left: bytes | memoryview = data
        while left:
            try:
                sent = os.write(self._in, left)
                # Without a copy of all that is left.
                left = memoryview(left)[sent:] if sent < len(left) else b""
            except BlockingIOError:
                if self.ended in _ready(self._writable, until, "it takes nothing"):
                    raise ChildGone("its process is gone") from None
            except OSError as error:
                raise ChildGone("its process is gone") from error

    def write_frame(self, data: bytes, until: float | None = None) -> None:
        """Writes a frame, as `inside.read_frame` takes it. Raises TimeoutError or ChildGone."""
        self.write(HEADER.pack(len(data)) + data, until)

    def line(self, until: float | None = None) -> bytes:
        """The next line without its end, if it is there whole by that time. Raises TimeoutError or ChildGone."""
        while not self._lines:
            if b"\n" in self._fill(until):
                *lines, self._buffer = self._buffer.split(b"\n")
                self._lines.extend(map(bytes, lines))
        return self._lines.popleft()

    def frame(self, until: float | None = None) -> bytes:
        """The next frame, if it is there whole by that time. Raises TimeoutError or ChildGone."""
        while (size := self._frame_size()) > len(self._buffer):
            self._fill(until)
        taken = bytes(memoryview(self._buffer)[HEADER.size : size])
        del self._buffer[:size]
        return taken

    def wait(self, seconds: float) -> bool:
        """Whether it ends within that time; what it said can still be read, and its number is not used again."""
        return self.ended < 0 or bool(self._over.poll(seconds * 1000))

    def kill(self) -> None:
        """Ends it and all below it: its session's processes, and those that it or they have started elsewhere.

        What was to outlive this process and has ended by itself may have left others, which go on.
        """
        if self._process.returncode is not None:
            return
        if not self.wait(0):
            self._kill_below()
        elif self._outlives:
            return
        # Until it is reaped, no other process can have its number.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Sends a signal to the process alone, unless it has ended."""
        if not self.wait(0):
            os.kill(self.pid, number)

    def end(self, grace_s: float = 0.0) -> int:
        """Ends it once it had that time to end by itself, and reaps it; returns its exit code, or minus a signal.

        Raises:
            TimeoutError: the kernel does not end it.
        """
        self.wait(grace_s)
        self.kill()
        if not self.wait(_END_S):
            raise TimeoutError(f"process {self.pid} could not be ended within {_END_S:g} s")
        code = self._process.wait()
        until = time.monotonic() + _END_S
        while not all(_is_dead(process) for process in self._below) and time.monotonic() < until:
            time.sleep(0.01)
        return code

    def close(self, grace_s: float = 0.0) -> None:
        """Ends it as `end` does, and gives its descriptors back. May be called twice. Raises TimeoutError."""
        if self.ended < 0:
            return
        self.end(grace_s)
        os.close(self.ended)
        self.ended = self._in = self.out = -1
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _kill_below(self) -> None:
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(self.pid)
            process.suspend()  # so that it starts nothing, and still adopts what loses its parent
            for _ in range(_SWEEPS):
                alive = [child for child in process.children(recursive=True) if not _is_dead(child)]
                for child in alive:
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                        child.kill()
                if not alive:
                    break
                self._below += alive

    def _frame_size(self) -> int:
        """Bytes of the frame that comes next, with its header; at least those of a header."""
        whole = len(self._buffer) >= HEADER.size
        return HEADER.size + HEADER.unpack_from(self._buffer)[0] if whole else HEADER.size + 1

    def _fill(self, until: float | None) -> bytes:
        ready = _ready(self._readable, until, "it said nothing in time")
        if self.out not in ready:
            # What it said last may have come just before its end; and it may have left the pipe to others.
            ready = _ready(self._readable, 0.0, "")
        chunk = os.read(self.out, _CHUNK) if self.out in ready else b""
        if not chunk:
            raise ChildGone("its process is gone")
        self._buffer += chunk
        if len(self._buffer) > self._longest:
            raise ChildGone("its answer has no end")
        return chunk


def import_path() -> str:
    """The PYTHONPATH by which a child finds this project and all that this process finds."""
    return os.pathsep.join([_ROOT, *(path for path in sys.path if path and path != _ROOT)])


def exit_reason(code: int) -> str:
    """How a process ended, for a sentence: `ended with exit code 3`, or `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with exit code {code}"
    known = -code in set(signal.Signals)
    return f"was ended by {signal.Signals(-code).name if known else f'signal {-code}'}"


def _ready(waiting: select.poll, until: float | None, otherwise: str) -> list[int]:
    """The descriptors that can be used by then. Raises TimeoutError where there is none."""
    patience = None if until is None else max(0.0, until - time.monotonic()) * 1000
    if found := waiting.poll(patience):
        return [descriptor for descriptor, _ in found]
    raise TimeoutError(otherwise)


def _is_dead(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
