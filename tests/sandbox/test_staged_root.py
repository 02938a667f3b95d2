"""The root that a caller with root's rights puts together once for all its sandboxes."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest

from sandbox.bubblewrap import backend as bubblewrap
from sandbox.bubblewrap import staged_root
from sandbox.bubblewrap.entering import entered
from sandbox.model import Limits, Program, Status
from sandbox.process.launching import launch
from sandbox.warm.visible_files import interpreter, shared_entries

BINARIES = bubblewrap.find_binaries()
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not BINARIES, reason="needs bwrap"),
]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[object, ...], staged_root.StagedRoot]:
    made: dict[tuple[object, ...], staged_root.StagedRoot] = {}
    monkeypatch.setattr(staged_root, "_staged", made)
    return made


def test_sandboxes_share_one_stage(stages: dict[tuple[object, ...], staged_root.StagedRoot]) -> None:
    for _ in range(2):
        with bubblewrap.open_bubblewrap() as sandbox:
            (execution,) = sandbox.run(Program("print(input())"), [b"1\n"], Limits())
        assert execution.stdout == b"1\n"
    assert len(stages) == 1


def test_nothing_of_the_stage_reaches_a_program() -> None:
    source = (
        "import os\nprint(sorted(os.listdir('/mnt')) if os.path.exists('/mnt') else 'none')\n"
        "fds = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]\n"
        "print([os.readlink(fd) for fd in fds if os.path.exists(fd)])\n"
        "try: open('/usr/lib/x', 'w')\nexcept OSError as error: print(error.errno)\n"
        "try: open('/x', 'w')\nexcept OSError as error: print(error.errno)\n"
    )
    with bubblewrap.open_bubblewrap() as sandbox:
        (execution,) = sandbox.run(Program(source), [b""], Limits())
    lines = execution.stdout.decode().splitlines()
    assert lines[0] == "none"
    assert "mnt:" not in lines[1]
    assert lines[2:] == ["30", "30"]


def test_a_folder_that_was_made_anew_is_staged_anew(tmp_path: Path) -> None:
    folder = tmp_path / "extra"
    folder.mkdir()
    entries = [*shared_entries(()), ("--ro-bind", str(folder), "/opt/extra")]
    program_folder = str(Path(BINARIES[0]).parents[2])
    first = staged_root.staged_root(BINARIES[0], program_folder, entries)
    assert staged_root.staged_root(BINARIES[0], program_folder, entries) is first
    folder.rename(tmp_path / "old")
    folder.mkdir()
    second = staged_root.staged_root(BINARIES[0], program_folder, entries)
    assert second.namespace != first.namespace
    for stage in (first, second):
        os.close(stage.namespace)


def test_a_stage_whose_descriptor_was_closed_is_made_again(
    stages: dict[tuple[object, ...], staged_root.StagedRoot],
) -> None:
    def run() -> Status:
        with bubblewrap.open_bubblewrap() as sandbox:
            return sandbox.run(Program("print(1)"), [b""], Limits())[0].status

    assert run() is Status.OK
    (stage,) = stages.values()
    os.close(stage.namespace)
    with open("/dev/null") as other:
        os.dup2(other.fileno(), stage.namespace)
    assert run() is Status.OK
    os.close(stage.namespace)


def test_a_stage_that_the_host_refuses_says_why(tmp_path: Path) -> None:
    program_folder = str(Path(BINARIES[0]).parents[2])
    with pytest.raises(OSError, match="nowhere"):
        staged_root.staged_root(BINARIES[0], program_folder, [("--ro-bind", "/nowhere/at/all", "/x")])
    refused = [*shared_entries(()), ("--perms", "none", "--dir", "/x")]
    with pytest.raises(PermissionError, match="bwrap"):
        staged_root.staged_root(BINARIES[0], program_folder, refused)


def test_without_a_stage_what_all_can_reach_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> staged_root.StagedRoot:
        raise PermissionError("there is no namespace")

    monkeypatch.setattr(bubblewrap, "staged_root", none)
    monkeypatch.setattr(bubblewrap.files, "reachable_by_others", lambda _: True)
    command, within = bubblewrap.bwrap_command("/usr/bin/bwrap", 1 << 20, {"filter": 9}, ())
    assert within is None
    assert command[0] in ("setpriv", interpreter())
    monkeypatch.setattr(bubblewrap.files, "reachable_by_others", lambda _: False)
    with pytest.raises(PermissionError, match="namespace"):
        bubblewrap.bwrap_command("/usr/bin/bwrap", 1 << 20, {"filter": 9}, ())


def test_a_stage_is_found_by_a_sandbox_of_another_thread_after_its_maker_ended() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> Status:
        with bubblewrap.open_bubblewrap() as sandbox:
            return sandbox.run(Program(f"print({number})"), [b""], Limits())[0].status

    for number in range(2):
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(one, range(number, number + 2))) == [Status.OK, Status.OK]


def _threads() -> dict[str, tuple[str, ...]]:
    """Of each thread of this process: users, groups, rights, mount namespace and root."""
    found = {}
    for thread in (str(one.native_id) for one in threading.enumerate()):
        lines = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
        told = [line for line in lines if line.startswith(("Uid", "Gid", "Groups", "CapEff", "CapPrm"))]
        links = [os.readlink(f"/proc/self/task/{thread}/{name}") for name in ("ns/mnt", "root")]
        found[thread] = (*told, *links)
    return found


def test_a_start_leaves_every_thread_of_the_caller_as_it_was() -> None:
    before, mark = _threads(), os.stat("/proc/self/status").st_uid
    with bubblewrap.open_bubblewrap() as sandbox:
        assert sandbox.run(Program("print(1)"), [b""], Limits())[0].status is Status.OK
        assert sandbox._server.process is not None
        users = Path(f"/proc/{sandbox._server.process.pid}/status").read_text().split("Uid:")[1].split()[:4]
    assert len(set(users)) == 1
    assert users[0] != "0"
    assert set(_threads().values()) == set(before.values())
    assert gc.isenabled()
    assert os.stat("/proc/self/status").st_uid == mark


def test_a_start_that_fails_leaves_every_thread_as_it_was(
    stages: dict[tuple[object, ...], staged_root.StagedRoot],
) -> None:
    before = set(_threads().values())
    with bubblewrap.open_bubblewrap() as sandbox:
        sandbox.run(Program("print(1)"), [b""], Limits())
    (stage,) = stages.values()
    with pytest.raises(FileNotFoundError):
        launch(["/nowhere/at/all"], fds=(), environment={}, within=stage.entered(1_900_000_001))
    with open("/dev/null") as other, pytest.raises(OSError, match="could not enter"):
        launch(["/bin/true"], fds=(), environment={}, within=entered(other.fileno(), 1_900_000_001))
    assert set(_threads().values()) == before
    assert gc.isenabled()
    os.close(stage.namespace)
