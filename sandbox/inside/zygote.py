"""The warm fork server inside the sandbox: one fork per test.

It never reads what a program wrote: it forwards descriptors, watches the limits that the kernel does not keep
for a whole tree, ends every process, cleans the folder, and answers with numbers. Under bubblewrap it is process
1 of its own pid namespace: it cannot be signalled from inside, its /proc entry is covered, and the system-call
filter forbids what else would reach it. Where there is no such namespace, Ground says what takes its place.
"""

from __future__ import annotations

import _socket
import gc
import posix as os
import select
import sys
import time

from sandbox.inside import child, wire
from sandbox.inside.box import MAX_FILES, MountedBox, WatchedBox
from sandbox.inside.process_tree import PidNamespace, Subreaper
from sandbox.inside.wire import StopReason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any
else:
    import _signal

_FIRST_LOOK_MS, _LOOK_MS = 10, 20
_LONG_LOOK_S = 0.25
_END = 2
"""SEEK_END, which is a name of the module os."""


class Ground:
    """The ground that programs run on, apart from the rest of the host: their processes, their folder."""

    # No dataclass: importing that module takes as long as starting the interpreter.
    def __init__(
        self,
        tree: PidNamespace | Subreaper,
        box: MountedBox | WatchedBox,
        confine: Callable[[], None] | None = None,
    ) -> None:
        """`confine` is what a fresh process does to itself before anything else; an OSError ends it there."""
        self.tree = tree
        self.box = box
        self.confine = confine


class Runner:
    """Runs one test after the other, each in a fork of this process, and leaves nothing of it."""

    def __init__(self, ground: Ground, channel: int | None = None) -> None:
        """This process ends if `channel` does while a test runs."""
        self._ground = ground
        self._channel = channel
        self._waiting = select.poll()
        if channel is not None:
            self._waiting.register(channel, select.POLLIN)
        child.lay_out(ground.box.path)
        # A fresh process closes its end before it comes to the program.
        self._faults, self._tell = os.pipe()
        os.set_blocking(self._faults, False)
        self._message = b""
        self._request: tuple[float, ...] = ()
        self._allowed = -1
        self._limits: tuple[Any, ...] = ()
        self._largest = 0.0
        """Most resident bytes of the whole tree at any look."""

    def run(self, message: bytes, fds: list[int]) -> bytes:
        """Runs one test to its end; returns the reply. `message` is a wire.REQUEST, `fds` are what comes beside it."""
        own = time.process_time()
        self._take(message)
        job_bytes = os.lseek(fds[wire.JOB], 0, _END)
        started = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            return wire.REPLY.pack(StopReason.NOT_STARTED, error.errno or 0, 0, 1, 0.0, 0.0, 0.0, 0.0, 0.0)
        if pid == 0:
            child.enter(fds, self._limits, job_bytes, self._tell, self._ground.confine)
        verdict = self._wait(pid, started + self._request[1], fds)
        wall = time.monotonic() - started
        status, cpu, peak = _reap(pid, verdict, self._ground.tree)
        files, used = self._ground.box.use(settled=True)
        if verdict == StopReason.NONE:
            verdict = self._passed_unseen(files, used)
        # Files that were in flight in sockets which refer to each other stay until some socket closes.
        for end in _socket.socketpair():
            end.close()
        dirty = not self._ground.box.clean(files)
        code = os.waitstatus_to_exitcode(status)
        if code == child.FAULT and (fault := self._fault()):
            verdict, code = StopReason.NOT_STARTED, fault
        own = time.process_time() - own
        number, code = (0, code) if code >= 0 else (-code, -1)
        return wire.REPLY.pack(verdict, code, number, dirty, cpu, wall, peak, self._largest, own)

    def _take(self, message: bytes) -> None:
        """Reads a request; mostly it is the last one's."""
        if message != self._message:
            self._request = wire.REQUEST.unpack(message)
            self._message, self._allowed = message, -1
            if _preload(int(self._request[8])):
                child.lay_out(self._ground.box.path)
        allowed = self._ground.tree.allowed_tasks(int(self._request[3]))
        if allowed != self._allowed:
            self._limits, self._allowed = child.limits_of(self._request, allowed), allowed
        self._largest = 0.0

    def _wait(self, pid: int, deadline: float, fds: list[int]) -> int:
        """Waits for a program's end, or for the first limit that it passes."""
        # A descriptor can be waited for together with the channel, and its number is nobody else's.
        ended = os.pidfd_open(pid)
        self._waiting.register(ended, select.POLLIN)
        look_ms = _FIRST_LOOK_MS
        try:
            while (left_ms := 1000 * (deadline - time.monotonic())) > 0:
                for fd, _ in self._waiting.poll(max(1, min(look_ms, left_ms))):
                    if fd == ended:
                        return StopReason.NONE
                    # The host never speaks during a test, so it is gone.
                    os._exit(0)
                if verdict := self._passed_limit(fds):
                    return verdict
                look_ms = _LOOK_MS
            return StopReason.WALL
        finally:
            self._waiting.unregister(ended)
            os.close(ended)

    def _passed_limit(self, fds: list[int]) -> int:
        cpu_s, _, memory, processes, output, disk, *_ = self._request
        usage = self._ground.tree.usage()
        resident = usage.resident
        if resident > memory:
            # Pages that several processes share were counted for each. A tree that takes long to look at is judged so.
            shared_once = self._ground.tree.proportional_bytes(_LONG_LOOK_S)
            resident = resident if shared_once is None else shared_once
        self._largest = max(self._largest, resident)
        if usage.cpu_s > cpu_s:
            return StopReason.CPU
        if resident > memory:
            return StopReason.MEMORY
        if usage.tasks > processes:
            return StopReason.PROCESSES
        if any(os.fstat(fds[place]).st_size > output for place in (wire.STDOUT, wire.STDERR)):
            return StopReason.OUTPUT
        files, used = self._ground.box.use()
        return StopReason.DISK if used > disk or files > MAX_FILES else StopReason.NONE

    def _passed_unseen(self, files: int, used: int) -> int:
        """A limit that the program passed after the last look."""
        if self._ground.tree.left_running > self._request[3]:
            return StopReason.PROCESSES
        return StopReason.DISK if used > self._request[5] or files > MAX_FILES else StopReason.NONE

    def _fault(self) -> int:
        """The error number of a process that did not come to its job; 0 if it did."""
        try:
            return int.from_bytes(os.read(self._faults, child.ERRNO_BYTES), "little")
        except BlockingIOError:
            return 0


