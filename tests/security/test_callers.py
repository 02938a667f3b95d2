"""The sandbox does not depend on, and does not hand on, what its caller's process is like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.open import open_sandbox

ROOT = Path(__file__).resolve().parents[2]

CALLERS = {
    "plain": "",
    "no_core_files": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "small_stack": "resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, 8 << 20))",
    "small_files": "resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))",
    "small_address_space": "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))",
    "small_data": "resource.setrlimit(resource.RLIMIT_DATA, (512 << 20, 512 << 20))",
    "little_processor_time": "resource.setrlimit(resource.RLIMIT_CPU, (100, 100))",
    "few_files": "resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))",
    "ignored_children": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "ignored_signals": "for n in (1, 2, 3, 10, 12, 14, 15, 17, 20, 21, 22): signal.signal(n, signal.SIG_IGN)",
    "blocked_signals": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "closed_umask": "os.umask(0o777)",
    "no_stdin": "os.close(0)",
    "no_streams": "os.closerange(0, 3)",
    "many_descriptors": "kept = [os.open('/dev/null', 0) for _ in range(500)]",
    "high_recursion": "sys.setrecursionlimit(10 ** 6)",
    "lower_priority": "os.nice(5)",
    "removed_folder": "os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())",
    "no_path": "os.environ.pop('PATH')",
    "odd_environment": (
        "os.environ.update(PYTHONPATH='/nonexistent', PYTHONHOME='/x', LD_PRELOAD='/x.so', PYTHONINSPECT='1', "
        "PYTHONMALLOC='debug', LANG='C', PYTHONSTARTUP='/x', LD_LIBRARY_PATH='/x', PYTHONIOENCODING='latin-1')"
    ),
}
_PROBE = """
import os, resource, signal, subprocess
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
assert all(signal.getsignal(n) is not signal.SIG_IGN for n in signal.valid_signals() if n not in (13, 25))
assert os.umask(0) & 0o700 == 0
assert subprocess.run(['true']).returncode == 0
assert resource.getrlimit(resource.RLIMIT_CORE)[1] <= 1
for policy in (os.SCHED_FIFO, os.SCHED_RR):
    try: os.sched_setscheduler(0, policy, os.sched_param(1))
    except PermissionError: pass
    else: raise AssertionError
open('f', 'w').write('x')
print(open('f').read(), sorted(os.environ))
"""
_SCRIPT = """
import os, resource, signal, sys, tempfile
sys.path.insert(0, {root!r})
out = os.dup(1)
{change}
from sandbox.model import Limits, Program
from sandbox.open import open_sandbox
limits = Limits(cpu_s=10, wall_s=60)
with open_sandbox() as sandbox:
    runs = sandbox.run(Program({probe!r}), [b''] * 2, limits)
    runs += sandbox.call(Program('def f(x): return x + 1'), 'f', [[1]], limits)
os.write(out, repr([(str(r.status), r.value, r.reason, r.stdout[:1], r.stderr[-300:]) for r in runs]).encode())
os._exit(0)
"""


@pytest.mark.parametrize("caller", CALLERS)
def test_programs_run_the_same_under_any_caller(caller: str) -> None:
    open_sandbox().close()
    script = _SCRIPT.format(root=str(ROOT), change=CALLERS[caller], probe=_PROBE)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    wanted = [("ok", None, "", b"x", b"")] * 2 + [("ok", 2, "", b"", b"")]
    assert done.stdout == repr(wanted), (done.stdout, done.stderr[-1500:])
