"""The processes below a fork server: what they use, and how all of them are ended.

Two ways, with the same operations. As process 1 of a pid namespace the kernel itself tells which processes
belong to the sandbox and ends them all at once. Elsewhere the fork server makes itself the parent of every
orphan below it (a subreaper), so that none can leave its tree, and ends the tree by passes until it is gone.

Runs inside a sandbox and on servers with an older Python: standard library only, and little of it.
"""

from __future__ import annotations

import posix as os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Iterator, Sequence
    from typing import Any
else:
    import _signal

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ENDED = (b"Z", b"X")
# Fields of /proc/PID/stat, counted from the one after the name.
_STATE, _PARENT, _GROUP, _UTIME, _CSTIME, _THREADS, _RESIDENT = 0, 1, 2, 11, 14, 17, 21

_ALL_KINDS = 0x40000000
"""__WALL: children that end without a signal, too."""
_SPARE_TASKS = 64
"""Room in a limit on the processes of a user for those that this user starts elsewhere in the meantime."""
_COUNT_AGAIN_S = 1.0
_LONGEST_LOOK_S = 2.0


class TreeUsage:
    """The use of a tree of processes at one moment: processor seconds, resident bytes, threads."""

    # No dataclass: importing that module takes as long as starting the interpreter.
    def __init__(self, cpu_s: float, resident: float, tasks: int) -> None:
        self.cpu_s = cpu_s
        self.resident = resident
        self.tasks = tasks


class _Tree:
    """The processes below a fork server."""

    left_running = 0
    """Threads that the last end() found alive."""

    def pids(self) -> list[int]:
        """Every process of the tree but this one."""
        raise NotImplementedError

    def usage(self) -> TreeUsage:
        """Sums over all of them, where pages that several share count for each."""
        return _sum(self.pids())

    def proportional_bytes(self, seconds: float) -> float | None:
        """Resident bytes of all of them, where each page that several share counts once.

        None if `seconds` of the processor are not enough to tell.
        """
        return _proportional(self.pids(), seconds)


class PidNamespace(_Tree):
    """Every process of the pid namespace whose process 1 this is."""

    def __init__(self) -> None:
        if os.getpid() != 1:
            raise RuntimeError("only process 1 of a pid namespace may take it for its own")

    def pids(self) -> list[int]:
        """Every process but this one."""
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]

    def end(self) -> Iterator[tuple[int, int, Any]]:
        """Ends every process and gives what os.wait4 says of each."""
        # All others descend from process 1, and fall to it when their parents end. So without a child it is alone, and
        # the kernel need not look through every process of the host for those to end.
        if not _has_child():
            return
        _kill_namespace()
        while True:
            try:
                yield os.wait4(-1, _ALL_KINDS)
            except ChildProcessError:
                return

    def allowed_tasks(self, wanted: int) -> int:
        """RLIMIT_NPROC for `wanted` processes of a test: the user has no other processes, but this one."""
        return wanted + 1


class Subreaper(_Tree):
    """Every process that descends from this one, wherever it tried to go.

    The direct children must be leaders of a process group of their own (os.setsid) before they run anything.
    """

    def __init__(self, alone_with: int | None = None) -> None:
        """`alone_with` is how many processes run as this user, this one included, if no others ever do.

        Raises OSError if the kernel refuses.
        """
        process_control(_PR_SET_CHILD_SUBREAPER, 1)
        self._alone_with = alone_with
        self._counted = (0, 0.0)

    def pids(self) -> list[int]:
        """Every descendant."""
        return list(descendants(os.getpid()))

    def end(self) -> Iterator[tuple[int, int, Any]]:
        """Ends every descendant, however fast they multiply, and gives what os.wait4 says of those reaped here."""
        me, own_group = os.getpid(), os.getpgrp()
        self.left_running = 0
        while _has_child():
            living = descendants(me)
            groups, tasks = set(), 0
            for pid in living:
                fields = _stat(pid)
                # Told by one read, so a number that now belongs to a stranger is left alone.
                if fields and (int(fields[_PARENT]) in living or int(fields[_PARENT]) == me):
                    groups.add(int(fields[_GROUP]))
                    tasks += int(fields[_THREADS]) if fields[_STATE] not in _ENDED else 0
            self.left_running = max(self.left_running, tasks)
            for group in groups - {own_group}:
                _kill_group(group)
            yield from _reaped_now()
            # An ended parent leaves its children to this process: nothing is below it once it has no child.

    def allowed_tasks(self, wanted: int) -> int:
        """RLIMIT_NPROC for `wanted` processes of a test.

        The kernel counts all processes of the user. Where there are others, the limit only stops an avalanche,
        and the exact figure is for the watch over `usage` to keep.
        """
        if self._alone_with is not None:
            return wanted + self._alone_with
        if time.monotonic() > self._counted[1]:
            self._counted = (_tasks_of_user(), time.monotonic() + _COUNT_AGAIN_S)
        return wanted + self._counted[0] + _SPARE_TASKS


