"""A backend for hosts that forbid user namespaces, as many Kubernetes pods do.

Landlock says which files a program may reach, a system-call filter keeps it from sockets, from other processes and
from what it would share with the host, and resource limits and the fork server's watch bound what it uses. Under
root every sandbox gets a user of its own, to whom nothing belongs. What is missing beside bubblewrap: nothing
bounds the bytes that programs write to disk, which are only watched, so `disk` has to be waived by name.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from sandbox.inside import wire
from sandbox.inside.box import remove_folder
from sandbox.landlock import filter as landlock_filter
from sandbox.landlock import rules as landlock_rules
from sandbox.landlock.inside import FIRST_STAGED, SETTINGS_ENV, STAGED
from sandbox.model import SandboxUnavailable
from sandbox.seccomp import filter as seccomp
from sandbox.warm import descriptors
from sandbox.warm import visible_files as files
from sandbox.warm.descriptors import BIND_NOW, BUNDLE_ENV, ENVIRONMENT, LANDLOCK_ENTRY, LANDLOCK_MODULES, bundle
from sandbox.warm.fork_server import ForkServer
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.users import fresh_user, owners_of_processes

WHY_UNENFORCED = {
    "disk": "nothing bounds what a program writes between two looks",
    "host_write": "this kernel's Landlock cannot keep a file that may be read from being emptied by its owner",
}
"""Limits that the backend may leave unenforced, and why."""

_PREFIX = "selfplay-sandbox-"
_LINKS = "-packages"
_PATIENCE_S = 10.0
_ATTEMPTS, _PAUSE_S = 100, 0.01


def open_landlock(version: int | None = None, packages: Collection[str] = ()) -> WarmSandbox:
    """A sandbox on Landlock; the fork server starts at the first test. `packages` may be imported by programs.

    Args:
        version: of Landlock's interface, to do without what later ones bring; None takes the kernel's.
        packages: names of installed packages.

    Raises:
        PackageMissing: one of the packages is not installed.
        SandboxUnavailable: the kernel has no Landlock, or there is no system-call filter for this processor.
    """
    if not seccomp.supported():
        raise SandboxUnavailable("landlock: no system-call filter for this processor; use x86_64 or aarch64")
    offered = landlock_rules.version()
    if offered == 0:
        raise SandboxUnavailable(
            "landlock: the kernel does not offer it; use Linux 5.13 or newer with landlock in its lsm= list, and a "
            "container profile that allows its system calls"
        )
    known = offered if version is None else min(version, offered)
    launcher = _LandlockLauncher(known, files.package_folders(packages))
    return WarmSandbox(ForkServer(launcher), "landlock", _unenforced(known, os.geteuid() == 0), launcher.place_of)


def _unenforced(known: int, is_root: bool) -> list[str]:
    # Before truncation could be refused, a file that may be read can be emptied by its owner.
    emptied = known < landlock_rules.TRUNCATE_SINCE and not is_root
    return ["disk", *(["host_write"] if emptied else [])]


class _LandlockLauncher:
    def __init__(self, known: int, packages: Sequence[str]) -> None:
        self._known = known
        self._packages = packages

    def place_of(self, folder: Path) -> str:
        """Where programs find a folder of the host that this launcher shows them."""
        path, staged = str(folder), self._staged()
        return f"{STAGED}/{FIRST_STAGED + staged.index(path)}" if path in staged else path

    def _staged(self) -> list[str]:
        """Folders to be shown that only root can walk to, such as a Python in root's home."""
        if os.geteuid() != 0:
            return []
        shown = [*files.shown_paths(), *self._packages]
        return [path for path in shown if os.path.isdir(path) and not files.reachable_by_others(path)]

    def __call__(self, _tmp_bytes: int, channel: int) -> subprocess.Popen[bytes]:
        box = f"{_temporary_folder()}/{_PREFIX}{secrets.token_hex(8)}"
        user = fresh_user(set(owners_of_processes().values())) if os.geteuid() == 0 else None
        fds = {
            wire.CHANNEL_ENV: channel,
            BUNDLE_ENV: descriptors.open_sealed(bundle(LANDLOCK_MODULES)),
            SETTINGS_ENV: descriptors.open_sealed(marshal.dumps(self._settings(box, user))),
        }
        try:
            return _Keeper(box, user, fds)
        finally:
            os.close(fds[BUNDLE_ENV])
            os.close(fds[SETTINGS_ENV])

    def _settings(self, box: str, user: int | None) -> dict[str, Any]:
        devices = [(path, landlock_rules.WRITE_DEVICE) for path in files.device_paths()]
        packages = [(path, landlock_rules.READ) for path in self._packages]
        return {
            "box": box,
            "links": f"{box}{_LINKS}",
            "user": user,
            "version": self._known,
            "paths": [*_readable(files.shown_paths(), files.third_party_folders()), *packages, *devices],
            "packages": list(self._packages),
            "staged": self._staged(),
            "parallel": descriptors.code_of("sandbox.landlock.parallel"),
            "filters": [seccomp.filter_program(), landlock_filter.shared_filter(self._known)],
            "program_filter": landlock_filter.program_filter(self._known, own_user=user is not None),
        }


