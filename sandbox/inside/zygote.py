"""The warm fork server inside the sandbox: one fork per test.

It never reads what a program wrote: it forwards descriptors, watches the limits that the kernel does not keep
for a whole tree, ends every process, cleans the folder, and answers with numbers. Under bubblewrap it is process
1 of its own pid namespace: it cannot be signalled from inside, its /proc entry is covered, and the system-call
filter forbids what else would reach it. Where there is no such namespace, Ground says what takes its place.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import sys
import time
from _struct import Struct

from sandbox.inside import child, wire
from sandbox.inside.box import MAX_FILES, MountedBox, WatchedBox
from sandbox.inside.process_tree import PidNamespace, Subreaper
from sandbox.inside.wire import StopReason

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal

_FIRST_LOOK_MS, _LOOK_MS = 10, 20
_LONG_LOOK_S = 0.25
_ERRNO = Struct("<i")


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


class _Watch:
    """Waits for a program's end, or for the first limit that it passes."""

    def __init__(self, request: tuple[float, ...], outputs: list[int], ground: Ground, channel: int | None) -> None:
        self._cpu_s, self._wall_s, self._memory, self._processes, self._output, self._disk, *_ = request
        self._outputs = outputs
        self._ground = ground
        self._channel = channel
        self.largest = 0.0
        """Most resident bytes of the whole tree at any look."""

    def wait(self, pid: int) -> int:
        deadline = time.monotonic() + self._wall_s
        # A descriptor can be waited for together with the channel, and its number is nobody else's.
        ended = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        if self._channel is not None:
            poll.register(self._channel, select.POLLIN)
        look_ms = _FIRST_LOOK_MS
        try:
            while (left_ms := 1000 * (deadline - time.monotonic())) > 0:
                events = poll.poll(max(1, min(look_ms, left_ms)))
                if any(fd == self._channel for fd, _ in events):
                    # The host never speaks during a test, so it is gone.
                    os._exit(0)
                if events:
                    return StopReason.NONE
                if verdict := self._passed_limit():
                    return verdict
                look_ms = _LOOK_MS
            return StopReason.WALL
        finally:
            os.close(ended)

    def _passed_limit(self) -> int:
        usage = self._ground.tree.usage()
        resident = usage.resident
        if resident > self._memory:
            # Pages that several processes share were counted for each. A tree that takes long to look at is judged so.
            shared_once = self._ground.tree.proportional_bytes(_LONG_LOOK_S)
            resident = resident if shared_once is None else shared_once
        self.largest = max(self.largest, resident)
        if usage.cpu_s > self._cpu_s:
            return StopReason.CPU
        if resident > self._memory:
            return StopReason.MEMORY
        if usage.tasks > self._processes:
            return StopReason.PROCESSES
        if any(os.fstat(fd).st_size > self._output for fd in self._outputs):
            return StopReason.OUTPUT
        files, used = self._ground.box.use()
        return StopReason.DISK if used > self._disk or files > MAX_FILES else StopReason.NONE


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


def run_one(message: bytes, fds: list[int], ground: Ground, channel: int | None = None) -> bytes:
    """Runs one test to its end and leaves nothing of it; returns the reply.

    `message` is a wire.REQUEST, and `fds` are what comes beside it. The process ends if `channel` does.
    """
    own = time.process_time()
    request = wire.REQUEST.unpack(message)
    _preload(int(request[8]))
    allowed = ground.tree.allowed_tasks(int(request[3]))
    failed, tell = os.pipe()
    started = time.monotonic()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(failed)
        os.close(tell)
        return wire.REPLY.pack(StopReason.NOT_STARTED, error.errno, 0, 1, 0.0, 0.0, 0.0, 0.0, 0.0)
    if pid == 0:
        child.enter(fds, (*request[:3], allowed, *request[4:]), tell, ground.confine)
    os.close(tell)
    watch = _Watch(request, [fds[wire.STDOUT], fds[wire.STDERR]], ground, channel)
    verdict = watch.wait(pid)
    wall = time.monotonic() - started
    status, cpu, peak = _reap(pid, verdict, ground.tree)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if verdict == StopReason.NONE:
        verdict = _passed_unseen(request, ground)
    # Files that were in flight in sockets which refer to each other stay until some socket closes.
    for end in _socket.socketpair():
        end.close()
    dirty = not ground.box.clean()
    fault = os.read(failed, _ERRNO.size)
    os.close(failed)
    if fault:
        verdict, code = StopReason.NOT_STARTED, _ERRNO.unpack(fault)[0]
    own = time.process_time() - own
    return wire.REPLY.pack(verdict, code, number, int(dirty), cpu, wall, peak, watch.largest, own)


def _passed_unseen(request: tuple[float, ...], ground: Ground) -> int:
    """A limit that the program passed after the last look."""
    if ground.tree.left_running > request[3]:
        return StopReason.PROCESSES
    files, used = ground.box.use(settled=True)
    return StopReason.DISK if used > request[5] or files > MAX_FILES else StopReason.NONE


def prepare() -> None:
    """Does beforehand what the first test would pay for, and sets the limits that all tests share."""
    _forget_the_caller()
    if os.path.isdir(wire.PACKAGES):
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
        _signal.signal(number, _signal.SIG_DFL)
    os.umask(0o022)


def _take_channel() -> _socket.socket:
    inherited = int(os.environ.pop(wire.CHANNEL_ENV))
    if inherited == wire.CHANNEL:
        os.set_inheritable(inherited, False)
    else:
        os.dup2(inherited, wire.CHANNEL, inheritable=False)
    os.closerange(3, wire.CHANNEL)
    os.closerange(wire.CHANNEL + 1, 256)
    child.reserve_descriptors()
    return _socket.socket(fileno=wire.CHANNEL)


def _preload(bits: int) -> None:
    """Imports what the program names, so that its forks, and those of later programs, have it."""
    wanted = [name for place, name in enumerate(wire.PRELOADED) if bits >> place & 1 and name not in sys.modules]
    for name in wanted:
        try:
            __import__(name)
        except ImportError:
            continue  # a package that this sandbox does not show: the program will hear of it
    if wanted:
        gc.collect()
        gc.freeze()


def serve(ground: Callable[[], Ground] = lambda: Ground(PidNamespace(), MountedBox("/tmp"))) -> None:
    """Serves requests until the host closes the channel; then ends, and with it all that is left."""
    channel = _take_channel()
    prepare()
    here = ground()
    os.chdir(here.box.path)
    channel.send(wire.READY)
    while True:
        message, fds = child.receive(channel)
        if not message:
            os._exit(0)
        reply = run_one(message, fds, here, wire.CHANNEL)
        for fd in fds:
            os.close(fd)
        channel.send(reply)
