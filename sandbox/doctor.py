"""Examines what a sandbox enforces, by trying every limit for real."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

from sandbox import probes
from sandbox.landlock import backend as landlock
from sandbox.landlock import rules as landlock_rules
from sandbox.languages import LANGUAGES
from sandbox.model import Limits, Program, RemoteServer, Sandbox, Status
from sandbox.open import BACKENDS, open_sandbox
from sandbox.probes import ProbeFinding
from sandbox.warm import cgroups

LIMITS = (*probes.REACH, "memory", "processes", "cpu", "wall", "output", "disk")
"""Names of the limits, in the order of the findings."""
_COMPILED = [name for name, language in LANGUAGES.items() if language.compiler]
_STANDARD = 'extern "C" int printf(const char *, ...);\nint main() { printf("%ld", __cplusplus); }'

__all__ = ["LIMITS", "Examination", "ProbeFinding", "backends", "examine", "means"]


@dataclass(frozen=True, slots=True)
class Examination:
    """The limits that one backend enforces here."""

    backend: str
    """The one that was examined, which "auto" has chosen."""
    about: str
    """The means that the host lends it."""
    findings: tuple[ProbeFinding, ...]
    """One a limit, in the order of LIMITS."""


def examine(backend: str = "auto", server: RemoteServer | None = None, packages: Collection[str] = ()) -> Examination:
    """Tries every limit, which takes about 8 s. The arguments are those of open_sandbox.

    A limit that held in this trial, but that the backend does not promise, counts as not enforced. Raises as
    open_sandbox does, but for limits that are not enforced.
    """
    with open_sandbox(backend, waive=LIMITS, server=server, packages=packages) as sandbox:
        findings = [*probes.try_reach(sandbox), *probes.try_amounts(sandbox)]
        promised = [_as_promised(found, sandbox.unenforced) for found in findings]
        about = f"{_about(sandbox.backend, server)}; {_compilers(sandbox)}"
        return Examination(sandbox.backend, about, tuple(promised))


def backends() -> tuple[str, ...]:
    """The names that examine() and open_sandbox() accept beside "auto"."""
    return BACKENDS


def _as_promised(found: ProbeFinding, unenforced: Collection[str]) -> ProbeFinding:
    if not found.enforced or found.limit not in unenforced:
        return found
    why = landlock.WHY_UNENFORCED.get(found.limit, "the backend does not promise it")
    return replace(found, enforced=False, detail=f"held in this trial ({found.detail}), but {why}")


def _about(backend: str, server: RemoteServer | None) -> str:
    return means(backend) if server is None else f"a SandboxFusion server at {server.endpoint}"


def means(backend: str) -> str:
    """The means that this host lends a backend, without trying it."""
    shared = "an ordinary user, whose room in pipes and for descriptors under way all sandboxes share"
    who = "root, so every sandbox has a user of its own" if os.geteuid() == 0 else shared
    parts = [f"started by {who}", _control_groups()]
    if backend == "landlock":
        parts.append(f"Landlock version {landlock_rules.version()}")
    return "; ".join(parts)


def _compilers(sandbox: Sandbox) -> str:
    """The standards of C++ that programs may be in, tried for real, and the one of those that ask for none."""
    compiled = {name: sandbox.run(Program(_STANDARD, name), [b""], Limits())[0] for name in _COMPILED}
    known = [name for name, execution in compiled.items() if execution.status is Status.OK]
    if "cpp" not in known:
        return "no C++ compiler"
    usual = "C++20" if compiled["cpp"].stdout >= b"202002" else "C++17"
    return f"cpp is {usual}, also {', '.join(name for name in known if name != 'cpp')}"


def _control_groups() -> str:
    group = cgroups.open_cgroup()
    if group is None:
        return "no control groups"
    group.remove()
    return f"control groups of version {group.version}"
