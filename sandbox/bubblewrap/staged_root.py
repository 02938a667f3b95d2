"""A root for sandboxes that is put together once a process, for a caller with root's rights.

A sandbox of root's begins as a user of its own, who cannot reach an interpreter or a bwrap that lies in root's home.
So bwrap first builds the read-only part of the sandboxes' root in a mount namespace of root's, which stays for as
long as this process holds a descriptor of it. Each sandbox enters that namespace while it becomes that user, and takes
over the whole tree in one mount, which also costs a fraction of a dozen. Whatever is mounted there is copied and listed
at each start, so what no sandbox needs of the host is let go of.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sandbox.bubblewrap.entering import entered
from sandbox.warm.visible_files import Entry

_STAGE = "/mnt"
_ROOT, _PROGRAM = f"{_STAGE}/root", f"{_STAGE}/program"
_EMPTY_FOLDERS = ("/proc", "/tmp")
"""Where each sandbox mounts its own."""
_HOLD = "umount -l -R /sys; echo $$; read line"
_START_S = 30.0
_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True, slots=True)
class StagedRoot:
    """A mount namespace in which the root stands at `root`, and bwrap at `binary`."""

    namespace: int
    """Its descriptor."""
    identity: tuple[int, int]
    """Device and inode of the namespace: what the descriptor stands for as long as nobody closes it."""
    binary: str
    root: str = _ROOT

    @property
    def held(self) -> bool:
        """Whether the descriptor still is the namespace's; a caller may have closed all that it did not know."""
        try:
            return _identity(os.fstat(self.namespace)) == self.identity
        except OSError:
            return False

    def entered(self, user: int) -> AbstractContextManager[None]:
        """Within it the calling thread is in the namespace as that user and group. Raises OSError at its start."""
        return entered(self.namespace, user)


_staged: dict[tuple[object, ...], StagedRoot] = {}
_lock = threading.Lock()


def staged_root(binary: str, program_folder: str, entries: Sequence[Entry]) -> StagedRoot:
    """The root that these entries make, from an earlier call or new.

    Args:
        binary: bwrap.
        program_folder: what bwrap needs of its own, itself included.
        entries: of visible_files.shared_entries.

    Raises:
        OSError: this host does not allow it; the message says why.
    """
    key = (os.getpid(), binary, *entries, *_identities(entries))
    with _lock:
        if key not in _staged or not _staged[key].held:
            _staged[key] = _stage(binary, program_folder, entries)
        return _staged[key]


def _identities(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """The file that a path of the host stands for now: a folder that was made anew is another."""
    for entry in entries:
        if "bind" in entry[0]:
            yield _identity(os.stat(entry[1]))


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _stage(binary: str, program_folder: str, entries: Sequence[Entry]) -> StagedRoot:
    command = [binary, "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", _STAGE]
    command += ["--ro-bind", program_folder, _PROGRAM]
    # Parents that bwrap makes unasked are closed to all but root.
    parents = {str(parent) for entry in entries for parent in PurePosixPath(entry[-1]).parents}
    for folder in sorted({*parents, *_EMPTY_FOLDERS}):
        command += ["--dir", f"{_ROOT}{folder}".rstrip("/")]
    for *words, place in entries:
        command += [*words, f"{_ROOT}{place}"]
    command += ["--remount-ro", _STAGE, "--", "/bin/sh", "-c", _HOLD]
    namespace = _namespace_of(command)
    binary_there = f"{_PROGRAM}/{Path(binary).relative_to(program_folder)}"
    return StagedRoot(namespace, _identity(os.fstat(namespace)), binary_there)


def _namespace_of(command: Sequence[str]) -> int:
    """Runs a command that prints its number and waits, and takes hold of its mount namespace."""
    pipe = subprocess.PIPE
    options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "cwd": "/", "text": True, "env": _PATH}
    with subprocess.Popen(command, **options) as process:
        late = threading.Timer(_START_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            number = process.stdout.readline().strip()
            with contextlib.suppress(OSError):
                return os.open(f"/proc/{int(number or -1)}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            process.kill()
            assert process.stderr is not None
            raise PermissionError(process.stderr.read(1000).strip() or "bwrap ended at once")
        finally:
            late.cancel()
            process.kill()
