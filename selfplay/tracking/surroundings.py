"""What a run was made with: versions of packages, and the commit of the folder in which it was started."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import selfplay

PACKAGES = ("torch", "transformers", "trl", "datasets", "accelerate", "math-verify", "sympy", "wandb")
_PATIENCE_S = 10.0


def versions() -> dict[str, str]:
    """Versions of this code, of Python, and of the libraries that decide results."""
    found = {"promptcot": selfplay.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit_of(folder: Path) -> str | None:
    """The commit that git has checked out there, with `+changes` where files differ from it; None outside of git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit + "+changes" if changed else commit


def surroundings() -> dict[str, Any]:
    """Versions and commit, for a tracker's config."""
    return {"commit": commit_of(Path.cwd()), "versions": versions()}


def _git(folder: Path, *asked: str) -> str | None:
    # Neither hooks nor a monitor that a folder's own configuration names are run.
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(folder), *asked]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
