"""Control groups: the kernel's own limits on the memory and the processes of one sandbox's whole tree.

They stand behind what the fork server watches, and catch what grows faster than it looks. A host may have
version 2, version 1, or neither, and may let this user make groups or not; without them the sandbox's verdicts
are the same, and `selfplay sandbox doctor` says which is active. Set SANDBOX_CGROUPS=off to do without.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

SWITCH = "SANDBOX_CGROUPS"
_PREFIX = "selfplay-sandbox"
_REMOVAL_S = 2.0
_BLOCK = 1 << 16
_OWN_GROUPS = "/proc/self/cgroup"
_numbers = itertools.count()
_without_controllers: set[Path] = set()
"""Groups of version 2 in and beside which none was of use."""


class Cgroup:
    """One group for one sandbox, in one folder (version 2) or one for each controller (version 1)."""

    def __init__(self, version: int, memory: Path, pids: Path, cpu: Path | None = None) -> None:
        self.version = version
        self._memory = memory
        self._pids = pids
        self._folders = [folder for folder in dict.fromkeys((memory, pids, cpu)) if folder is not None]
        self._counter = None if cpu is None else _opened(cpu / ("cpu.stat" if version == 2 else "cpuacct.usage"))
        self._spent_s = 0.0
        self._is_used = False
        self._limits = (0, 0)
        self._seen_kills = 0

    def admit(self, pids: Sequence[int]) -> None:
        """Moves processes into the group; what they start later is in it too. Raises OSError."""
        for folder in self._folders:
            file = f"{folder}/cgroup.procs"
            # To move a process that is there already takes the kernel as long as to move another.
            there = set(_read(file).split()) if self._is_used else ()
            for pid in map(str, pids):
                if pid not in there:
                    write(file, pid)
        self._is_used = True
        self.spent_s()

    def limit(self, memory_bytes: int, tasks: int) -> None:
        """Bounds the resident bytes, files in memory included, and the threads of all processes. Raises OSError."""
        if self._limits == (memory_bytes, tasks):
            return
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        # Version 1 has limits on memory with swap besides; its groups are told not to swap instead.
        write(self._memory / name, str(memory_bytes))
        write(self._pids / "pids.max", str(tasks))
        self._limits = (memory_bytes, tasks)

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for its memory since this was last asked."""
        file = self._memory / ("memory.events" if self.version == 2 else "memory.oom_control")
        kills = 0
        with contextlib.suppress(OSError):
            words = file.read_text().split()
            kills = int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
        new, self._seen_kills = kills > self._seen_kills, kills
        return new

    def spent_s(self) -> float:
        """Processor seconds of the group since this was last asked; 0 where the host does not count them."""
        before = self._spent_s
        if self._counter is not None:
            counted = os.pread(self._counter, 4096, 0).split()
            if self.version == 2:
                self._spent_s = int(counted[counted.index(b"usage_usec") + 1]) / 1e6
            else:
                self._spent_s = int(counted[0]) / 1e9
        return self._spent_s - before

    def remove(self) -> None:
        """Ends what is still in the group, and removes it."""
        if self._counter is not None:
            os.close(self._counter)
            self._counter = None
        deadline = time.monotonic() + _REMOVAL_S
        for folder in self._folders:
            while not _removed(folder) and time.monotonic() < deadline:
                _end_all(folder)
                time.sleep(0.005)


