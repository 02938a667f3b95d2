"""What an attack is, how it is run, and what must be the same afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from sandbox.languages import COMPILE_LIMITS
from sandbox.model import Execution, Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

LIMITS = Limits(cpu_s=0.5, wall_s=1, memory_mb=128, processes=16, output_bytes=1 << 16, disk_mb=8)
LATE_S = 0.5
"""How long after its limit an attack may still run, by the sandbox's own clock."""
PATIENCE_S = 20.0
"""How long the caller may wait for it: a hang, and no busy machine."""
STDIN = b"input\n"

OK, RE, TLE = Status.OK, Status.RUNTIME_ERROR, Status.TIME_LIMIT
MLE, OLE, CE = Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT, Status.COMPILE_ERROR
HARMLESS = frozenset((OK, RE))
"""For an attempt that fails: with an exception that it catches, or one that ends it."""


@dataclass(frozen=True)
class Attack:
    """A hostile submission. It prints ESCAPED when it got what it wanted."""

    name: str
    source: str
    ends: frozenset[Status]
    """One status, or more where the kernel may truly decide either way."""
    language: str = "python"
    limits: Limits = LIMITS
    slow: bool = False

    def program(self) -> Program:
        return Program(self.source, self.language)

    def as_function(self) -> Program:
        """The same script, run when its function `f` is called. It returns no value that anyone expects."""
        body = f"exec(compile({self.source!r}, 'attack', 'exec'), {{'__name__': '__main__'}})"
        return Program(f"def f():\n    {body}\n    return 'ESCAPED'")


def attack(
    name: str, ends: Status | Iterable[Status], source: str, language: str = "python", **limits: float
) -> Attack:
    """An entry of a family; `limits` are those that differ from LIMITS."""
    allowed = frozenset([ends] if isinstance(ends, Status) else ends)
    fields = {field: getattr(LIMITS, field) for field in LIMITS.__slots__}
    return Attack(name, dedent(source).strip("\n"), allowed, language, Limits(**{**fields, **limits}))  # type: ignore[arg-type]


def endless(name: str, source: str, language: str = "python") -> Attack:
    """One that passes its time whatever the machine, so that it needs little of it."""
    return attack(name, TLE, source, language, cpu_s=0.2, wall_s=0.4)


def cpp(name: str, ends: Status | Iterable[Status], source: str, **limits: float) -> Attack:
    """An entry in C++."""
    return attack(name, ends, source, "cpp", **limits)


def assert_bounded(run: Execution, limits: Limits, waited_s: float) -> None:
    """Neither the sandbox's clock nor the caller's shows a run much longer than its limit."""
    assert run.wall_s <= limits.wall_s + LATE_S, run
    assert waited_s <= limits.wall_s + PATIENCE_S, run


def run_attack(sandbox: WarmSandbox, hostile: Attack) -> Execution:
    """Runs it once; again, at most twice, if it ran late or did not get to do its harm: a busy machine is no hole."""
    for attempt in range(3):
        started = time.monotonic()
        execution = sandbox.run(hostile.program(), [STDIN], hostile.limits)[0]
        waited = time.monotonic() - started
        limits = COMPILE_LIMITS if execution.status is CE else hostile.limits
        in_time = execution.wall_s <= limits.wall_s + LATE_S
        starved = execution.status is TLE and TLE not in hostile.ends and execution.cpu_s < limits.cpu_s
        if (in_time and not starved) or attempt == 2:
            break
    assert_bounded(execution, limits, waited)
    return execution


def call_attack(sandbox: WarmSandbox, hostile: Attack) -> Execution:
    """The same in function mode."""
    execution = sandbox.call(hostile.as_function(), "f", [[]], hostile.limits)[0]
    assert execution.wall_s <= hostile.limits.wall_s + LATE_S, execution
    return execution


