"""The sandboxes that this host lends: each is opened, and a first hostile program is tried in it."""

from __future__ import annotations

import shutil

from sandbox.doctor import LIMITS, means
from sandbox.languages import LANGUAGES
from sandbox.model import SandboxUnavailable
from sandbox.open import LOCAL, USER_NAMESPACES, open_sandbox
from selfplay.preflight.doctor.finding import MachineFinding, fail, ok, warn

TRY_ALL = "`selfplay sandbox doctor` tries every limit"


def sandboxes() -> list[MachineFinding]:
    """Which kinds of sandbox work, what each leaves without a limit, and what the host lends them."""
    lacking: dict[str, frozenset[str]] = {}
    faults: list[str] = []
    for backend in LOCAL:
        try:
            with open_sandbox(backend, waive=LIMITS) as sandbox:
                lacking[backend] = sandbox.unenforced
        except SandboxUnavailable as error:
            faults.append(str(error))
    if not lacking:
        return [fail("sandbox", f"none works: {'; '.join(faults)}", USER_NAMESPACES)]
    told = "; ".join(f"{name} enforces {_enforced(unenforced)}" for name, unenforced in lacking.items())
    first, unenforced = next(iter(lacking.items()))
    if unenforced:
        waived = ", ".join(sorted(unenforced))
        remedy = f"{USER_NAMESPACES}; or accept it by `sandbox.waive: [{waived}]`"
        return [warn("sandbox", told, remedy), _host(first), _compiler()]
    return [ok("sandbox", told, TRY_ALL), _host(first), _compiler()]


def _enforced(unenforced: frozenset[str]) -> str:
    if not unenforced:
        return f"all {len(LIMITS)} limits"
    return f"{len(LIMITS) - len(unenforced)} of {len(LIMITS)} limits, without {', '.join(sorted(unenforced))}"


def _host(backend: str) -> MachineFinding:
    return ok("sandbox host", means(backend))


def _compiler() -> MachineFinding:
    wanted = [language for language in LANGUAGES.values() if language.compiler]
    commands = list(dict.fromkeys(language.compiler[0] for language in wanted))
    found = [path for command in commands if (path := shutil.which(command))]
    if len(found) < len(commands):
        remedy = "install one (`apt install g++`), where problems have programs in C++"
        return warn("C++ compiler", f"no {', '.join(commands)}: programs in C++ are not judged", remedy)
    return ok("C++ compiler", ", ".join(found))
