"""The backend without namespaces: what programs can do in it, what it keeps them from, and what they may use."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.landlock import rules as landlock_rules
from sandbox.landlock.backend import open_landlock
from sandbox.model import Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.visible_files import third_party_folders
from tests.sandbox.landlock_runs import LIMITS, printed, run
from tests.sandbox.waiting import wait_until

pytestmark = pytest.mark.skipif(landlock_rules.version() == 0, reason="this kernel has no Landlock")

OLD = 1
"""The first version of Landlock's interface, which refuses least."""
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module", params=[None, OLD], ids=["newest", "first version"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[WarmSandbox]:
    with open_landlock(request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def newest() -> Iterator[WarmSandbox]:
    with open_landlock() as opened:
        yield opened


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder and a file in it that any user of the host may read and write."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "file").write_text("as it was")
        (folder / "file").chmod(0o666)
        yield folder


# What programs can do


def test_programs_functions_and_compiled_programs_run(sandbox: WarmSandbox) -> None:
    executions = sandbox.run(Program("print(int(input()) * 7)"), [b"6", b"8"], LIMITS)
    assert [e.stdout for e in executions] == [b"42\n", b"56\n"]
    assert sandbox.call(Program("def f(x): return (x, {1: x})"), "f", [[5]], LIMITS)[0].value == (5, {1: 5})
    if shutil.which("g++"):
        source = "#include <bits/stdc++.h>\nint main(){int a; std::cin >> a; std::cout << a * 7;}"
        assert sandbox.run(Program(source, "cpp"), [b"6"], LIMITS)[0].stdout == b"42"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("raise ValueError", Status.RUNTIME_ERROR),
        ("import os; os.abort()", Status.RUNTIME_ERROR),
        ("while True: pass", Status.TIME_LIMIT),
        ("import time; time.sleep(60)", Status.TIME_LIMIT),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", Status.MEMORY_LIMIT),
        ("import os, time\nos.fork(); os.fork()\nx = bytearray(60 << 20)\ntime.sleep(3)", Status.MEMORY_LIMIT),
        ("while True: print('x' * 4096)", Status.OUTPUT_LIMIT),
    ],
)
def test_statuses(newest: WarmSandbox, source: str, status: Status) -> None:
    cpu_s, wall_s = (0.3, 0.6) if status is Status.TIME_LIMIT else (10, 20)
    limits = Limits(cpu_s=cpu_s, wall_s=wall_s, memory_mb=128, processes=16, output_bytes=1 << 18)
    execution = run(newest, source, limits=limits)
    assert execution.status is status, execution


def test_own_folder_is_for_everything(sandbox: WarmSandbox) -> None:
    source = """
        import os, shutil, tempfile
        here = os.getcwd()
        assert here == tempfile.gettempdir() == os.environ["HOME"]
        with tempfile.TemporaryDirectory() as folder:
            open(folder + "/a", "w").write("text")
            os.rename(folder + "/a", folder + "/b")
            os.symlink("b", folder + "/link")
            os.mkfifo(folder + "/pipe")
            shutil.copy(folder + "/link", here + "/copy")
        open("copy", "r+").truncate(2)
        print(open("copy").read(), os.listdir())
    """
    assert printed(sandbox, source) == "te ['copy']"
    assert printed(sandbox, "import os; print(os.listdir())") == "[]"


def test_modules_not_yet_loaded_are_found(sandbox: WarmSandbox) -> None:
    """Also where only root can walk to the interpreter's folder."""
    source = "import ctypes, decimal, email.mime.text, sqlite3, xml.dom.minidom\nprint(decimal.Decimal('1.50'))"
    assert printed(sandbox, source) == "1.50"


def test_programs_may_signal_themselves_and_connected_pairs_work(sandbox: WarmSandbox) -> None:
    source = """
        import asyncio, os, signal, socket
        caught = []
        signal.signal(signal.SIGUSR1, lambda *_: caught.append(1))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        os.killpg(0, signal.SIGUSR1)
        a, b = socket.socketpair()
        a.send(b"x")
        print(len(caught), b.recv(9), asyncio.run(asyncio.sleep(0, "slept")))
    """
    assert printed(sandbox, source) == "3 b'x' slept"


# What they cannot


