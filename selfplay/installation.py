"""Whether this project's three packages are the ones that Python finds; another distribution uses one of the names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("selfplay", "verifiers", "sandbox")


def clash() -> str:
    """One sentence on what is wrong and what mends it; empty when all is well."""
    folders = {name: _folder(name) for name in PACKAGES}
    ours = folders["selfplay"]
    for name, folder in folders.items():
        if folder != ours:
            return (
                f"the package `{name}` is found in {folder or 'no folder'}, but this project's is in {ours}: another "
                f"distribution of that name is installed; run `pip uninstall {name}`, then reinstall promptcot"
            )
    return ""


def _folder(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