_STATE = """
import array, fcntl, gc, json, os, resource, signal, sys, threading
import math
def seen(look):
    try:
        return look()
    except OSError as error:
        return str(error)
def last_word(path):
    return seen(lambda: open(path).read().split(' ')[-1].strip())
box = os.environ['TMPDIR']
def marks():
    flags, state = array.array('i', [0]), os.stat(box)
    opened = os.open(box, os.O_RDONLY)
    seen(lambda: fcntl.ioctl(opened, 0x80086601, flags))
    os.close(opened)
    # On a disk of the host the time of the last change is the cleaner's; the calls that set times do nothing there.
    # Nor are flags of the file system's own: a folder that held many files keeps its index.
    times = [state.st_nlink, state.st_atime_ns, state.st_mtime_ns] if box == '/tmp' else []
    return [flags[0] & 0x100ff, *times]
before = marks()  # a look at what is in it changes its times
disk = os.statvfs(box)
numbers = seen(lambda: [name for name in os.listdir('/proc') if name.isdigit()])
print(json.dumps({
    'answer': math.sqrt(int(input())),
    'files': sorted(os.listdir(box)),
    'folder': [os.getcwd() == box, oct(os.stat(box).st_mode), os.listxattr(box), *before],
    'disk': [disk.f_blocks - disk.f_bfree, disk.f_files - disk.f_ffree] if box == '/tmp' else [],
    'processes': [name for name in numbers if int(name) not in (1, os.getpid())] if type(numbers) is list else numbers,
    'descriptors': seen(lambda: sorted(os.listdir('/proc/self/fd'))),
    'environment': {name: value for name, value in os.environ.items() if value != box},
    'niceness': [os.getpriority(os.PRIO_PROCESS, 0), last_word('/proc/self/autogroup'), os.sched_getscheduler(0)],
    'cores': sorted(os.sched_getaffinity(0)),
    'oom': last_word('/proc/self/oom_score_adj'),
    'limits': [resource.getrlimit(kind) for kind in range(16)],
    'signals': [str(signal.getsignal(number)) for number in range(1, 65)],
    'masked': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    'umask': os.umask(0o22),
    'timers': [signal.getitimer(kind) for kind in range(3)],
    'path': sys.path,
    'recursion': sys.getrecursionlimit(),
    'hooks': [sys.excepthook is sys.__excepthook__, sys.gettrace() is None, gc.isenabled(), gc.get_threshold()],
    'threads': threading.active_count(),
    'builtins': sorted(dir(__builtins__)),
    'modules': [math.__name__, json.__name__, hash('a')],
    'streams': [sys.stdin.encoding, sys.stdout.encoding, sys.stdin.read()],
}))
"""


def state_of(sandbox: WarmSandbox) -> dict[str, object]:
    """What an honest program sees of its surroundings, and that it gets its right answer."""
    execution = sandbox.run(Program(_STATE), [b"49\n"], LIMITS)[0]
    assert execution.status is OK, (execution.reason, execution.stderr[-800:].decode(errors="replace"))
    seen: dict[str, object] = json.loads(execution.stdout)
    return seen


@dataclass(frozen=True)
class HostState:
    """What of the host an attack must leave as it was."""

    canary: tuple[str, bytes, float]
    shared_memory: frozenset[str]
    ipc: tuple[str, ...]
    listeners: frozenset[str]
    devices: tuple[tuple[str, int, int], ...]
    priority: tuple[int, int]


_IPC_KEY = "1"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def host_state(canary: Path) -> HostState:
    """A picture of the host. What other programs of the host do meanwhile is left out by name or key."""
    rows = [
        f"{kind} {row}"
        for kind in ("shm", "sem", "msg")
        for row in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()
        if row.split()[0] == _IPC_KEY
    ]
    sockets = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "@attack" in line}
    return HostState(
        (str(canary), canary.read_bytes(), canary.stat().st_mtime),
        frozenset(name for name in os.listdir("/dev/shm") if name.isdigit() or name.startswith("attack")),
        tuple(rows),
        frozenset(sockets),
        tuple((path, os.stat(path).st_mode, os.stat(path).st_uid) for path in _DEVICES),
        (os.getpriority(os.PRIO_PROCESS, 0), len(os.sched_getaffinity(0))),
    )
