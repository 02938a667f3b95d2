"""The surroundings of a run: versions of packages, and the commit of the folder in which it was started."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import selfplay
from sandbox.process.launching import launch

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
    # A monitor that the folder's own configuration names is not run.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *asked]
    try:
        with launch(command, fds=(), environment=os.environ, stdout=subprocess.PIPE) as process:
            try:
                said, _ = process.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return None
    except OSError:  # git is not installed
        return None
    return said.decode("utf-8", "replace").strip() if process.returncode == 0 else None
