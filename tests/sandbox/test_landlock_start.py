"""The backend without namespaces: its start, its end, that nothing of it stays behind, and when it is chosen."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.bubblewrap import backend as bubblewrap
from sandbox.inside.process_tree import PidNamespace, descendants
from sandbox.landlock import backend as landlock
from sandbox.landlock import filter as landlock_filter
from sandbox.landlock import inside as landlock_inside
from sandbox.landlock import rules as landlock_rules
from sandbox.landlock.backend import open_landlock
from sandbox.model import SandboxUnavailable, Status
from sandbox.open import open_sandbox
from sandbox.warm.visible_files import PackageMissing, interpreter, reachable_by_others
from tests.sandbox.landlock_runs import printed, run
from tests.sandbox.waiting import wait_until

pytestmark = pytest.mark.skipif(landlock_rules.version() == 0, reason="this kernel has no Landlock")


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder in which no other test opens a sandbox."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


def test_close_leaves_nothing(temporary: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open_landlock() as sandbox:
        run(sandbox, "open('file', 'w')")
        assert sandbox._server.process is not None
        keeper = sandbox._server.process.pid
        below = [keeper, *descendants(keeper)]
        assert len(below) == 2
        assert len(os.listdir(temporary)) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
    assert (os.listdir(temporary), len(os.listdir("/proc/self/fd"))) == ([], before)


@pytest.mark.parametrize("victim", [0, 1], ids=["keeper", "fork server"])
def test_killed_part_costs_one_execution(temporary: Path, victim: int) -> None:
    with open_landlock() as sandbox:
        run(sandbox, "print(1)")
        assert sandbox._server.process is not None
        keeper = sandbox._server.process.pid
        parts = [keeper, *descendants(keeper)]
        os.kill(parts[victim], signal.SIGKILL)
        # Each ends with the other, and may get one more test done before.
        assert wait_until(lambda: not any(map(_lives, parts)))
        assert run(sandbox, "print(1)").status is Status.SANDBOX_ERROR
        assert run(sandbox, "print(1)").status is Status.OK
    assert os.listdir(temporary) == []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_caller_killed_leaves_nothing(temporary: Path) -> None:
    script = textwrap.dedent("""
        from sandbox.landlock.backend import open_landlock
        from sandbox.model import Limits, Program
        sandbox = open_landlock()
        sandbox.run(Program("print(1)"), [b""], Limits())
        print("ready", flush=True)
        sandbox.run(Program("import time, os\\nos.fork(); os.setsid() if os.fork() == 0 else 0; time.sleep(60)"),
                    [b""], Limits(wall_s=60))
    """)
    root = str(Path(__file__).parents[2])
    caller = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    assert caller.stdout is not None
    with caller.stdout:
        assert caller.stdout.readline() == b"ready\n"
    assert wait_until(lambda: len(descendants(caller.pid)) >= 5)
    below = list(descendants(caller.pid))
    caller.kill()
    caller.wait()
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    assert wait_until(lambda: os.listdir(temporary) == [])


def test_as_an_ordinary_user() -> None:
    """Root stands aside: modes of files are pretended to change, and processes of the same user are not reached."""
    python = next((p for p in (interpreter(), "/usr/bin/python3") if _usable(p)), None)
    if python is None:
        pytest.skip("no Python here that another user can run")
    script = textwrap.dedent("""
        import json, os, sys
        sys.path.insert(0, sys.argv[1])
        if os.getuid() == 0:
            os.setgroups([]); os.setgid(64321); os.setuid(64321)
        from sandbox.landlock.backend import open_landlock
        from sandbox.model import Limits, Program
        mine = sys.argv[1] + f"/mine-{os.getpid()}"
        open(mine, "w").close(); os.chmod(mine, 0o644)
        attack = '''
        import os
        mine, pid = input().split()
        for action in (lambda: open(mine).read(), lambda: open(mine, "w"), lambda: os.kill(int(pid), 0)):
            try: action(); print("ESCAPED")
            except OSError: pass
        for action in (lambda: os.chmod(mine, 0), lambda: os.utime(mine, (1, 1)),
                       lambda: os.setxattr(mine, "user.x", b"x")):
            try: action()
            except OSError: pass
        print(len(os.listdir()))
        '''
        import textwrap
        before = os.stat(mine)
        bomb = "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass"
        with open_landlock() as sandbox:
            said = sandbox.run(Program(textwrap.dedent(attack)), [f"{mine} {os.getpid()}".encode()], Limits())[0]
            bombed = sandbox.run(Program(bomb), [b""], Limits(cpu_s=0.5, wall_s=1, processes=16))[0]
            after = sandbox.run(Program("print(1)"), [b""], Limits())[0]
        same = os.stat(mine)[:9] == before[:9]
        print(json.dumps([said.stdout.decode(), str(bombed.status), after.stdout.decode(), same]))
    """)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        shutil.copytree(Path(landlock.__file__).parents[1], Path(folder, "sandbox"))
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o644)
        done = subprocess.run([python, "-c", script, folder], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    said, bombed, after, same = json.loads(done.stdout)
    assert said == "0\n"
    assert bombed not in ("ok", "sandbox_error")
    assert after == "1\n"
    assert same


def _usable(python: str) -> bool:
    if not os.path.exists(python) or not reachable_by_others(python):
        return False
    asked = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def test_it_must_be_told_to_do_without_a_bound_on_the_disk() -> None:
    with pytest.raises(SandboxUnavailable, match=r"landlock cannot enforce disk on this host.*waiving"):
        open_sandbox("landlock")
    with open_sandbox("landlock", waive=["disk"]) as sandbox:
        assert sandbox.backend == "landlock"
        assert printed(sandbox, "print(1)") == "1"


def test_auto_falls_back_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.open._passed", {})
    monkeypatch.setattr(bubblewrap, "find_binaries", lambda: ["/bin/false"])
    with pytest.raises(SandboxUnavailable, match=r"bubblewrap: .*; landlock cannot enforce disk"):
        open_sandbox()
    with open_sandbox(waive=["disk"]) as sandbox:
        assert sandbox.backend == "landlock"


def test_where_user_namespaces_are_forbidden() -> None:
    """As in most pods: here a filter of the process's own refuses them."""
    script = textwrap.dedent("""
        from sandbox.seccomp.bpf import Filter
        from sandbox.landlock.inside import _install
        from sandbox.model import Limits, Program, SandboxUnavailable
        from sandbox.open import open_sandbox
        from sandbox.inside.process_tree import process_control
        forbidding = Filter()
        forbidding.refuse({"unshare": (272, 97), "mount": (165, 40)})
        forbidding.refuse_unless((56, 220), [(0, (0,), 0x10000000)])
        forbidding.refuse({"clone3": (435, 435)}, error=38)
        process_control(38, 1)
        _install(forbidding.program())
        try: open_sandbox()
        except SandboxUnavailable as error: print(error)
        with open_sandbox(waive=["disk"]) as sandbox:
            print(sandbox.backend, sandbox.run(Program("print(6 * 7)"), [b""], Limits())[0].stdout)
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    refusal, opened = done.stdout.splitlines() or [done.stderr, ""]
    assert refusal.startswith("bubblewrap: ")
    assert "landlock cannot enforce disk" in refusal
    assert opened == "landlock b'42\\n'"


@pytest.mark.parametrize(("version", "said"), [(0, "does not offer it"), (-1, "no system-call filter")])
def test_no_backend_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, version: int, said: str) -> None:
    monkeypatch.setattr("sandbox.open._passed", {})
    monkeypatch.setattr(bubblewrap, "find_binaries", list)
    if version == 0:
        monkeypatch.setattr(landlock_rules, "version", lambda: 0)
    else:
        monkeypatch.setattr("sandbox.seccomp.filter.supported", lambda: False)
    with pytest.raises(SandboxUnavailable, match=f"no sandbox works on this host .*{said}"):
        open_sandbox(waive=["disk"])


def test_start_that_fails_is_a_sandbox_error(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setattr(landlock_filter, "shared_filter", lambda _: b"\xff" * 8)
    with open_landlock() as sandbox:
        assert run(sandbox, "print(1)").status is Status.SANDBOX_ERROR
    assert os.listdir(temporary) == []


def test_confinement_that_fails_never_runs_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter of one process is not one: the test is not started, which is no verdict on the program."""
    monkeypatch.setattr(landlock_filter, "program_filter", lambda *_, **__: b"\xff" * 8)
    with open_landlock() as sandbox:
        execution = run(sandbox, "print(1)")
    assert execution.status is Status.SANDBOX_ERROR
    assert execution.stdout == b""
    assert "could not start" in execution.reason


def test_packages_can_be_shown() -> None:
    look = "try:\n    import iniconfig\n    print(iniconfig.__name__)\nexcept ImportError: print('no')"
    with open_landlock() as without, open_landlock(packages=["iniconfig"]) as shown:
        assert printed(without, look) == "no"
        assert printed(shown, look) == "iniconfig"
    with pytest.raises(PackageMissing, match="no_such_package"):
        open_landlock(packages=["no_such_package"])


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("version", [1, 3, 6])
@pytest.mark.parametrize("own_user", [False, True])
def test_filters_are_well_formed(machine: str, version: int, own_user: bool) -> None:
    shared = landlock_filter.shared_filter(version, machine)
    own = landlock_filter.program_filter(version, own_user, machine)
    assert (own == b"") == (version >= 6 and own_user)
    for program in filter(None, (shared, own, landlock_inside._for_process(own, 4321))):
        count = len(program) // 8
        assert len(program) == 8 * count
        for index in range(count):
            code = int.from_bytes(program[8 * index : 8 * index + 2], "little")
            jumps = program[8 * index + 2 : 8 * index + 4]
            assert index + 1 + max(jumps) < count or code == 0x06
    assert (landlock_inside._WORD.pack(landlock_inside.OWN_PID) in own) == (version < 6)


def test_only_process_one_may_end_a_namespace() -> None:
    with pytest.raises(RuntimeError, match="process 1"):
        PidNamespace()
