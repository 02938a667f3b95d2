"""Programs end as under `python main.py`, find their own file, and start others: Python itself is the oracle."""

# ruff: noqa: E501 - programs on one line each

import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from sandbox.model import Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox
from sandbox.warm.visible_files import interpreter

LIMITS = Limits(cpu_s=20, wall_s=60, memory_mb=512)

WRITERS = {
    "file_on_descriptor_1": "f = open(1, 'w')\nf.write('late')",
    "file_of_a_copy": "import os\nf = os.fdopen(os.dup(1), 'w')\nf.write('late')",
    "file_by_path": "import pathlib\nf = pathlib.Path('/dev/stdout').open('a')\nf.write('late')",
    "file_in_a_list": "kept = []\ndef g():\n    f = open(1, 'w', closefd=False)\n    f.write('late')\n    kept.append(f)\ng()",
    "finalizer": "class A:\n    def __del__(self): print('late')\na = A()",
    "finalizer_in_a_cycle": "class A:\n    def __del__(self): print('late')\na = A(); a.me = a",
    "finalizer_in_builtins": "import builtins\nclass A:\n    def __del__(self): print('late')\nbuiltins.a = A()",
    "two_finalizers": "class A:\n    def __init__(self, n): self.n = n\n    def __del__(self): print(self.n)\nx, _y = A(1), A(2)",
    "weak_reference": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 'late')",
    "suspended_generator": "def g():\n    try: yield 1\n    finally: print('late')\nx = g(); next(x)",
    "suspended_context": (
        "from contextlib import contextmanager\n@contextmanager\ndef c():\n    try: yield\n    finally: print('late')\n"
        "x = c(); x.__enter__()"
    ),
    "wrapped_stdout": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('late')",
    "another_stdout": "import sys\nsys.stdout = open(1, 'w', closefd=False)\nprint('late')",
    "stdout_of_its_own": (
        "import sys\nclass W:\n    def __init__(self): self.kept = []\n    def write(self, text): self.kept.append(text)\n"
        "    def flush(self):\n        sys.__stdout__.write(''.join(self.kept)); self.kept.clear()\n"
        "sys.stdout = W()\nprint('late')"
    ),
    "stdout_that_cannot_flush": "import sys\nclass W:\n    def write(self, text): pass\nsys.stdout = W()\nprint('late')",
    "no_stdout": "import sys\nprint('early')\nsys.stdout = None",
    "fast_output": (
        "import os, sys\nfrom io import BytesIO, IOBase\nclass FastIO(IOBase):\n    def __init__(self, file):\n"
        "        self.fd, self.buffer = file.fileno(), BytesIO()\n"
        "    def flush(self): os.write(self.fd, self.buffer.getvalue()); self.buffer.truncate(0); self.buffer.seek(0)\n"
        "    def write(self, text): self.buffer.write(text.encode())\nsys.stdout = FastIO(sys.stdout)\nprint('late')"
    ),
    "exit_handlers": "import atexit\natexit.register(print, 'second')\natexit.register(print, 'first')\nprint('early')",
    "exit_handler_with_a_file": "import atexit\nf = open(1, 'w')\natexit.register(f.write, 'late')",
    "thread_that_outlives": (
        "import threading, time\ndef late():\n    time.sleep(0.05); print('late')\nthreading.Thread(target=late).start()"
    ),
    "daemon_and_a_file": (
        "import threading, time\ndef wait():\n    while True: time.sleep(9)\n"
        "threading.Thread(target=wait, daemon=True).start()\nf = open(1, 'w')\nf.write('late')"
    ),
}
ENDINGS = {
    "by_itself": "",
    "exit": "import sys\nsys.exit()",
    "exit_code": "import sys\nsys.exit(3)",
    "exit_message": "raise SystemExit('no')",
    "exception": "raise ValueError('no')",
    "at_once": "import os\nos._exit(0)",
}


