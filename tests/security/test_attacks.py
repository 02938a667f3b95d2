"""Attacks on the sandbox: each is stopped or harmless within its limits, and the next honest test passes.

An attack prints ESCAPED when it got what it wanted; an attempt that fails may end in any status.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm import WarmSandbox

LIMITS = Limits(cpu_s=0.5, wall_s=1, memory_mb=128, processes=16, output_bytes=1 << 16, disk_mb=8)
SLACK_S = 3.0
"""For a busy machine: twice this is a hang, not a measurement."""

# Must end with one of these statuses.
BOUNDED = {
    "fork_bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fork_bomb_quiet": ("import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"),
    "thread_bomb": ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()"),
    "memory_bomb": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "memory_bomb_at_once": "x = bytearray(1 << 40)",
    "memory_bomb_in_children": (
        "import os\nfor _ in range(8): os.fork()\nx = []\nwhile True: x.append(bytearray(1 << 20))"
    ),
    "memory_shared_mapping": (
        "import mmap\nx = []\nwhile True:\n    m = mmap.mmap(-1, 1 << 20); m.write(b'x' * (1 << 20)); x.append(m)"
    ),
    "tmpfs_bomb": "i = 0\nwhile True:\n    open(str(i), 'wb').write(bytes(1 << 20)); i += 1",
    "shm_bomb": "i = 0\nwhile True:\n    open(f'/dev/shm/{i}', 'wb').write(bytes(1 << 20)); i += 1",
    "unlinked_files_bomb": (
        "x = []\nwhile True:\n"
        "    f = open('f', 'wb'); x.append(f)\n    __import__('os').unlink('f'); f.write(bytes(1 << 20))"
    ),
    "inode_bomb": "i = 0\nwhile True:\n    open(str(i), 'w').close(); i += 1",
    "directory_bomb": "import os\nwhile True:\n    os.mkdir('d'); os.chdir('d')",
    "descriptor_bomb": "x = []\nwhile True: x.append(open('/dev/null'))",
    "pipe_bomb": "import os\nx = []\nwhile True: x.append(os.pipe())",
    "output_flood": "while True: print('x' * 4096)",
    "stderr_flood": "import sys\nwhile True: sys.stderr.write('x' * 4096)",
    "one_huge_line": "import sys\nwhile True: sys.stdout.write('x' * 4096)",
    "sparse_output": "import os\nos.ftruncate(1, 1 << 40)",
    "flood_from_children": "import os\nfor _ in range(8): os.fork()\nwhile True: os.write(1, b'x' * 4096)",
    "busy_loop": "while True: pass",
    "loop_ignoring_signals": (
        "import signal\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass"
    ),
    "loop_in_c": "sum(range(10**15))",
    "loop_in_compiler": "x = " + "9**" * 3 + "9",
    "regex_backtracking": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "sleep": "import time\ntime.sleep(100)",
    "stopped": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "stopped_parent_and_child": "import os, signal\nos.fork()\nos.kill(os.getpid(), signal.SIGSTOP)",
    "stack_overflow": "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: [f()]\nf()",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "raised_limits": (
        "import resource\n"
        "for r in range(16):\n"
        "    try: resource.setrlimit(r, (resource.RLIM_INFINITY,) * 2)\n"
        "    except (OSError, ValueError): pass\n"
        "x = []\nwhile True: x.append(bytearray(1 << 20))"
    ),
    "source_too_deep": "(" * 100_000 + ")" * 100_000,
    "exec_of_shell": "import os\nos.execv('/bin/sh', ['sh', '-c', 'while :; do :; done'])",
    "null_in_source": "x = 1\0",
    "closed_descriptors": "import os\nos.closerange(0, 64)\nos.abort()",
}

HELD = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        {}\n"
    "    os._exit(0)\n"
    "os.wait()"
)

# May end in any status, but must not print ESCAPED.
CONTAINED = {
    "daemon_holding_stdout": HELD.format("time.sleep(100)"),
    "daemon_writing_files": HELD.format("\n        while True: open('/tmp/alive', 'w').write('x')"),
    "daemon_ignoring_signals": HELD.format(
        "import signal\n        signal.signal(15, signal.SIG_IGN)\n        while True: pass"
    ),
    "kill_everything": "import os\nos.kill(-1, 9)\nprint('ESCAPED')",
    "kill_parent": (
        "import os, time\n"
        "for n in (1, 2, 3, 9, 11, 15, 19, 20, 34, 64):\n    os.kill(1, n); os.kill(os.getppid(), n)\n"
        "time.sleep(0.1)"
    ),
    "kill_process_group": "import os\nos.killpg(0, 9)\nprint('ESCAPED')",
    "limit_the_fork_server": (
        "import resource\nresource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))\nprint('ESCAPED')"
    ),
    "pin_the_fork_server": "import os\nos.sched_setaffinity(1, {0})\nprint('ESCAPED')",
    "idle_the_fork_server": (
        "import os\nos.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))\nprint('ESCAPED')"
    ),
    "renice_the_fork_server": "import os\nos.setpriority(os.PRIO_PROCESS, 1, 19)\nprint('ESCAPED')",
    "memory_of_the_fork_server": "open('/proc/1/mem', 'r+b')\nprint('ESCAPED')",
    "descriptors_of_the_fork_server": (
        "import os\nif os.path.exists('/proc/1/fd') or os.path.exists('/proc/1/task'): print('ESCAPED')"
    ),
    "environment_of_the_fork_server": "open('/proc/1/environ').read()\nprint('ESCAPED')",
    "descriptor_by_pidfd": (
        "import os, ctypes\n"
        "fd = os.pidfd_open(1)\n"
        "if ctypes.CDLL(None).syscall(438, fd, 40, 0) >= 0: print('ESCAPED')"
    ),
    "inherited_descriptors": (
        "import os\n"
        "for n in range(3, 1024):\n"
        "    try: kind = os.readlink(f'/proc/self/fd/{n}')\n"
        "    except OSError: continue\n"
        "    if 'socket' in kind or kind.startswith('/'): print('ESCAPED', n, kind)"
    ),
    "ptrace": "import ctypes\nif ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0: print('ESCAPED')",
    "process_vm_read": (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.process_vm_readv(os.getpid(), None, 0, None, 0, 0)\n"
        "if ctypes.get_errno() != 1: print('ESCAPED')"
    ),
    "new_user_namespace": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000) == 0: print('ESCAPED')",
    "new_namespace_by_clone": (
        "import ctypes, os\n"
        "pid = ctypes.CDLL(None).syscall(56, 0x10000000 | 17, 0, 0, 0, 0)\n"
        "if pid == 0: os._exit(0)\n"
        "if pid > 0: print('ESCAPED')"
    ),
    "new_namespace_by_clone3": (
        "import ctypes, os, struct\n"
        "args = struct.pack('<8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0)\n"
        "pid = ctypes.CDLL(None).syscall(435, args, 64)\n"
        "if pid == 0: os._exit(0)\n"
        "if pid > 0: print('ESCAPED')"
    ),
    "mount": (
        "import ctypes\n"
        "if ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0: print('ESCAPED')"
    ),
    "unmount": "import ctypes\nif ctypes.CDLL(None).umount2(b'/proc/1', 2) == 0: print('ESCAPED')",
    "keyring": "import ctypes\nif ctypes.CDLL(None).syscall(250, 0, -3, 1) >= 0: print('ESCAPED')",
    "io_uring": "import ctypes\nif ctypes.CDLL(None).syscall(425, 8, bytes(120)) >= 0: print('ESCAPED')",
    "x32_calls": "import ctypes\nif ctypes.CDLL(None).syscall(0x40000000 + 39) >= 0: print('ESCAPED')",
    "memfd": "import os\nos.memfd_create('x')\nprint('ESCAPED')",
    "sysv_memory": "import ctypes\nif ctypes.CDLL(None).shmget(1, 4096, 0o1600) >= 0: print('ESCAPED')",
    "sysv_semaphore": "import ctypes\nif ctypes.CDLL(None).semget(1, 1, 0o1600) >= 0: print('ESCAPED')",
    "message_queue": "import ctypes\nif ctypes.CDLL(None).msgget(1, 0o1600) >= 0: print('ESCAPED')",
    "become_root": (
        "import os\n"
        "for f in (os.setuid, os.seteuid, os.setgid):\n"
        "    try: f(0); print('ESCAPED')\n"
        "    except OSError: pass"
    ),
    "setuid_program": (
        "import subprocess\n"
        "r = subprocess.run(['su', '-c', 'id -u'], capture_output=True, stdin=subprocess.DEVNULL)\n"
        "if r.stdout.strip() == b'0': print('ESCAPED')"
    ),
    "rewrite_stdin_file": (
        "import os\n"
        "fd = os.open('/dev/stdin', os.O_RDWR)\n"
        "os.write(fd, b'x')\n"
        "print('ESCAPED')"
    ),
    "write_system_files": (
        "for p in ('/x', '/usr/x', '/etc/x', '/dev/x', '/proc/sys/kernel/core_pattern', "
        "'/inside/sandbox/child.py',\n"
        "          '/proc/sysrq-trigger', '/usr/lib/x', '/root/x'):\n"
        "    try: open(p, 'a').write(''); print('ESCAPED', p)\n"
        "    except OSError: pass"
    ),
    "chmod_device": "import os\nos.chmod('/dev/null', 0)\nprint('ESCAPED')",
    "read_host_files": (
        "import os\n"
        "for p in ('/etc/passwd', '/etc/shadow', '/etc/hostname', '/etc/hosts', '/var/log', "
        "'/home', '/sys/kernel',\n"
        "          '/root/.ssh', '/root/.bashrc', '/proc/kcore', '/dev/mem', '/dev/sda', "
        "'/dev/vda', '/run', '/boot'):\n"
        "    try: os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(1); print('ESCAPED', p)\n"
        "    except OSError: pass"
    ),
    "symlink_out": (
        "import os\n"
        "for i, p in enumerate(['/etc/passwd', '/../../etc/passwd', '/proc/1/root/etc/passwd', "
        "'/proc/self/root/etc/passwd']):\n"
        "    os.symlink(p, str(i))\n"
        "    try: open(str(i)).read(); print('ESCAPED', p)\n"
        "    except OSError: pass"
    ),
    "hardlink_out": "import os\nos.link('/usr/bin/env', '/tmp/env')\nprint('ESCAPED')",
    "open_by_handle": (
        "import ctypes\n"
        "if ctypes.CDLL(None).name_to_handle_at(-100, b'/', bytes(128), bytes(8), 0) == 0: "
        "print('ESCAPED')"
    ),
    "chroot": "import os\nos.chroot('/tmp')\nprint('ESCAPED')",
    "network_every_family": (
        "import socket\n"
        "for family in range(2, 46):\n"
        "    for kind in (1, 2, 3, 5):\n"
        "        try: socket.socket(family, kind); print('ESCAPED', family, kind)\n"
        "        except OSError: pass"
    ),
    "network_by_name": "import socket\nsocket.create_connection(('localhost', 22), 1)\nprint('ESCAPED')",
    "abstract_socket": (
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "for line in open('/proc/net/unix').read().splitlines()[1:]:\n"
        "    name = line.split()[-1]\n"
        "    if name.startswith('@'): s.connect('\\0' + name[1:]); print('ESCAPED', name)"
    ),
    "tall_folder_for_the_cleaner": (
        "import os\nfor _ in range(4000):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nos.chmod('.', 0)"
    ),
    "odd_names_for_the_cleaner": (
        "import os\n"
        "os.mkdir('.0'); os.symlink('/usr', 'link'); os.mkfifo('fifo'); os.mkdir(b'\\xff\\n')\n"
        "os.mkdir('a'); os.mkdir('a/.0'); os.symlink('/', 'a/link'); os.chmod('a', 0)"
    ),
    "folder_itself_locked": "import os\nopen('f', 'w')\nos.chmod('/tmp', 0)",
    "empty_folder_locked": "import os\nos.chmod('/tmp', 0)",
    "poisoned_modules": (
        "import builtins, sys, os, json, math\n"
        "builtins.print = None; math.sqrt = None; json.loads = None; os.fork = None; sys.modules.clear()\n"
        "sys.path[:] = ['/tmp']\nopen('/tmp/math.py', 'w').write('raise SystemExit')"
    ),
    "planted_modules": (
        "for n in ('math', 'statistics', 'typing', 'threading', 'queue', 'sitecustomize', 'usercustomize'):\n"
        "    open(f'/tmp/{n}.py', 'w').write('import os; os._exit(0)')"
    ),
    "fork_server_loop": (
        "import sys\n"
        "z = sys.modules['sandbox.zygote']\n"
        "import os\nos.environ['SANDBOX_CHANNEL'] = '0'\nz.serve()"
    ),
    "channel_object": (
        "import gc, _socket\n"
        "for o in gc.get_objects():\n"
        "    if isinstance(o, _socket.socket): o.send(b'x' * 48); print('ESCAPED')"
    ),
    "secrets_in_memory": (
        "import os\n"
        "if 'CANARY-9d2f' in str(dict(os.environ)): print('ESCAPED')\n"
        "for line in open('/proc/self/maps'):\n"
        "    if 'canary' in line: print('ESCAPED', line)"
    ),
}  # fmt: skip


def attack(sandbox: WarmSandbox, program: Program) -> Execution:
    started = time.monotonic()
    execution = sandbox.run(program, [b"input\n"], LIMITS)[0]
    assert time.monotonic() - started < LIMITS.wall_s + SLACK_S
    return execution


def assert_still_sound(sandbox: WarmSandbox) -> None:
    source = "import os, math, json, threading\nprint(sorted(os.listdir('/tmp')), math.sqrt(int(input())))"
    execution = sandbox.run(Program(source), [b"49\n"], LIMITS)[0]
    assert (execution.status, execution.stdout) == (Status.OK, b"[] 7.0\n"), execution
    source = "import os\nprint([p for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())])"
    assert sandbox.run(Program(source), [b""], LIMITS)[0].stdout == b"[]\n"


@pytest.fixture(autouse=True)
def unchanged_host(tmp_path: Path) -> Iterator[None]:
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    null = os.stat("/dev/null").st_mode
    yield
    assert canary.read_text() == "as it was"
    # By the names and keys that the attacks use: other programs of the host may come and go meanwhile.
    assert not any(name.isdigit() for name in os.listdir("/dev/shm"))
    for kind in ("shm", "sem", "msg"):
        rows = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
        assert not any(row.split()[0] == "1" for row in rows)
    assert os.stat("/dev/null").st_mode == null


@pytest.mark.parametrize("name", BOUNDED)
def test_greedy_program_is_stopped(sandbox: WarmSandbox, name: str) -> None:
    execution = attack(sandbox, Program(BOUNDED[name]))
    assert execution.status not in (Status.OK, Status.SANDBOX_ERROR), execution
    assert_still_sound(sandbox)


@pytest.mark.parametrize("name", CONTAINED)
def test_escape_is_contained(sandbox: WarmSandbox, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "CANARY-9d2f")
    execution = attack(sandbox, Program(CONTAINED[name]))
    assert execution.status is not Status.SANDBOX_ERROR, execution
    assert b"ESCAPED" not in execution.stdout, execution.stdout
    assert_still_sound(sandbox)


FAKES = {
    "always_equal": "class A:\n    def __eq__(self, o): return True\ndef f(): return A()",
    "int_subclass": (
        "class A(int):\n"
        "    def __eq__(self, o): return True\n"
        "    __hash__ = int.__hash__\n"
        "def f(): return A(0)"
    ),
    "str_subclass": "class A(str): pass\ndef f(): return A('x')",
    "metaclass": (
        "class M(type):\n"
        "    def __eq__(s, o): return True\n"
        "    __hash__ = type.__hash__\n"
        "class A(metaclass=M): pass\n"
        "def f(): return A"
    ),
    "exit_zero": "import os\ndef f(): os._exit(0)",
    "exit_at_load": "import os\nos._exit(0)\ndef f(): return 1",
    "printed_marker": "import os\ndef f():\n    print('PASSED OK 1.0', flush=True)\n    os._exit(0)",
    "exit_handler": "import atexit, os\natexit.register(os._exit, 0)\ndef f(): raise SystemExit(0)",
    "patched_exit": "import os, sys\nreal = os._exit\nos._exit = lambda code: real(0)\ndef f(): sys.exit(0)",
    "truncated_value": (
        "import os\n"
        "def f():\n"
        "    os.write(4, b'V' + bytes([200]) + bytes(7) + b'1')\n"
        "    os._exit(0)"
    ),
    "forged_garbage": "import os\ndef f():\n    os.write(4, os.urandom(5000))\n    os._exit(0)",
    "forged_deep_value": (
        "import os, struct\n"
        "def f():\n"
        '    b = b\'{"l":[\' * 10**5\n'
        "    os.write(4, struct.pack('<cQ', b'V', len(b)) + b)\n"
        "    os._exit(0)"
    ),
    "generator": "def f(): yield 1",
    "exec_true": "import os\ndef f(): os.execv('/bin/true', ['true'])",
}  # fmt: skip


@pytest.mark.parametrize("name", FAKES)
def test_fake_result_gains_nothing(sandbox: WarmSandbox, name: str) -> None:
    execution = sandbox.call(Program(FAKES[name]), "f", [[]], LIMITS)[0]
    assert execution.status is Status.RUNTIME_ERROR, execution
    assert execution.value is None
    assert execution.reason
    assert_still_sound(sandbox)


COMPILED = {
    "include_a_secret": '#include "/etc/passwd"\nint main(){}',
    "include_a_device": '#include "/dev/zero"\nint main(){}',
    "include_itself": '#include "main.cpp"\nint main(){}',
    "template_bomb": "template<int N> struct A { A<N+1> a; }; A<0> a; int main(){}",
    "huge_array": "char a[1L<<40]={1}; int main(){return a[5];}",
    "fork_bomb": "#include <unistd.h>\nint main(){for(;;) fork();}",
    "stack_overflow": (
        "int f(int n){volatile char a[4096]; a[0]=n; return f(n+1)+a[0];} int main(){return f(0);}"
    ),
    "wrong_call": (
        "#include <unistd.h>\n"
        "#include <sys/syscall.h>\n"
        "int main(){return syscall(SYS_ptrace,16,1,0,0)==0?0:7;}"
    ),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this host")
@pytest.mark.parametrize("name", COMPILED)
def test_hostile_cpp_is_stopped(sandbox: WarmSandbox, name: str) -> None:
    execution = sandbox.run(Program(COMPILED[name], "cpp"), [b""], LIMITS)[0]
    assert execution.status not in (Status.OK, Status.SANDBOX_ERROR), execution
    assert_still_sound(sandbox)