def _proportional(pids: list[int], seconds: float) -> float | None:
    # By processor time: on a busy machine the same look takes longer by the clock.
    total, end, latest = 0.0, time.process_time() + seconds, time.monotonic() + _LONGEST_LOOK_S
    for pid in pids:
        if time.process_time() > end or time.monotonic() > latest:
            return None
        try:
            with open(f"/proc/{showing_thread(pid)}/smaps_rollup", "rb") as file:
                for line in file:
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1]) * 1024.0
                        break
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended in the meantime
        except OSError:
            # It hides its memory, so all of it counts.
            fields = _stat(showing_thread(pid))
            total += int(fields[_RESIDENT]) * _PAGE if fields else 0.0
    return total


def end_with_parent() -> None:
    """Has the kernel end this process when its parent ends. Raises OSError if the kernel refuses."""
    process_control(_PR_SET_PDEATHSIG, int(_signal.SIGKILL))


def descendants(root: int) -> dict[int, int]:
    """Every process below `root`, with its parent, as far as it can be seen in one pass."""
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in _children(parent):
            if child not in found:
                found[child] = parent
                waiting.append(child)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        # The process has ended, or this kernel lacks the list.
        return found or ([] if _lists_children() else _children_by_scan(pid))
    except ProcessLookupError:
        return found
    return found


def _lists_children() -> bool:
    return os.access(f"/proc/self/task/{os.getpid()}/children", os.F_OK)


def _children_by_scan(pid: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields and int(fields[_PARENT]) == pid:
                found.append(int(name))
    return found


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat from the state on; none if the process has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].split()
    except OSError:
        return []


def _sum(pids: list[int]) -> TreeUsage:
    ticks = pages = tasks = 0
    for pid in pids:
        fields = _stat(pid)
        if not fields:
            continue
        ticks += sum(map(int, fields[_UTIME : _CSTIME + 1]))
        tasks += int(fields[_THREADS])
        shown = _stat(showing_thread(pid, fields)) if fields[_STATE] in _ENDED else fields
        pages += int(shown[_RESIDENT]) if shown else 0
    return TreeUsage(ticks / _TICKS, float(pages * _PAGE), tasks)


def showing_thread(pid: int, fields: Sequence[bytes] = ()) -> int:
    """The number under which /proc shows what a process holds: its own, or, once its first thread has ended, that of
    a thread which has not. `fields` are those of its stat, if they are known."""
    fields = fields or _stat(pid)
    if not fields or fields[_STATE] not in _ENDED or int(fields[_THREADS]) < 2:
        return pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return pid  # all of it has ended in the meantime
    for thread in map(int, threads):
        own = _stat(thread)
        if own and own[_STATE] not in _ENDED:
            return thread
    return pid


def _kill_namespace() -> None:
    try:
        # From process 1 this reaches every process of the namespace, of any session, and none outside it.
        os.kill(-1, _signal.SIGKILL)
    except ProcessLookupError:
        return


def _kill_group(group: int) -> None:
    try:
        # The kernel does this while no process of the group can fork.
        os.killpg(group, _signal.SIGKILL)
    except ProcessLookupError:
        return


def _reaped_now() -> Iterator[tuple[int, int, Any]]:
    while True:
        try:
            reaped = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if reaped[0] == 0:
            return
        yield reaped


def _has_child() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _ALL_KINDS)
    except ChildProcessError:
        return False
    return True


def _tasks_of_user() -> int:
    me, tasks = os.geteuid(), 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid == me:
                tasks += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # it ended, or is hidden
    return tasks


def process_control(option: int, *values: int) -> None:
    """The system call prctl. Raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *map(ctypes.c_ulong, (*values, 0, 0, 0, 0)[:4])) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
