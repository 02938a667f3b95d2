"""What other users of the host can read of a run and of the service: modes, command lines, sockets, temporary files."""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.process.launching import launch
from selfplay.compute.workers import Workers
from selfplay.config.recipe import Recipe
from selfplay.run.directory import RunDirectory
from selfplay.run.files import write_json
from selfplay.run.store import SampleStore

ROOT = Path(__file__).resolve().parents[2]
OTHERS = stat.S_IRWXG | stat.S_IRWXO
ITEMS = [
    {"verifier": "math", "answer": "x+1", "completion": r"\boxed{1+x}"},
    {
        "verifier": "code",
        "completion": "```python\nprint(2 * int(input()))\n```",
        "tests": [{"input": "2\n", "output": "4\n"}],
    },
]


def recipe(**compute: Any) -> Recipe:
    domains = {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}}
    return Recipe.model_validate({"name": "r", "model": {"kind": "scratch"}, "domains": domains, "compute": compute})


@contextmanager
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def modes(path: Path) -> dict[str, int]:
    """What group and others may do, by path."""
    return {str(file.relative_to(path)): file.stat().st_mode & OTHERS for file in [path, *path.rglob("*")]}


def fill(run: RunDirectory) -> None:
    """Writes what this process, its threads' libraries and a child of it write."""
    write_json(run.path / "stages" / "s" / "manifest.json", {})
    answers = SampleStore(run.store_folder / "answers.sqlite")
    answers.put("key", "owner", {"prompt_tokens": 1, "completion_tokens": 1})
    answers.close()
    code = f"import pathlib; pathlib.Path({str(run.path)!r}, 'of-a-child').write_text('x')"
    assert launch([sys.executable, "-c", code], fds=(), environment={}).wait(60) == 0


def test_a_private_run_is_for_its_user_alone(tmp_path: Path) -> None:
    with usual_umask():
        with RunDirectory.open(tmp_path / "runs" / "r", recipe(private=True)) as run:
            fill(run)
        assert {name: mode for name, mode in modes(run.path).items() if mode} == {}
        assert {"of-a-child", "stages/s/manifest.json", "lock"} <= set(modes(run.path))
        (tmp_path / "afterwards").touch()
        assert (tmp_path / "afterwards").stat().st_mode & 0o777 == 0o644


def test_a_run_that_becomes_private_is_closed_to_others(tmp_path: Path) -> None:
    with usual_umask():
        with RunDirectory.open(tmp_path / "r", recipe()) as run:
            fill(run)
        with RunDirectory.open(tmp_path / "r", recipe(private=True)):
            pass
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_other_runs_are_as_the_umask_says(tmp_path: Path) -> None:
    with usual_umask():
        with RunDirectory.open(tmp_path / "r", recipe()) as run:
            fill(run)
        assert run.path.stat().st_mode & 0o777 == 0o755
        assert (run.path / "stages" / "s" / "manifest.json").stat().st_mode & 0o777 == 0o644


def test_temporary_files_are_made_by_what_makes_them_private() -> None:
    """`tempfile` gives folders 0700 and files 0600 whatever the umask; nothing is made below /tmp otherwise."""
    before = os.umask(0)
    try:
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
            assert [os.stat(path).st_mode & OTHERS for path in (folder, file.name)] == [0, 0]
        workers = Workers(1, 1, "cpu", Path(os.devnull))
        environment = workers._environment(0, "folder")
        assert environment["TMPDIR"] == "folder"
    finally:
        os.umask(before)
    used = set()
    for package in ("selfplay", "verifiers", "sandbox"):
        for source in (ROOT / package).rglob("*.py"):
            used |= set(re.findall(r"\btempfile\.(\w+)", source.read_text()))
    assert used <= {"TemporaryDirectory", "NamedTemporaryFile", "mkdtemp", "gettempdir"}


def family(pid: int) -> list[int]:
    found = [pid]
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += family(child)
    return found


def sockets_of(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(file)))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, needs_sandbox: None) -> Iterator[tuple[int, str]]:
    """A service with a token that has judged, so that all its processes are there."""
    token = secrets.token_urlsafe()
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(token)
    file.chmod(0o600)
    command = [sys.executable, "-m", "selfplay", "serve", "--verifiers", "math,code", "--port", "0", "--workers", "1"]
    process = subprocess.Popen([*command, "--token-file", str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{found.group()}/v1/score", json={"items": ITEMS}, headers=headers, timeout=120)
        assert answer.json()["rewards"] == [1.0, 1.0]
        yield process.pid, token
    finally:
        process.terminate()
        process.wait(60)


def test_command_lines_hold_no_secret_and_no_completion(service: tuple[int, str]) -> None:
    pid, token = service
    lines = [Path(f"/proc/{one}/cmdline").read_bytes() for one in family(pid)]
    assert len(lines) > 2
    for line in lines:
        assert token.encode() not in line
        assert b"boxed" not in line
        assert b"int(input" not in line


def test_environments_are_for_the_user_alone(service: tuple[int, str]) -> None:
    for one in family(service[0]):
        assert Path(f"/proc/{one}/environ").stat().st_mode & OTHERS == 0


def test_sockets_are_on_loopback_or_have_no_name(service: tuple[int, str]) -> None:
    own = set().union(*(sockets_of(one) for one in family(service[0])))
    listening = []
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "0" * 24 + "01000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in own and fields[3] == "0A":
                assert fields[1].startswith(loopback)
                listening.append(fields[1])
    assert len(listening) == 1
    named = [line for line in Path("/proc/net/unix").read_text().splitlines()[1:] if line.split()[6] in own]
    assert [line for line in named if len(line.split()) > 7] == []


def test_judging_leaves_no_file_that_others_could_read(service: tuple[int, str]) -> None:
    """Programs and inputs go by descriptors without a name; what they write is in a file system of their own."""
    for one in family(service[0]):
        for file in Path(f"/proc/{one}/fd").iterdir():
            try:
                target = os.readlink(file)
                mode = file.stat().st_mode
            except OSError:
                continue
            written = target.startswith(("/tmp", "/var/tmp", "/dev/shm", tempfile.gettempdir()))
            assert not (written and stat.S_ISREG(mode) and mode & OTHERS and "(deleted)" not in target), target