class _Keeper(subprocess.Popen[bytes]):
    """The keeper's process. It ends by itself, and everything else before it, once the channel is closed."""

    def __init__(self, box: str, user: int | None, fds: dict[str, int]) -> None:
        self._box = box
        self._user = user
        super().__init__(
            # Not -E: the environment is ours, and the hash seed comes by it.
            [files.interpreter(), "-P", "-s", "-S", "-c", LANDLOCK_ENTRY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=list(fds.values()),
            env={**ENVIRONMENT, **BIND_NOW, **{name: str(fd) for name, fd in fds.items()}},
            cwd="/",
        )

    def kill(self) -> None:
        """Waits for the end, and forces it if it does not come."""
        try:
            self.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            super().kill()
            self.wait()
        if self.returncode != 0:
            self._clean_up()

    def _clean_up(self) -> None:
        """Does what the keeper would have done, as far as it can be done from here."""
        if self._user is not None:
            _end_all_of(self._user)
        for folder in (self._box, f"{self._box}{_LINKS}"):
            with contextlib.suppress(OSError):
                remove_folder(folder)


def _readable(shown: Sequence[str], hidden: Sequence[str]) -> list[tuple[str, int]]:
    """Rights to read what is in the shown files and folders, but for hidden folders: of those only the names in them.

    Rights to a folder are rights to all below it, so one that has a hidden folder below is granted piece by piece.
    """
    found: list[tuple[str, int]] = []
    waiting = list({os.path.realpath(path) for path in shown if os.path.exists(path)})
    while waiting:
        path = waiting.pop()
        if path in hidden:
            continue
        if any(folder.startswith(f"{path}/") for folder in hidden):
            found.append((path, landlock_rules.LIST))
            # Not where links lead: what stands there is granted under its own name, or is not to be.
            waiting += [entry.path for entry in os.scandir(path) if not entry.is_symlink()]
        else:
            found.append((path, landlock_rules.READ))
    return sorted(found)


def _temporary_folder() -> str:
    """One in which the user of a sandbox can make a folder, by a short path."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        real = Path(os.path.realpath(folder))
        open_to_all = os.geteuid() != 0 or (
            real.is_dir() and real.stat().st_mode & 0o3 == 0o3 and all(p.stat().st_mode & 1 for p in real.parents)
        )
        if open_to_all and os.access(real, os.W_OK | os.X_OK) and len(str(real)) < 200:
            return str(real)
    raise OSError("no temporary folder can be written by other users")


def _end_all_of(user: int) -> None:
    """Ends every process of a user that only this sandbox has; those that are left after some passes stay."""
    for _ in range(_ATTEMPTS):
        living = [pid for pid, owner in owners_of_processes().items() if owner == user]
        if not living:
            return
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_S)
