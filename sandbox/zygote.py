"""The warm fork server inside the sandbox: process 1 of its own pid namespace, one fork per test.

Being process 1 it cannot be signalled from inside; its /proc entry is covered, and the system-call filter
forbids what else would reach it. It never reads what a program wrote: it forwards descriptors, watches the
limits that the kernel does not keep for a whole tree, ends every process, cleans the folder, and answers with
numbers.
"""

from __future__ import annotations

import _socket
import gc
import os
import resource
import select
import sys
import time

from sandbox import child, wire
from sandbox.wire import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

_FIRST_LOOK_MS, _LOOK_MS = 10, 20
_MAX_FILES = 10_000
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BOX = "/tmp"


class _Baseline:
    """What is there before any program runs."""

    # No dataclass: importing that module takes as long as starting the interpreter.
    def __init__(self, pages: int, files: int) -> None:
        self.pages = pages
        self.files = files


def _disk_use() -> tuple[int, int]:
    """Files and bytes in the programs' folder."""
    state = os.statvfs(_BOX)
    return state.f_files - state.f_ffree, (state.f_blocks - state.f_bfree) * state.f_frsize


def _look_at_tree(own_pages: int) -> tuple[float, float]:
    """Processor seconds and resident bytes of every process but this one."""
    cpu = pages = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b") ")[2].split()
        except OSError:
            continue  # it ended in the meantime
        cpu += sum(map(int, fields[11:15]))
        # What a fork shares with this process would otherwise count once for each.
        pages += max(0, int(fields[21]) - own_pages)
    return cpu / _TICKS, float((pages + own_pages) * _PAGE)


class _Watch:
    """Waits for a program's end, or for the first limit that it passes."""

    def __init__(self, request: tuple[float, ...], outputs: list[int], own_pages: int) -> None:
        self._cpu_s, self._wall_s, self._memory, _, self._output, self._disk, *_ = request
        self._outputs = outputs
        self._own_pages = own_pages
        self.largest = 0.0
        """Most resident bytes of the whole tree at any look."""

    def wait(self, pid: int) -> int:
        deadline = time.monotonic() + self._wall_s
        ended = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(wire.CHANNEL, select.POLLIN)
        look_ms = _FIRST_LOOK_MS
        try:
            while (left_ms := 1000 * (deadline - time.monotonic())) > 0:
                events = poll.poll(max(1, min(look_ms, left_ms)))
                if any(fd == wire.CHANNEL for fd, _ in events):
                    # The host never speaks during a test, so it is gone.
                    os._exit(0)
                if events:
                    return Verdict.NONE
                if verdict := self._passed_limit():
                    return verdict
                look_ms = _LOOK_MS
            return Verdict.WALL
        finally:
            os.close(ended)

    def _passed_limit(self) -> int:
        cpu, resident = _look_at_tree(self._own_pages)
        self.largest = max(self.largest, resident)
        if cpu > self._cpu_s:
            return Verdict.CPU
        if resident > self._memory:
            return Verdict.MEMORY
        if any(os.fstat(fd).st_size > self._output for fd in self._outputs):
            return Verdict.OUTPUT
        files, used = _disk_use()
        return Verdict.DISK if used > self._disk or files > _MAX_FILES else Verdict.NONE


def _reap(pid: int, verdict: int) -> tuple[int, float, float]:
    """Ends the whole tree: the program's wait status, processor seconds, and peak bytes of one process."""
    status, cpu, peak = 0, 0.0, 0.0
    if verdict == Verdict.NONE:
        _, status, usage = os.wait4(pid, 0)
        cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024.0
    _kill_everything()
    while True:
        try:
            reaped, other, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, cpu, peak
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * 1024.0)
        if reaped == pid:
            status = other


def _kill_everything() -> None:
    try:
        # From process 1 this reaches every process of the namespace, of any session, and none outside it.
        os.kill(-1, _signal.SIGKILL)
    except ProcessLookupError:
        return


def _clean_box(empty: int) -> bool:
    """Empties the programs' folder whatever its shape; False if something stayed."""
    try:
        os.chmod(_BOX, 0o755)
        for name in os.listxattr(_BOX):
            os.removexattr(_BOX, name)
        if _disk_use()[0] <= empty:
            return True
        moved = 0
        while names := os.listdir(_BOX):
            for name in names:
                path = f"{_BOX}/{name}"
                if os.path.isdir(path) and not os.path.islink(path):
                    moved = _dissolve(path, moved)
                else:
                    os.unlink(path)
    except OSError:
        return False
    return True


def _dissolve(folder: str, moved: int) -> int:
    """Removes a folder after moving its subfolders to the top: depth costs no recursion and no long path."""
    os.chmod(folder, 0o700)
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            while os.path.lexists(top := f"{_BOX}/.{moved}"):
                moved += 1
            os.rename(path, top)
        else:
            os.unlink(path)
    os.rmdir(folder)
    return moved


def _run_one(message: bytes, fds: list[int], baseline: _Baseline) -> bytes:
    request = wire.REQUEST.unpack(message)
    _preload(int(request[8]), baseline)
    started = time.monotonic()
    try:
        pid = os.fork()
    except OSError:
        return wire.REPLY.pack(Verdict.NOT_STARTED, -1, 0, 1, 0.0, 0.0, 0.0, 0.0)
    if pid == 0:
        child.enter(fds, request)
    watch = _Watch(request, [fds[wire.STDOUT], fds[wire.STDERR]], baseline.pages)
    verdict = watch.wait(pid)
    wall = time.monotonic() - started
    status, cpu, peak = _reap(pid, verdict)
    if verdict == Verdict.NONE and _disk_use()[1] > request[5]:
        verdict = Verdict.DISK
    dirty = not _clean_box(baseline.files)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return wire.REPLY.pack(verdict, code, number, int(dirty), cpu, wall, peak, watch.largest)


def _prepare() -> _Baseline:
    # Process 1 ignores a signal from inside only while it has no handler for it.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    os.chdir(_BOX)
    # The first compilation of a process makes the types of the syntax tree, twice the work of all else in a test.
    compile("", "", "exec")
    child.set_common_limits()
    gc.collect()
    gc.freeze()
    return _Baseline(_own_pages(), _disk_use()[0])


def _own_pages() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // _PAGE


def _take_channel() -> _socket.socket:
    inherited = int(os.environ.pop(wire.CHANNEL_ENV))
    os.dup2(inherited, wire.CHANNEL, inheritable=False)
    os.closerange(3, wire.CHANNEL)
    os.closerange(wire.CHANNEL + 1, 256)
    child.reserve_descriptors()
    return _socket.socket(fileno=wire.CHANNEL)


def _preload(bits: int, baseline: _Baseline) -> None:
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
        baseline.pages = _own_pages()


def serve() -> None:
    """Serves requests until the host closes the channel; then ends, and the kernel ends all that is left."""
    channel = _take_channel()
    baseline = _prepare()
    channel.send(wire.READY)
    while True:
        message, fds = child.receive(channel)
        if not message:
            os._exit(0)
        reply = _run_one(message, fds, baseline)
        for fd in fds:
            os.close(fd)
        channel.send(reply)