def _reap(pid: int, verdict: int, tree: PidNamespace | Subreaper) -> tuple[int, float, float]:
    """Ends the whole tree: the program's wait status, processor seconds, and peak bytes of one process."""
    status, cpu, peak = 0, 0.0, 0.0
    if verdict == StopReason.NONE:
        _, status, usage = os.wait4(pid, 0)
        cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024.0
    for reaped, other, usage in tree.end():
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * 1024.0)
        if reaped == pid:
            status = other
    return status, cpu, peak


def prepare() -> None:
    """Does beforehand what the first test would pay for, and sets the limits that all tests share."""
    _forget_the_caller()
    if os.access(wire.PACKAGES, os.F_OK):
        sys.path.append(wire.PACKAGES)
    child.set_common_limits()
    child.add_site_builtins()
    # Not collected first: that takes as long as a test, for next to nothing.
    gc.freeze()


def _forget_the_caller() -> None:
    """Undoes what a process inherits of how whoever started it treats signals and new files."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, [])
    # Python ignores the first two. Process 1 ignores a signal from inside only while it has no handler for it.
    kept = (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGKILL, _signal.SIGSTOP)
    for number in _signal.valid_signals() - set(kept):
        if _signal.getsignal(number) != _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    os.umask(0o022)


def _take_variable(name: str) -> str:
    """The value of an environment variable, of which programs see nothing."""
    os.unsetenv(name)
    # What the module os shows is this very dictionary.
    return os.environ.pop(name.encode()).decode()


def _take_channel() -> _socket.socket:
    inherited = int(_take_variable(wire.CHANNEL_ENV))
    if inherited == wire.CHANNEL:
        os.set_inheritable(inherited, False)
    else:
        os.dup2(inherited, wire.CHANNEL, inheritable=False)
    os.closerange(3, wire.CHANNEL)
    os.closerange(wire.CHANNEL + 1, 256)
    child.reserve_descriptors()
    return _socket.socket(fileno=wire.CHANNEL)


def _preload(bits: int) -> bool:
    """Imports what the program names, so that its forks, and those of later programs, have it; tells whether it did."""
    wanted = [name for place, name in enumerate(wire.PRELOADED) if bits >> place & 1 and name not in sys.modules]
    for name in wanted:
        try:
            __import__(name)
        except ImportError:
            continue  # a package that this sandbox does not show: the program will hear of it
    if wanted:
        gc.collect()
        gc.freeze()
    return bool(wanted)


def serve(ground: Callable[[], Ground] = lambda: Ground(PidNamespace(), MountedBox("/tmp"))) -> None:
    """Serves requests until the host closes the channel; then ends, and with it all that is left."""
    channel = _take_channel()
    prepare()
    here = ground()
    os.chdir(here.box.path)
    runner = Runner(here, wire.CHANNEL)
    channel.send(wire.READY)
    while True:
        message, fds = child.receive(channel)
        if not message:
            os._exit(0)
        reply = runner.run(message, fds)
        # Below OPEN_FILES nothing else has numbers as high as what came last.
        os.closerange(min(fds), child.OPEN_FILES)
        channel.send(reply)