def open_cgroup() -> Cgroup | None:
    """A fresh group below this process's own or beside it; None where the host allows none."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        return None
    for make in (_version_2, _version_1):
        try:
            return make()
        except OSError:
            continue
    return None


def around(pids: Sequence[int]) -> Cgroup | None:
    """A fresh group with these processes in it; None where the host does not allow that."""
    group = open_cgroup()
    if group is None:
        return None
    try:
        group.admit(pids)
    except OSError:
        group.remove()
        return None
    return group


def process_tree(root: int) -> list[int]:
    """A process and all that descend from it. Raises OSError if it is gone."""
    found = [root]
    for pid in found:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return found


def _version_2() -> Cgroup:
    own = _own_folder("cgroup2", "")
    # A group that holds processes may have no controllers for its children, so mostly a group beside it will do.
    for parent in () if own in _without_controllers else (own, own.parent):
        folder = _made(parent, lambda made: (made / "memory.max").exists() and (made / "pids.max").exists())
        if folder is not None:
            with contextlib.suppress(OSError):
                write(folder / "memory.swap.max", "0")
            return Cgroup(2, folder, folder, folder)
    _without_controllers.add(own)
    raise FileNotFoundError("no group with the controllers memory and pids can be made here")


def _version_1() -> Cgroup:
    folders: list[Path] = []
    groups = _read(_OWN_GROUPS)
    for controller in ("memory", "pids", "cpuacct"):
        made = _made(_folder_of("cgroup", controller, groups), lambda _: True)
        if made is None:
            for folder in folders:
                _removed(folder)
            raise PermissionError(f"no group of the controller {controller} can be made here")
        folders.append(made)
    with contextlib.suppress(OSError):
        write(folders[0] / "memory.swappiness", "0")
    return Cgroup(1, *folders)


def _made(parent: Path, usable: Callable[[Path], bool]) -> Path | None:
    """A new group below `parent`, unless it cannot be made or is not usable."""
    if not os.access(f"{parent}/cgroup.procs", os.W_OK):
        return None
    _remove_stale(parent)
    folder = parent / f"{_own_name(os.getpid())}-{next(_numbers)}"
    try:
        folder.mkdir()
    except OSError:
        return None
    if usable(folder):
        return folder
    _removed(folder)
    return None


@functools.lru_cache(maxsize=16)
def _remove_stale(parent: Path) -> None:
    """Removes groups of processes that were ended before they could do it; once a process, since it is long to list."""
    for name in os.listdir(parent):
        if name.startswith(f"{_PREFIX}-"):
            pid, started, _ = name.removeprefix(f"{_PREFIX}-").split("-")
            if int(pid) != os.getpid() and _started(int(pid)) != started:
                _removed(parent / name)


def _started(pid: int) -> str:
    """When a process started, in ticks since the boot: with its number, what no other process has."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(") ")[2].split()[19]
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def _own_name(pid: int) -> str:
    """After this process and its start, so that what a killed one left is told from what a living one holds."""
    return f"{_PREFIX}-{pid}-{_started(pid)}"


def _end_all(folder: Path) -> None:
    """Ends every process of a group. None is left of a sandbox whose parts ended in their order."""
    with contextlib.suppress(OSError):
        if (folder / "cgroup.kill").exists():
            write(folder / "cgroup.kill", "1")
            return
        for pid in (folder / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _own_folder(kind: str, controller: str) -> Path:
    """The folder of this process's own group in a mounted hierarchy. Raises FileNotFoundError."""
    return _folder_of(kind, controller, _read(_OWN_GROUPS))


@functools.lru_cache(maxsize=16)
def _folder_of(kind: str, controller: str, groups: str) -> Path:
    """The folder of such a group for a process whose /proc/PID/cgroup reads so."""
    own = dict(_own_paths(groups))
    if controller not in own:
        raise FileNotFoundError(f"no hierarchy of the controller {controller!r}")
    for root, place, mounted, options in _mounts():
        if mounted == kind and (kind == "cgroup2" or controller in options.split(",")):
            inner = os.path.relpath(own[controller], root)
            folder = Path(place) if inner.startswith("..") else Path(place, inner)
            if folder.is_dir():
                return folder
    raise FileNotFoundError(f"no hierarchy of the controller {controller!r} is mounted")


def _own_paths(groups: str) -> Iterator[tuple[str, str]]:
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts() -> Iterator[tuple[str, str, str, str]]:
    """Root, place, type and options of each mount."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        fields = before.split(" ")
        yield fields[3], fields[4].encode().decode("unicode_escape"), kind, options


def _opened(file: Path) -> int | None:
    """A descriptor kept open, since it is read after long tests, and now and then."""
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def write(file: str | Path, text: str) -> None:
    """Writes to a file of the kernel's, at once. Raises OSError."""
    opened = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(opened, text.encode())
    finally:
        os.close(opened)


def _read(file: str) -> str:
    opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(opened, _BLOCK), b"")).decode()
    finally:
        os.close(opened)
