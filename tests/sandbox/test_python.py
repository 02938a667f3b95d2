"""Python programs on standard input: right but unusual ones are accepted, the rest get their status."""

import pytest

from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=2, wall_s=5, memory_mb=256)

HONEST = {
    "exit_after_flush": ("import os, sys\nprint(input())\nsys.stdout.flush()\nos._exit(0)", b"7\n", b"7\n"),
    "readline_buffer": (
        "import sys\nread = sys.stdin.buffer.readline\nprint(int(read()) + int(read()), read())",
        b"1\n2\n",
        b"3 b''\n",
    ),
    "for_line": ("import sys\nprint(sum(int(x) for x in sys.stdin))", b"1\n2\n3\n", b"6\n"),
    "open_zero": ("print(len(open(0).read().split()))", b"a b c", b"3\n"),
    "dev_stdin": ("print(open('/dev/stdin').read().upper())", b"abc", b"ABC\n"),
    "dev_stdout": ("open('/dev/stdout', 'w').write('x')", b"", b"x"),
    "os_read": ("import os\nos.write(1, os.read(0, 100))", b"abc", b"abc"),
    "no_final_newline": ("print(input() + input())", b"a\nb", b"ab\n"),
    "crlf": ("print(int(input()) + int(input()), *input().split())", b"1\r\n2\r\na b\r\n", b"3 a b\n"),
    "empty_input": ("import sys\nprint(repr(sys.stdin.read()))", b"", b"''\n"),
    "temporary_file": (
        "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x'); f.seek(0); print(f.read())",
        b"",
        b"b'x'\n",
    ),
    "threads": (
        "import threading, time\n"
        "def late():\n    time.sleep(0.05); print('late')\n"
        "threading.Thread(target=late).start()\nprint('main')",
        b"",
        b"main\nlate\n",
    ),
    "many_threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(16) as pool: print(sum(pool.map(lambda x: x * x, range(100))))",
        b"",
        b"328350\n",
    ),
    "deep_recursion": (
        "import sys\nsys.setrecursionlimit(10**6)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\nprint(depth(100000))",
        b"",
        b"100000\n",
    ),
    "deep_thread": (
        "import sys, threading\nsys.setrecursionlimit(10**6); threading.stack_size(2**27)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
        "t = threading.Thread(target=lambda: print(depth(50000)))\nt.start(); t.join()",
        b"",
        b"50000\n",
    ),
    "main_guard": ("if __name__ == '__main__':\n    print('main')", b"", b"main\n"),
    "exit_handler": ("import atexit\natexit.register(print, 'bye')\nprint('hi')", b"", b"hi\nbye\n"),
    "sys_exit_zero": ("import sys\nprint(1)\nsys.exit()", b"", b"1\n"),
    "multiprocessing": (
        "from multiprocessing import Pool\n"
        "def f(x): return x + 1\n"
        "if __name__ == '__main__':\n    with Pool(2) as pool: print(pool.map(f, [1, 2]))",
        b"",
        b"[2, 3]\n",
    ),
    "subprocess": (
        "import subprocess, sys\nprint(subprocess.check_output(['/bin/echo', 'x'], text=True), end='')",
        b"",
        b"x\n",
    ),
    "devices": (
        "import subprocess\nopen('/dev/null', 'w').write('x')\n"
        "print(len(open('/dev/urandom', 'rb').read(4)))\n"
        "subprocess.run(['/bin/true'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)",
        b"",
        b"4\n",
    ),
    "unicode": ("print(input()[::-1])", "ab\u00e9\n".encode(), "\u00e9ba\n".encode()),
    "bytes_out": ("import sys\nsys.stdout.buffer.write(bytes(range(256)))", b"", bytes(range(256))),
    "closed_stdout": ("import sys\nprint(1)\nsys.stdout.close()", b"", b"1\n"),
    "future_annotations_are_its_own": (
        "def f(x: int): pass\nprint(f.__annotations__)",
        b"",
        b"{'x': <class 'int'>}\n",
    ),
    "stdin_never_read": ("print('done')", b"x\n" * 100_000, b"done\n"),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(3))",
        b"",
        b"P(x=3)\n",
    ),
    "pickle_own_class": (
        "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)",
        b"",
        b"A\n",
    ),
}


