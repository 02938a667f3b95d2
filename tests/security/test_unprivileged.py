"""The same statuses as an ordinary user: the attacks, fakes and honest programs once more, without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.bubblewrap.backend import find_binaries

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
SAMPLE = " or ".join(
    (
        *(
            "fork_bomb_quiet",
            "memory_in_threads",
            "one_huge_file",
            "wait_for_no_signal",
            "read_host_files",
            "kill_parent",
        ),
        *("write_system_files", "new_namespaces", "limit_the_fork_server", "sockets_of_every", "file_in_flight"),
        *(
            "process_attributes",
            "secrets_of_other",
            "priority_of_the_session",
            "own_limits_on_memory",
            "always_equal",
            "forged_garbage",
        ),
    )
)
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="this user is ordinary already"),
    pytest.mark.skipif(not find_binaries() or shutil.which("setpriv") is None, reason="needs bwrap and setpriv"),
]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of nobody's; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="nobody-") as folder:
        os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def _opened(path: str) -> list[str]:
    """bwrap's arguments that show a folder whose way is closed to others, and nothing beside it."""
    way = [*reversed(Path(path).parents), Path(path)]
    closed = next((place for place, part in enumerate(way) if not part.stat().st_mode & 0o1), None)
    if closed is None:
        return []
    arguments = ["--perms", "0755", "--tmpfs", str(way[closed])]
    for part in way[closed + 1 : -1]:
        arguments += ["--perms", "0755", "--dir", str(part)]
    return [*arguments, "--ro-bind", path, path]


def _as_nobody(command: list[str], home: Path) -> list[str]:
    """A command line that runs another as nobody, with a view of the files in which nobody can walk to Python."""
    view = [find_binaries()[0], "--dev-bind", "/", "/"]
    for needed in {os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, ROOT)}:
        view += _opened(needed)
    view += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--chdir", str(ROOT), "--"]
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", f"HOME={home}"]
    return [*view, *drop, *command]


def _run(home: Path, *arguments: str) -> str:
    pytest_line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfEs", "--basetemp", f"{home}/t"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "XDG_"))}
    done = subprocess.run(
        _as_nobody([*pytest_line, *arguments], home),
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": f"{home}/h"},
        capture_output=True,
        text=True,
        check=False,
    )
    report = done.stdout[-6000:] + done.stderr[-2000:]
    assert done.returncode == 0, report
    return report


def test_it_is_really_nobody_who_runs(home: Path) -> None:
    probe = "import os; print(os.getresuid(), os.access('/etc/shadow', os.R_OK), os.listdir(os.environ['HOME']))"
    line = _as_nobody([sys.executable, "-c", probe], home)
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"({NOBODY}, {NOBODY}, {NOBODY}) False")


@pytest.mark.usefixtures("needs_sandbox")
def test_a_sample_as_nobody(home: Path) -> None:
    files = [str(ROOT / "tests" / "security" / name) for name in ("test_attacks.py", "test_fakes.py")]
    report = _run(home, *files, "-m", "not long", "-k", SAMPLE)
    assert " passed" in report or "[100%]" in report
    assert "SKIPPED" not in report


@pytest.mark.long
@pytest.mark.parametrize(
    "file", ["test_attacks.py", "test_fakes.py", "test_honest.py", "test_secrets.py", "test_landlock.py"]
)
def test_all_as_nobody(home: Path, file: str) -> None:
    report = _run(home, str(ROOT / "tests" / "security" / file), "-m", "not long")
    assert "SKIPPED" not in report