def by_python(source: str) -> tuple[bytes, int]:
    """Standard output and exit code of the same program as a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.py").write_text(source)
        done = subprocess.run(
            [interpreter(), "-s", "-S", "main.py"],
            cwd=folder, capture_output=True, check=False, env={"PYTHONHASHSEED": "0"},
        )  # fmt: skip
    return done.stdout, done.returncode


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_written_late_is_written(sandbox: WarmSandbox, writer: str, ending: str) -> None:
    source = f"{WRITERS[writer]}\n{ENDINGS[ending]}\n"
    expected = by_python(source)
    # The second runs the code that the first one kept.
    for execution in sandbox.run(Program(source), [b""] * 2, LIMITS):
        assert (execution.stdout, execution.exit_code) == expected, execution


ITSELF = {
    "file": "print(open(__file__).read(), end='')",
    "first_argument": "import sys\nprint(open(sys.argv[0]).read(), len(sys.argv))",
    "lines": "import linecache\nprint(linecache.getline(__file__, 1))",
    "source_of_a_function": "import inspect\ndef f(x):\n    return x\nprint(inspect.getsource(f))",
    "source_of_a_class": "import inspect\nclass A:\n    x = 1\nprint(inspect.getsource(A))",
    "own_frame": "import inspect\nprint(inspect.currentframe().f_lineno, inspect.stack()[0].code_context)",
    "names_of_files": "import os, sys\nprint(os.path.basename(__file__), os.path.isabs(__file__), os.listdir())",
    "text_with_marks": "# \u00e9\u4e2d\nprint(len(open(__file__, encoding='utf-8').read()))",
    "features_are_not_inherited": "import inspect\ndef f(x: int): pass\nprint(f.__annotations__)",
}


@pytest.mark.parametrize("name", ITSELF)
def test_a_program_finds_its_own_file(sandbox: WarmSandbox, name: str) -> None:
    source = ITSELF[name]
    execution = sandbox.run(Program(source), [b""], LIMITS)[0]
    assert (execution.status, execution.stdout) == (Status.OK, by_python(source)[0]), execution
    assert sandbox.run(Program("import os\nprint(os.listdir())"), [b""], LIMITS)[0].stdout == b"[]\n"


def test_a_function_finds_its_own_file(sandbox: WarmSandbox) -> None:
    source = "import inspect\ndef f(x):\n    return inspect.getsource(f) + open(__file__).read()[:6]"
    execution = sandbox.call(Program(source), "f", [[1]], LIMITS)[0]
    assert execution.value == source.split("\n", 1)[1] + "\nimport", execution


STACKS = {
    "without_bound": "resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    "256_mb": "resource.setrlimit(resource.RLIMIT_STACK, [0x10000000, resource.RLIM_INFINITY])",
    "512_mb_for_good": "resource.setrlimit(resource.RLIMIT_STACK, (1 << 29, 1 << 29))",
    "all_that_is_allowed": "resource.setrlimit(resource.RLIMIT_STACK, (resource.getrlimit(resource.RLIMIT_STACK)[1],) * 2)",
    "for_threads": "threading.stack_size(1 << 29)",
    "both": "resource.setrlimit(resource.RLIMIT_STACK, (-1, -1)); threading.stack_size(1 << 28)",
}
RECURSION = """
import functools, resource, sys, threading
{stack}
sys.setrecursionlimit(10**7)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
@functools.lru_cache(None)
def cached(n): return 0 if n == 0 else 1 + cached(n - 1)
def main(): print(depth(150000), cached({cached}))
{run}
"""
CACHED = 2000 if (3, 12) <= sys.version_info < (3, 14) else 40000
"""Python 3.12 and 3.13 bound calls through C, whatever the limit is that a program sets."""
IN_A_THREAD = "t = threading.Thread(target=main); t.start(); t.join()"


@pytest.mark.parametrize("run", ["main()", IN_A_THREAD], ids=["main", "thread"])
@pytest.mark.parametrize("stack", STACKS)
def test_deep_recursion_may_ask_for_a_stack(sandbox: WarmSandbox, stack: str, run: str) -> None:
    if run == IN_A_THREAD and "stack_size" not in STACKS[stack]:
        pytest.skip("a thread has the stack that it is given")
    execution = sandbox.run(Program(RECURSION.format(stack=STACKS[stack], run=run, cached=CACHED)), [b""], LIMITS)[0]
    assert (execution.status, execution.stdout) == (Status.OK, f"150000 {CACHED}\n".encode()), execution


OTHERS = {
    "spawned_pool": "with mp.get_context('spawn').Pool(1) as pool: print(pool.map(f, [1, 2]))",
    "spawned_process": "mp.set_start_method('spawn'); p = mp.Process(target=f, args=(1,)); p.start(); p.join(); print(p.exitcode)",
    "fork_server": "p = mp.get_context('forkserver').Process(target=f, args=(1,)); p.start(); p.join(); print(p.exitcode)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_processes_may_be_started_afresh(sandbox: WarmSandbox, name: str) -> None:
    if sandbox.backend != "bubblewrap":
        pytest.skip("there programs may be unable to start another Python, and have no semaphores")
    source = f"import multiprocessing as mp\ndef f(x): return x + 1\nif __name__ == '__main__':\n    {OTHERS[name]}"
    execution = sandbox.run(Program(source), [b""], LIMITS)[0]
    assert (execution.status, execution.stdout) == (Status.OK, by_python(source)[0]), execution


@pytest.mark.skipif(not Path("/usr/share/zoneinfo/Europe/Berlin").exists(), reason="no time zones on this host")
def test_time_zones(sandbox: WarmSandbox) -> None:
    source = textwrap.dedent("""
        from datetime import datetime
        from zoneinfo import ZoneInfo
        print(datetime(2024, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).utcoffset())
    """)
    execution = sandbox.run(Program(source), [b""], LIMITS)[0]
    assert execution.stdout == b"2:00:00\n", execution


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this host")
def test_compiled_programs_may_ask_for_a_stack(sandbox: WarmSandbox) -> None:
    source = (
        "#include <sys/resource.h>\n#include <cstdio>\n"
        "int f(int n){volatile int a=n; return n ? f(n-1)+(a==n) : 0;}\n"
        "int main(){rlimit r; getrlimit(RLIMIT_STACK,&r); r.rlim_cur=256<<20; if(setrlimit(RLIMIT_STACK,&r)) return 3;\n"
        'printf("%d",f(1000000));}'
    )
    assert sandbox.run(Program(source, "cpp"), [b""], LIMITS)[0].stdout == b"1000000"


PARALLEL = {
    "pool": "with mp.Pool(2) as pool: print(pool.map(f, range(20)))",
    "lock": "lock = mp.Lock()\n    with lock: print(lock.acquire(False), lock.acquire(timeout=0.01))",
    "recursive_lock": "lock = mp.RLock()\n    with lock, lock: print(1)",
    "released_too_often": "lock = mp.Lock()\n    try: lock.release()\n    except ValueError as error: print(error)",
    "semaphore": "s = mp.Semaphore(2)\n    print(s.acquire(), s.acquire(), s.acquire(False), s.get_value())\n    s.release(); print(s.get_value())",
    "queue": "q = mp.Queue(); p = mp.Process(target=q.put, args=(7,)); p.start(); print(q.get()); p.join()",
    "joinable_queue": "q = mp.JoinableQueue(); q.put(1); print(q.get()); q.task_done(); q.join()",
    "event": "e = mp.Event(); p = mp.Process(target=e.set); p.start(); print(e.wait(20)); p.join()",
    "condition": "c = mp.Condition()\n    with c: print(c.wait(0.01))",
    "barrier": "b = mp.Barrier(2); p = mp.Process(target=b.wait); p.start(); print(b.wait(20) in (0, 1)); p.join()",
    "value": "v = mp.Value('i', 0); ps = [mp.Process(target=add, args=(v,)) for _ in range(4)]\n    for p in ps: p.start()\n    for p in ps: p.join()\n    print(v.value)",
    "pipe": "a, b = mp.Pipe(); p = mp.Process(target=b.send, args=(5,)); p.start(); print(a.recv()); p.join()",
    "executor": "from concurrent.futures import ProcessPoolExecutor as E\n    with E(2) as e: print(list(e.map(f, [1, 2])))",
    "manager": "with mp.Manager() as m:\n        d = m.dict(); p = mp.Process(target=d.__setitem__, args=(1, 2)); p.start(); p.join(); print(dict(d))",
    "manager_list": "with mp.Manager() as m:\n        l = m.list()\n        with mp.Pool(2) as pool: pool.map(l.append, range(9))\n        print(sorted(l))",
    "manager_lock": "with mp.Manager() as m:\n        q, lock = m.Queue(), m.Lock()\n        with lock: q.put('x' * 100_000)\n        print(len(q.get()))",
}


@pytest.mark.parametrize("name", PARALLEL)
def test_multiprocessing(sandbox: WarmSandbox, name: str) -> None:
    source = (
        "import multiprocessing as mp\ndef f(x): return x + 1\n"
        "def add(v):\n    for _ in range(50):\n        with v.get_lock(): v.value += 1\n"
        f"if __name__ == '__main__':\n    {PARALLEL[name]}\n"
    )
    execution = sandbox.run(Program(source), [b""], LIMITS)[0]
    assert (execution.status, execution.stdout) == (Status.OK, by_python(source)[0]), execution
