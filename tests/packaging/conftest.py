"""The wheel of this checkout, and environments in which nothing but what a test installs is found first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Environment:
    """A virtual environment that also finds what the running interpreter has installed, behind its own.

    Not what is editable there: a folder named in a path file has its own path files left unread.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        [self.site] = (folder / "lib").glob("python3*/site-packages")
        running = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        (self.site / "running.pth").write_text("\n".join(running) + "\n")
        self._folder = folder

    def pip(self, *arguments: str | Path) -> str:
        """Runs pip here, and returns what it says. Fails the test where pip does."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python, *arguments]
        done = subprocess.run(command, cwd=self._folder, env=_plain(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a piece of Python here, in a folder that holds no package."""
        command = [self.python, "-c", code, *arguments]
        return subprocess.run(command, cwd=self._folder, env=_plain(), capture_output=True, text=True, check=False)


def _plain() -> dict[str, str]:
    """The environment without the paths that lead to this checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built from a copy, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for package in ("selfplay", "verifiers", "sandbox"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source]
    done = subprocess.run(command, env=_plain(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [made] = (source / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Environment]:
    """Makes fresh environments."""
    return lambda: Environment(tmp_path_factory.mktemp("environment") / "venv")
