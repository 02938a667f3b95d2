"""Control groups: made where the host allows, gone at the end, and no verdict hangs on them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.model import Limits, Program, Status
from sandbox.open import open_sandbox
from sandbox.warm import cgroups, fork_server
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=2, wall_s=5, memory_mb=128, processes=16)
GREEDY = Program(
    "import os, time\nfor _ in range(3): os.fork()\nheld = [bytearray(1 << 20) for _ in range(60)]\ntime.sleep(2)"
)


@pytest.fixture
def sandbox() -> Iterator[WarmSandbox]:
    opened = open_sandbox()
    with opened:
        yield opened


@pytest.fixture
def host_group() -> Iterator[cgroups.Cgroup]:
    group = cgroups.open_cgroup()
    if group is None:
        pytest.skip("this host allows no control groups")
    yield group
    group.remove()


def test_a_sandbox_has_its_own_group_until_it_closes(host_group: cgroups.Cgroup, sandbox: WarmSandbox) -> None:
    sandbox.run(Program("print(1)"), [b""], LIMITS)
    group = sandbox._server.cgroup
    assert group is not None
    assert group.version == host_group.version
    folder = group._memory
    assert len((folder / "cgroup.procs").read_text().split()) >= 1
    sandbox.close()
    assert not folder.exists()


def test_removal_ends_what_is_left(host_group: cgroups.Cgroup) -> None:
    """As when the parts of a sandbox that should have ended it were killed themselves."""
    group = cgroups.open_cgroup()
    assert group is not None
    left = subprocess.Popen(["/bin/sleep", "60"])
    group.admit([left.pid])
    group.remove()
    assert left.wait(5) == -signal.SIGKILL
    assert not group._memory.exists()


def test_the_kernel_bounds_a_whole_tree(host_group: cgroups.Cgroup, sandbox: WarmSandbox) -> None:
    sandbox.run(Program("print(1)"), [b""], LIMITS)
    assert sandbox._server.cgroup is not None
    low = 48 << 20
    sandbox._server.cgroup.limit(low, 20)
    sandbox._server.cgroup.limit = lambda *_: None  # type: ignore[method-assign]
    execution = sandbox.run(GREEDY, [b""], Limits(cpu_s=5, wall_s=8, memory_mb=4096))[0]
    assert execution.status is Status.MEMORY_LIMIT


@pytest.mark.parametrize("switch", ["on", "off"])
def test_verdicts_are_the_same_without(switch: str, monkeypatch: pytest.MonkeyPatch, sandbox: WarmSandbox) -> None:
    monkeypatch.setenv(cgroups.SWITCH, switch)
    assert sandbox.run(GREEDY, [b""], LIMITS)[0].status is Status.MEMORY_LIMIT
    if switch == "off":
        assert sandbox._server.cgroup is None
    forks = Program("import os, time\nfor _ in range(64):\n    if os.fork() == 0: time.sleep(3); os._exit(0)")
    assert sandbox.run(forks, [b""], LIMITS)[0].status is Status.RUNTIME_ERROR
    assert sandbox.run(Program("print(6 * 7)"), [b""], LIMITS)[0].stdout == b"42\n"


EVASIVE = Program(
    "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfor _ in range(80):\n"
    "    if os.fork() == 0:\n        while time.process_time() < 0.008: pass\n        os._exit(0)\n"
    "    try: os.wait()\n    except ChildProcessError: pass\n"
)
"""Children whose time the kernel adds to nobody's, each too short-lived to be seen at its end."""


def test_processor_time_of_children_that_nobody_reaps_counts(host_group: cgroups.Cgroup, sandbox: WarmSandbox) -> None:
    execution = sandbox.run(EVASIVE, [b""], Limits(cpu_s=0.3, wall_s=60))[0]
    assert execution.status is Status.TIME_LIMIT
    assert sandbox.run(Program("print(1)"), [b""], Limits(cpu_s=0.3))[0].status is Status.OK


def test_short_tests_are_not_asked_about_one_by_one(
    host_group: cgroups.Cgroup, sandbox: WarmSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.run(Program("print(1)"), [b""], LIMITS)
    asked: list[float] = []
    real = cgroups.Cgroup.spent_s

    def spent_s(self: cgroups.Cgroup) -> float:
        asked.append(real(self))
        return asked[-1]

    monkeypatch.setattr(cgroups.Cgroup, "spent_s", spent_s)
    monkeypatch.setattr(fork_server, "_PROCESSORS", 2)
    monkeypatch.setattr(fork_server, "_UNREAD_S", 60)
    assert all(done.status is Status.OK for done in sandbox.run(Program("print(1)"), [b""] * 8, LIMITS))
    assert asked == []
    # What they may have used is not held against the next one, and that is still found out.
    assert sandbox.run(EVASIVE, [b""], Limits(cpu_s=0.3, wall_s=60))[0].status is Status.TIME_LIMIT
    assert len(asked) == 1
    monkeypatch.setattr(fork_server, "_UNREAD_S", 0)
    assert sandbox.run(Program("print(1)"), [b""], LIMITS)[0].status is Status.OK
    assert len(asked) == 2


def test_groups_of_ended_processes_are_removed(host_group: cgroups.Cgroup) -> None:
    stale = host_group._memory.parent / f"{cgroups._PREFIX}-4194304-1-0"
    stale.mkdir()
    cgroups._remove_stale.cache_clear()
    again = cgroups.open_cgroup()
    assert again is not None
    again.remove()
    assert not stale.exists()


def test_version_2_where_controllers_are_given_to_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of version 2 on plain files, since few hosts let a test make real groups of it."""
    (tmp_path / "scope").mkdir()
    for folder in (tmp_path, tmp_path / "scope"):
        (folder / "cgroup.procs").touch()
    monkeypatch.setattr(cgroups, "_own_folder", lambda kind, controller: tmp_path / "scope")
    real = Path.mkdir

    def mkdir(folder: Path, *arguments: object, **options: object) -> None:
        real(folder, *arguments, **options)  # type: ignore[arg-type]
        if folder.parent == tmp_path:
            for name in ("memory.max", "pids.max", "cgroup.procs", "memory.swap.max"):
                (folder / name).touch()
            (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 0\n")
            (folder / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    group = cgroups.open_cgroup()
    assert group is not None
    assert (group.version, group._memory.parent) == (2, tmp_path)
    assert not list((tmp_path / "scope").glob("selfplay*"))
    group.limit(1 << 20, 7)
    assert (group._memory / "memory.max").read_text() == "1048576"
    assert (group._memory / "pids.max").read_text() == "7"
    assert not group.ran_out_of_memory()
    assert group.spent_s() == 2.5
    assert group.spent_s() == 0
    (group._memory / "memory.events").write_text("oom_kill 1\n")
    assert group.ran_out_of_memory()
    assert not group.ran_out_of_memory()