def test_files_of_the_host_are_out_of_reach(sandbox: WarmSandbox, open_folder: Path) -> None:
    source = """
        import os
        folder = input()
        file = folder + "/file"
        os.symlink(file, "link")
        def link(): os.link(file, "hard"); open("hard").read()
        def out(): os.rename("link", folder + "/moved")
        for name, action in {
            "read": lambda: open(file).read(),
            "read link": lambda: open("link").read(),
            "write": lambda: open(file, "r+").write("x"),
            "truncate": lambda: os.truncate(file, 0),
            "list": lambda: os.listdir(folder),
            "make": lambda: open(folder + "/new", "w"),
            "mkdir": lambda: os.mkdir(folder + "/new"),
            "remove": lambda: os.unlink(file),
            "hard link": link,
            "move out": out,
            "tmp": lambda: os.listdir("/tmp"),
            "root": lambda: os.listdir("/"),
            "passwd": lambda: open("/etc/passwd").read(),
            "self": lambda: open("/proc/self/environ").read(),
            "parent": lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
            "proc": lambda: os.listdir("/proc"),
            "sys": lambda: os.listdir("/sys"),
            "shm": lambda: open("/dev/shm/x", "w"),
            "chroot": lambda: os.chroot("."),
            "socket file": lambda: os.mknod("s", 0o140600),
            "device": lambda: os.mknod("d", 0o020600, 0x103),
        }.items():
            try: action(); print("ESCAPED", name)
            except OSError: pass
    """
    assert printed(sandbox, source, f"{open_folder}\n".encode()) == ""
    assert (open_folder / "file").read_text() == "as it was"
    assert os.listdir(open_folder) == ["file"]


def test_installed_packages_are_not_read(sandbox: WarmSandbox) -> None:
    """They may hold the very answers that a program is asked for."""
    folders = [folder for folder in third_party_folders() if any(Path(folder).rglob("*.py"))]
    if not folders:
        pytest.skip("no packages beside this interpreter's own")
    file = next(Path(folders[0]).rglob("*.py"))
    source = """
        try: print(open(input()).read(1))
        except OSError as error: print(type(error).__name__)
    """
    assert printed(sandbox, source, f"{file}\n".encode()) == "PermissionError"


def test_modes_times_and_attributes_of_the_host_stay(sandbox: WarmSandbox, open_folder: Path) -> None:
    file = open_folder / "file"
    before = file.stat()
    source = """
        import os
        file = input()
        for action in (lambda: os.chmod(file, 0), lambda: os.utime(file, (1, 1)), lambda: os.chown(file, -1, -1),
                       lambda: os.setxattr(file, "user.x", b"x")):
            try: action()
            except OSError: pass
    """
    printed(sandbox, source, f"{file}\n".encode())
    after = file.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_uid) == (before.st_mode, before.st_mtime_ns, before.st_uid)
    with contextlib.suppress(OSError):
        assert os.listxattr(file) == []


def test_no_socket_reaches_anybody(sandbox: WarmSandbox, open_folder: Path) -> None:
    names = [f"{open_folder}/listener", "\0selfplay-test-listener"]
    listeners = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM)]
    for listener, name in zip(listeners, names, strict=True):
        listener.bind(name)
    os.chmod(names[0], 0o777)
    source = """
        import json, socket
        for family in range(46):
            for kind in (1, 2, 3, 5):
                try: socket.socket(family, kind); print("ESCAPED", family, kind)
                except OSError: pass
        try: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); print("ESCAPED by a pair of datagram sockets")
        except OSError: pass
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            for name in json.loads(input()) if kind == 1 else []:
                a, b = socket.socketpair(socket.AF_UNIX, kind)
                for action in (lambda: a.sendto(b"x", name), lambda: a.connect(name),
                               lambda: a.sendmsg([b"x"], [], 0, name)):
                    try: action()
                    except OSError: pass
    """
    assert printed(sandbox, source, json.dumps(names).encode()) == ""
    for listener in listeners:
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.recv(9)
        listener.close()


def test_nobody_outside_can_be_signalled(sandbox: WarmSandbox) -> None:
    witness = subprocess.Popen(["/bin/sleep", "60"])
    source = """
        import ctypes, fcntl, os, signal
        outside = [int(x) for x in input().split()] + [os.getppid()]
        libc = ctypes.CDLL(None)
        for pid in outside:
            for action in (lambda: os.kill(pid, 0), lambda: os.kill(pid, signal.SIGTERM), lambda: os.kill(-pid, 9),
                           lambda: os.killpg(pid, 9), lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 9)):
                try: action(); print("ESCAPED", pid)
                except OSError: pass
            for number, arguments in ((234, (pid, pid, 9)), (200, (pid, 9)), (101, (16, pid, 0, 0))):
                if libc.syscall(number, *arguments) == 0: print("ESCAPED", number)
        # A signal that the kernel sends for a program.
        r, w = os.pipe()
        for pid in outside:
            try:
                fcntl.fcntl(r, fcntl.F_SETOWN, pid)
                fcntl.fcntl(r, 10, int(signal.SIGKILL))
                fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)
                os.write(w, b"x")
            except OSError: pass
        try: os.kill(-1, signal.SIGUSR1)
        except OSError: pass
    """
    pids = f"{witness.pid} {os.getpid()}\n".encode()
    assert printed(sandbox, source.replace("234", "234" if os.uname().machine == "x86_64" else "131"), pids) == ""
    assert witness.poll() is None
    witness.kill()
    witness.wait()
    assert printed(sandbox, "print(1)") == "1"


