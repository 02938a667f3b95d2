"""Opens the strongest sandbox that this host can really give, or the one asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from sandbox import probes
from sandbox.bubblewrap import backend as bubblewrap
from sandbox.landlock import backend as landlock
from sandbox.model import Limits, Program, RemoteServer, SandboxUnavailable, Status
from sandbox.warm.sandbox import WarmSandbox

__all__ = ["BACKENDS", "LOCAL", "USER_NAMESPACES", "open_sandbox"]

LOCAL = ("bubblewrap", "landlock")
"""Those of this host, the strongest first."""
BACKENDS = (*LOCAL, "remote")
"""From the strongest to the weakest on this host, then what runs elsewhere."""

USER_NAMESPACES = (
    "allow unprivileged user namespaces so that bubblewrap works (sysctl kernel.unprivileged_userns_clone=1 and "
    "kernel.apparmor_restrict_unprivileged_userns=0, or in a container an unconfined seccomp and AppArmor profile)"
)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A request for a sandbox."""

    backend: str
    server: RemoteServer | None
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Passed:
    """A backend that passed its live test, and why stronger ones did not."""

    open: Callable[[], WarmSandbox]
    failures: tuple[str, ...] = ()


_passed: dict[tuple[int, _Choice], _Passed] = {}


def open_sandbox(
    backend: str = "auto",
    waive: Collection[str] = (),
    *,
    server: RemoteServer | None = None,
    packages: Collection[str] = (),
) -> WarmSandbox:
    """A sandbox of that backend, or with "auto" the strongest of this host that passes a live test.

    The test runs once per process.

    Args:
        backend: "auto" or one of BACKENDS.
        waive: limits that the caller accepts to be without (see sandbox.doctor for the names).
        server: for "remote", where it is.
        packages: installed packages that programs may import, such as numpy; a remote server has its own.

    Raises:
        PackageMissing: a package is not installed.
        SandboxUnavailable: says what failed and what mends it.
        ValueError: the backend is unknown, or does not go with a server.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"unknown sandbox backend {backend!r}; known: auto, {', '.join(BACKENDS)}")
    if (backend == "remote") != (server is not None):
        raise ValueError("the sandbox backend remote needs a server, and no other backend takes one")
    choice = _Choice(backend, server, tuple(packages))
    key = (os.getpid(), choice)
    if key not in _passed:
        _passed[key] = _first_that_works(choice)
    sandbox = _passed[key].open()
    missing = sorted(sandbox.unenforced - set(waive))
    if missing:
        sandbox.close()
        raise SandboxUnavailable(_why_refused(sandbox, missing, _passed[key].failures))
    return sandbox


def _why_refused(sandbox: WarmSandbox, missing: list[str], failures: tuple[str, ...]) -> str:
    remedy = "isolate the server's programs" if sandbox.backend == "remote" else USER_NAMESPACES
    where = "its server" if sandbox.backend == "remote" else "this host"
    before = f"{'; '.join(failures)}; " if failures else ""
    return (
        f"{before}{sandbox.backend} cannot enforce {', '.join(missing)} on {where}; {remedy}, or accept to be without "
        "by waiving these limits by name"
    )


def _candidates(choice: _Choice) -> Iterator[Callable[[], WarmSandbox]]:
    if choice.backend in ("auto", "bubblewrap"):
        binaries: list[str | None] = [*bubblewrap.find_binaries()]
        for binary in binaries or [None]:
            yield lambda binary=binary: bubblewrap.open_bubblewrap(binary, choice.packages)  # type: ignore[misc]
    if choice.backend in ("auto", "landlock"):
        yield lambda: landlock.open_landlock(packages=choice.packages)
    if choice.server is not None:
        server = choice.server
        yield lambda: _remote(server)


def _remote(server: RemoteServer, unenforced: Collection[str] = probes.REACH) -> WarmSandbox:
    # Loads an HTTP library, which nobody else needs.
    from sandbox.remote.backend import RemoteSandbox

    return RemoteSandbox(server, unenforced)


def _first_that_works(choice: _Choice) -> _Passed:
    failures: list[str] = []
    for opener in _candidates(choice):
        try:
            passed = _live_test(opener, choice.server)
        except SandboxUnavailable as failure:
            failures.append(str(failure))
        else:
            return replace(passed, failures=tuple(failures))
    why = "; ".join(failures)
    if choice.backend == "remote":
        raise SandboxUnavailable(f"the sandbox server cannot be used: {why}")
    raise SandboxUnavailable(f"no sandbox works on this host ({why}); {USER_NAMESPACES}")


def _live_test(opener: Callable[[], WarmSandbox], server: RemoteServer | None) -> _Passed:
    """Raises SandboxUnavailable if this sandbox is not to be trusted."""
    with opener() as sandbox:
        execution = sandbox.run(Program("print(6 * 7)"), [b""], Limits())[0]
        if execution.status is not Status.OK or execution.stdout != b"42\n":
            why = execution.reason or "a first program printed nonsense"
            raise SandboxUnavailable(f"{sandbox.backend}: {why}")
        findings = probes.try_reach(sandbox)
        if server is not None:
            # What a server keeps programs from is not ours to promise, but it has just been tried.
            found_open = [finding.limit for finding in findings if not finding.enforced]
            return _Passed(lambda: _remote(server, found_open))
        open_doors = [f for f in findings if not f.enforced and f.limit not in sandbox.unenforced]
        if open_doors:
            what = "; ".join(f"{door.limit} is not enforced, {door.detail}" for door in open_doors)
            raise SandboxUnavailable(f"{sandbox.backend}: {what}")
    return _Passed(opener)