def run(sandbox: WarmSandbox, source: str, data: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return sandbox.run(Program(source), [data], limits)[0]


@pytest.mark.parametrize("name", HONEST)
def test_honest_program_is_accepted(sandbox: WarmSandbox, name: str) -> None:
    source, data, wanted = HONEST[name]
    execution = run(sandbox, source, data)
    assert (execution.status, execution.stdout) == (Status.OK, wanted), execution.stderr.decode()
    assert execution.exit_code == 0


def test_million_lines_of_input(sandbox: WarmSandbox) -> None:
    execution = run(sandbox, "import sys\nprint(sum(map(int, sys.stdin)))", b"1\n" * 10**6)
    assert execution.stdout == b"1000000\n"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("1 / 0", Status.RUNTIME_ERROR),
        ("def f(:", Status.RUNTIME_ERROR),
        ("import sys; sys.exit(3)", Status.RUNTIME_ERROR),
        ("raise SystemExit('no')", Status.RUNTIME_ERROR),
        ("raise SystemExit('MemoryError')", Status.RUNTIME_ERROR),
        ("import sys; sys.exit('  MemoryError: no')", Status.RUNTIME_ERROR),
        ("import os, sys; print('MemoryError', file=sys.stderr, flush=True); os._exit(3)", Status.RUNTIME_ERROR),
        ("import os, sys; print('std::bad_alloc', file=sys.stderr, flush=True); os.abort()", Status.RUNTIME_ERROR),
        ("raise ValueError('MemoryError')", Status.RUNTIME_ERROR),
        ("def f(): raise MemoryError('mine')\nf()", Status.MEMORY_LIMIT),
        ("x = bytearray(1 << 40)", Status.MEMORY_LIMIT),
        ("import os; os.abort()", Status.RUNTIME_ERROR),
        ("import os; os.kill(os.getpid(), 9)", Status.RUNTIME_ERROR),
        ("while True: pass", Status.TIME_LIMIT),
        ("import time; time.sleep(60)", Status.TIME_LIMIT),
        ("x = [0] * 10**10", Status.MEMORY_LIMIT),
        ("x = [bytearray(1 << 20) for _ in range(1000)]", Status.MEMORY_LIMIT),
        ("while True: print('x' * 1000)", Status.OUTPUT_LIMIT),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", Status.OUTPUT_LIMIT),
    ],
)
def test_failure_has_its_status_and_a_reason(sandbox: WarmSandbox, source: str, status: Status) -> None:
    execution = run(sandbox, source, limits=Limits(cpu_s=0.5, wall_s=1, memory_mb=128, output_bytes=1 << 16))
    assert execution.status is status
    assert execution.reason
    assert len(execution.stdout) <= 1 << 16
    assert len(execution.stderr) <= 1 << 16


def test_traceback_shows_only_the_program(sandbox: WarmSandbox) -> None:
    stderr = run(sandbox, "def f():\n    1 / 0\nf()").stderr
    assert stderr.startswith(b'Traceback (most recent call last):\n  File "<string>", line 3')
    assert stderr.endswith(b"ZeroDivisionError: division by zero\n")
    assert b"/inside" not in stderr


def test_batch_stops_when_told(sandbox: WarmSandbox) -> None:
    seen: list[int] = []

    def stop(index: int, execution: Execution) -> bool:
        seen.append(index)
        return execution.stdout == b"2\n"

    executions = sandbox.run(Program("print(int(input()))"), [b"1", b"2", b"3"], LIMITS, stop)
    assert [e.stdout for e in executions] == [b"1\n", b"2\n"]
    assert seen == [0, 1]


def test_every_test_is_a_fresh_process(sandbox: WarmSandbox) -> None:
    source = "import os, math\nprint(os.listdir('.'), getattr(math, 'mark', 0))\nmath.mark = 1\nopen('f', 'w')"
    executions = sandbox.run(Program(source), [b""] * 3, LIMITS)
    assert [e.stdout for e in executions] == [b"[] 0\n"] * 3


def test_random_numbers_differ_between_tests(sandbox: WarmSandbox) -> None:
    executions = sandbox.run(Program("import random\nprint(random.random())"), [b""] * 2, LIMITS)
    assert executions[0].stdout != executions[1].stdout


def test_order_of_string_sets_is_fixed() -> None:
    from sandbox.open import open_sandbox

    source = Program("print(list({'a', 'b', 'c', 'd', 'e', 'f'}))")
    with open_sandbox() as first, open_sandbox() as second:
        one, two = (s.run(source, [b""], LIMITS)[0].stdout for s in (first, second))
    assert one == two