def test_system_v_objects_are_refused(sandbox: WarmSandbox) -> None:
    source = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        calls = {"shmget": (1, 4096, 0o1600), "semget": (1, 1, 0o1600), "msgget": (1, 0o1600), "semctl": (0, 0, 0),
                 "msgctl": (0, 0, 0), "shmctl": (0, 0, 0), "shmdt": (0,), "inotify_add_watch": (0, b"/tmp", 1)}
        for name, arguments in calls.items():
            ctypes.set_errno(0)
            if getattr(libc, name)(*arguments) >= 0 or ctypes.get_errno() != 1:
                print("ESCAPED", name, ctypes.get_errno())
    """
    assert printed(sandbox, source) == ""


@pytest.mark.skipif(not ROOT, reason="only under root does a sandbox get a user of its own")
def test_every_sandbox_has_a_user_of_its_own(newest: WarmSandbox) -> None:
    who = "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"
    with open_landlock() as other:
        users = {printed(newest, who), printed(other, who)}
    assert len(users) == 2
    assert not any("(0," in user for user in users)


def test_one_sandbox_is_out_of_reach_of_another(newest: WarmSandbox) -> None:
    with open_landlock() as other:
        place = printed(other, "import os; print(os.getcwd())")
        look = "import os\ntry: print(os.listdir(input()))\nexcept OSError as error: print(type(error).__name__)"
        assert printed(newest, look, f"{place}\n".encode()) == "PermissionError"


# What they use


BOMBS = {
    "fork": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "sessions": "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n    except OSError: pass",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_ended(newest: WarmSandbox, name: str) -> None:
    execution = run(newest, BOMBS[name], limits=Limits(cpu_s=0.5, wall_s=1, processes=16))
    assert execution.status not in (Status.OK, Status.SANDBOX_ERROR)
    assert execution.wall_s < 30
    assert printed(newest, "print(1)") == "1"


def test_descendants_that_hide_are_ended(newest: WarmSandbox) -> None:
    source = """
        import os, signal, time
        if os.fork() == 0:
            os.setsid()
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            if os.fork() == 0:
                os.setsid()
                print(os.getpid(), flush=True)
                time.sleep(60)
            os._exit(0)
        time.sleep(0.3)
    """
    pid = int(printed(newest, source))
    assert wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_too_many_processes_are_counted(newest: WarmSandbox) -> None:
    many = """
        import os, time
        for _ in range(40):
            try:
                if os.fork() == 0: time.sleep(9)
            except OSError: os._exit(7)
    """
    execution = run(newest, many, limits=Limits(processes=16))
    assert execution.status is Status.RUNTIME_ERROR


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(20): open(str(i), 'wb').write(bytes(1 << 20))",
        "import os, time\nkept = []\nfor i in range(20):\n    kept.append(open('f', 'wb')); os.unlink('f')\n"
        "    kept[-1].write(bytes(1 << 20)); kept[-1].flush()\ntime.sleep(3)",
        "for i in range(11_000): open(str(i), 'w').close()",
        "import os, time\nfor i in range(200): os.mkdir('d'); os.chdir('d')\ntime.sleep(3)",
        "import os, time\nos.mkdir('d'); open('d/f', 'w').write('x'); os.chmod('d', 0)\ntime.sleep(1); x = [bytes(9)]\n"
        "os.chmod('d', 0o700)\nfor i in range(20): open(f'd/{i}', 'wb').write(bytes(1 << 20))",
    ],
    ids=["files", "deleted files", "names", "depth", "closed folder"],
)  # fmt: skip
def test_disk_is_watched(newest: WarmSandbox, source: str) -> None:
    execution = run(newest, source, limits=Limits(cpu_s=15, wall_s=30, disk_mb=8))
    assert execution.status is Status.RUNTIME_ERROR, execution
    assert printed(newest, "import os; print(os.listdir())") == "[]"


def test_a_closed_folder_is_opened_and_counted_at_the_end(newest: WarmSandbox) -> None:
    source = "import os\nos.mkdir('d'); os.mkdir('d/e')\nopen('d/e/f', 'wb').write(bytes({size}))\n{close}"
    close = "os.chmod('d/e', 0); os.chmod('d', 0); os.chmod('.', 0); os._exit(0)"
    small, large = (source.format(size=size, close=close) for size in (1 << 10, 6 << 20))
    # A busy machine may stop it between closing and its end, where the watch finds what it can't count.
    assert any(run(newest, small).status is Status.OK for _ in range(20))
    assert run(newest, large, limits=Limits(disk_mb=4)).status is Status.RUNTIME_ERROR
    assert printed(newest, "import os; print(os.listdir())") == "[]"