def test_environment_is_cleared(sandbox: WarmSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(sandbox, "import os\nprint(*sorted(os.environ))").stdout.split()
    assert set(names) <= {
        b"HOME", b"LC_ALL", b"PATH", b"PWD", b"PYTHONDONTWRITEBYTECODE", b"PYTHONHASHSEED", b"TMPDIR"
    }  # fmt: skip


def test_measures_are_taken(sandbox: WarmSandbox) -> None:
    execution = run(sandbox, "x = bytearray(50 << 20)\nfor _ in range(10**6): pass")
    assert execution.cpu_s > 0
    assert execution.wall_s > 0
    assert 50 < execution.peak_memory_mb < 120


def test_cpu_of_children_counts(sandbox: WarmSandbox) -> None:
    source = "import os\nfor _ in range(4):\n    os.fork()\nwhile True: pass"
    execution = run(sandbox, source, limits=Limits(cpu_s=0.5, wall_s=60))
    assert execution.status is Status.TIME_LIMIT
    assert "processor time" in execution.reason


def test_memory_of_a_tree_counts(sandbox: WarmSandbox) -> None:
    source = "import os, time\nos.fork(); os.fork()\nx = [bytearray(1 << 20) for _ in range(60)]\ntime.sleep(3)"
    execution = run(sandbox, source, limits=Limits(memory_mb=128))
    assert execution.status is Status.MEMORY_LIMIT


def test_unknown_language_names_the_known(sandbox: WarmSandbox) -> None:
    with pytest.raises(ValueError, match="known: cpp, cpp17, cpp20, cpp23, python"):
        sandbox.run(Program("", "cobol"), [b""], LIMITS)


@pytest.mark.parametrize(
    ("source", "stdout"),
    [
        ("print(1)\nexit()", b"1\n"),
        ("print(1)\nquit(0)", b"1\n"),
        ("\ufeffprint(1)", b"1\n"),
        ("import os\nprint(os.path.dirname(__file__) == os.getcwd())", b"True\n"),
        ("import threading\nthreading.stack_size(512 << 20)\nt = threading.Thread(target=print)\nt.start()", b"\n"),
    ],
)
def test_programs_as_people_write_them(sandbox: WarmSandbox, source: str, stdout: bytes) -> None:
    execution = run(sandbox, source)
    assert (execution.status, execution.stdout) == (Status.OK, stdout), execution.stderr


def test_a_test_changes_the_priority_of_no_other(sandbox: WarmSandbox) -> None:
    run(sandbox, "open('/proc/self/autogroup', 'w').write('19')")
    assert b"nice 19" not in run(sandbox, "print(open('/proc/self/autogroup').read())").stdout


def test_files_in_flight_in_sockets_do_not_outlive_a_test(sandbox: WarmSandbox) -> None:
    if sandbox.backend != "bubblewrap":
        pytest.skip("there the folder lies on a disk that others use")
    keep = (
        "import os, socket\nopen('big', 'wb').write(bytes(7 << 20))\n"
        "big = os.open('big', os.O_RDONLY)\nos.unlink('big')\n"
        "a, b = socket.socketpair()\nfor s in (a, b): socket.send_fds(s, [b'x'], [a.fileno(), b.fileno(), big])"
    )
    small = Limits(cpu_s=2, wall_s=5, disk_mb=8)
    for _ in range(10):
        assert sandbox.run(Program(keep), [b""], small)[0].status is Status.OK
    used = sandbox.run(Program("import os; s = os.statvfs('.'); print(s.f_blocks - s.f_bfree)"), [b""], small)[0]
    assert int(used.stdout) < 100


SHARING = (
    "import os, time\nheld = b'x' * (120 << 20)\nfor _ in range({forks}):\n"
    "    if os.fork() == 0: time.sleep(0.3); os._exit(0)\ntime.sleep(0.4)"
)


def test_memory_that_forks_share_counts_once(sandbox: WarmSandbox) -> None:
    shared = SHARING.format(forks=6)
    assert sandbox.run(Program(shared), [b""], Limits(memory_mb=256))[0].status is Status.OK
    hidden = "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n" + SHARING.format(forks=1)
    assert sandbox.run(Program(hidden), [b""], Limits(memory_mb=64))[0].status is Status.MEMORY_LIMIT


def test_memory_of_many_small_processes_counts(sandbox: WarmSandbox) -> None:
    source = (
        "import os, time\nfor _ in range(15):\n    if os.fork() == 0:\n"
        "        held = b'x' * (7 << 20); time.sleep(1); os._exit(0)\ntime.sleep(1)"
    )
    assert sandbox.run(Program(source), [b""], Limits(memory_mb=48))[0].status is Status.MEMORY_LIMIT
