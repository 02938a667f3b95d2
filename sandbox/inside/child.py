"""The fresh process of one test, from the fork to its end.

The submitted code shares this process, so nothing here is a secret or a safeguard: the limits are the
kernel's, the expected values are outside, and a forged return value is as good as a returned one. Standard
library only.
"""

from __future__ import annotations

import _socket
import atexit
import builtins
import errno
import posix as os
import resource
import sys
from marshal import dumps, loads
from posix import _exit, close, closerange, dup2, pread, setsid
from resource import setrlimit

from sandbox.inside import plain, program_text, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from types import FrameType, ModuleType, TracebackType
    from typing import Any, NoReturn

    _Limits = tuple[tuple[int, tuple[int, int]], ...]
else:
    import _signal

OPEN_FILES = 64
"""Most descriptors of a program, and of a fork server."""
FAULT, ERRNO_BYTES = 1, 4
"""Exit code of what did not come to its job, which programs may have as well, and the bytes that tell why."""
_PROGRAM, _FUNCTIONS = "__main__", "solution"
"""Names of the modules that a program is executed as, and one whose function is called."""
_modules: dict[str, ModuleType] = {}


def enter(
    descriptors: Sequence[int], limits: _Limits, job_bytes: int, tell: int, confine: Callable[[], None] | None
) -> NoReturn:
    """Takes over a freshly forked process: `confine`, the job, limits, descriptors. Never returns.

    If it does not come to the job, the error number goes to the descriptor `tell`, and the exit code is FAULT. The
    interpreter's own end, by SystemExit, takes longer than a small test: it is for programs that would notice.

    All that can be done before the fork is done there: what a fresh process touches, the kernel copies page by page.
    """
    code, late = FAULT, False
    try:
        try:
            # A session of its own, so also a share of the processor of its own, which it may change for itself alone.
            setsid()
            if confine is not None:
                confine()
            # The host wrote it, and sealed it.
            job = loads(pread(descriptors[wire.JOB], job_bytes, 0))
            for kind, pair in limits:
                setrlimit(kind, pair)
            _take_descriptors(descriptors, tell)
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None) or errno.EINVAL
            os.write(tell, number.to_bytes(ERRNO_BYTES, "little"))
            _exit(FAULT)
        code, late = _JOBS[job[0]](*job[1:])
    finally:
        # Also for an error in these very functions: a child must never fall back into the fork server's loop.
        if not late:
            _exit(code)
    raise SystemExit(code)


def _take_descriptors(descriptors: Sequence[int], last: int) -> None:
    """Leaves nothing open but these, without the job's. `last` is closed when all else has gone well."""
    # They came above every number that they get here: reserve_descriptors saw to it.
    number = 0
    for fd in descriptors:
        dup2(fd, number, number <= wire.STDERR)
        number += 1
    # The job came last.
    closerange(number - 1, last)
    closerange(last + 1, OPEN_FILES)
    close(last)


def lay_out(folder: str) -> None:
    """Makes the modules that programs run as, given the folder that they are in, once for all: each has its copy.

    Not among what the collector leaves alone: what a program's module holds is let go at its end.
    """
    for name in (_PROGRAM, _FUNCTIONS):
        module = _modules[name] = type(sys)(name)
        module.__file__ = f"{folder}/{name.strip('_')}.py"
        module.__dict__["__builtins__"] = __builtins__
    sys.modules[_PROGRAM] = _modules[_PROGRAM]
    sys.argv = [_modules[_PROGRAM].__file__ or ""]


def add_site_builtins() -> None:
    """The names that the interpreter's `site` would add, which programs use as if they were of the language."""
    from _sitebuiltins import Quitter, _Helper

    for name in ("exit", "quit"):
        setattr(builtins, name, Quitter(name, "Ctrl-D (i.e. EOF)"))
    builtins.help = _Helper()


def reserve_descriptors() -> None:
    """Fills the numbers below the channel's, so that what a request brings comes above."""
    while os.dup(0) < wire.CHANNEL - 1:
        continue


def limits_of(request: Sequence[float], processes: int) -> _Limits:
    """The limits of a wire.REQUEST as a fresh process sets them; `processes` is what the kernel is to count to.

    Where whoever started the sandbox had set one lower for good, it stays there.
    """
    cpu_s, _, memory, _, _, _, stack, file_size, *_ = request
    lasting = (
        # Whole seconds are a backstop: the fork server watches the exact figure.
        (resource.RLIMIT_CPU, int(cpu_s) + 2),
        # Reserved stacks of threads count as data, touched or not; what is touched is watched.
        (resource.RLIMIT_DATA, int(memory) + (1 << 30)),
        (resource.RLIMIT_AS, 2 * int(memory) + (2 << 30)),
        (resource.RLIMIT_FSIZE, int(file_size)),
        (resource.RLIMIT_NPROC, processes),
    )
    # What is on it counts as memory like all else: programs may raise it, as those that recurse deeply do first.
    stack_most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    return (
        *((kind, (_possible(kind, amount),) * 2) for kind, amount in lasting),
        (resource.RLIMIT_STACK, (_possible(resource.RLIMIT_STACK, int(stack)), stack_most)),
    )


def _possible(kind: int, amount: int) -> int:
    most = resource.getrlimit(kind)[1]
    return amount if most < 0 else min(amount, most)


def set_common_limits() -> None:
    """Those that are the same for every test, and that the fork server itself can live with."""
    for kind, amount in (
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        # One byte, and not none: only that also stops a dump into a program of the host.
        (resource.RLIMIT_CORE, 1),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_SIGPENDING, 256),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ):
        _lower(kind, amount)


def _lower(kind: int, amount: int) -> None:
    """Sets a limit, or leaves it where whoever started the sandbox had set it lower for good."""
    lowest = _possible(kind, amount)
    resource.setrlimit(kind, (lowest, lowest))


def _script(program: str | bytes, has_file: bool, writes_late: bool, is_kept: bool) -> tuple[int, bool]:
    """Runs a program's text, or the code that an earlier process kept of it."""
    stdout, stderr = sys.stdout, sys.stderr
    code = _run_python(program, _modules.pop(_PROGRAM), has_file, is_kept) or 0
    if writes_late or sys.stdout is not stdout or sys.stderr is not stderr:
        return code, True
    return _finish(code), False


def _run_python(program: str | bytes, module: ModuleType, has_file: bool, is_kept: bool = False) -> int | None:
    """Executes a program as a module; returns the exit code if it ended the program."""
    names, file = module.__dict__, None
    if isinstance(program, bytes):
        return _guarded(program_text.execute, loads(program), names, None)
    text = program.removeprefix("\ufeff")
    if has_file:
        file = module.__file__ or ""
        with open(file, "w", encoding="utf-8", errors="surrogatepass", newline="") as written:
            written.write(text)
    if is_kept:
        _keep_code(names)
    return _guarded(program_text.execute, text, names, file)


def _keep_code(names: dict[str, Any]) -> None:
    """Has the code of the module with these names written to the value descriptor just before it runs.

    The interpreter shows it to a profiler. When the program's first instruction runs, the descriptor is closed.
    """

    def keep(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals is names:
            sys.setprofile(None)
            try:
                data = dumps(frame.f_code)
                if os.write(wire.VALUE, data) != len(data):
                    os.ftruncate(wire.VALUE, 0)
            finally:
                close(wire.VALUE)

    sys.setprofile(keep)


def _guarded(action: Any, *arguments: Any) -> int | None:
    """Runs submitted code as the interpreter would: prints a traceback, understands SystemExit."""
    hook = sys.excepthook
    try:
        action(*arguments)
    except SystemExit as stop:
        if stop.code is None:
            return 0
        if isinstance(stop.code, int):
            return stop.code & 0xFF
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001  (the interpreter's own last resort: report, exit code 1)
        sys.excepthook = hook
        error.__traceback__ = _program_part(error.__traceback__)
        hook(type(error), error, error.__traceback__)
        return 1
    return None


def _program_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, program_text.__file__):
        trace = trace.tb_next
    return trace


def _finish(code: int) -> int:
    """Does as the interpreter at its end: joins threads, runs exit handlers, flushes."""
    threading = sys.modules.get("threading")
    if threading is not None:
        _guarded(threading._shutdown)
    _guarded(atexit._run_exitfuncs)
    return _flush(code)


def _flush(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code if _is_closed(stream) else code or 120
    return code


def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed)
    except ValueError:
        return False  # taken apart


def _call(source: str, has_file: bool, entry_point: str, calls: list[list[Any]]) -> tuple[int, bool]:
    """Calls the function on each list of arguments until one fails, and writes each value as it comes."""
    module = sys.modules[_FUNCTIONS] = _modules.pop(_FUNCTIONS)
    sys.argv = [module.__file__ or ""]
    code = _run_python(source, module, has_file)
    if code is None:
        for arguments in calls:
            code = _call_once(module.__dict__, entry_point, arguments)
            if code is not None:
                break
    return _finish(code or 0), False


def _call_once(names: dict[str, Any], entry_point: str, arguments: list[Any]) -> int | None:
    """The exit code that this call makes the program's, or None if it returned plain data."""
    outcome: list[Any] = []

    def action() -> None:
        function = _find(names, entry_point)
        if function is None:
            _send(b"E", f"the program does not define {entry_point}")
            raise SystemExit(1)
        outcome.append(function(*arguments))

    code = _guarded(action)
    if code is not None:
        return code
    try:
        _send(b"V", plain.encode(outcome[0]))
    except plain.NotPlainData as error:
        _send(b"E", str(error))
        return 1
    return None


def _find(names: dict[str, Any], entry_point: str) -> Any:
    """`function`, `Class.method` of a fresh instance, or else a method of `Solution`."""
    owner, _, method = entry_point.rpartition(".")
    if owner:
        return getattr(names[owner](), method, None) if owner in names else None
    if entry_point in names:
        return names[entry_point]
    return getattr(names["Solution"](), entry_point, None) if "Solution" in names else None


def _send(kind: bytes, text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    data = memoryview(kind + len(body).to_bytes(wire.LENGTH_BYTES, "little") + body)
    while data:
        data = data[os.write(wire.VALUE, data) :]


def _restore_signals() -> None:
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)


def _execute(command: list[str]) -> NoReturn:
    _restore_signals()
    # The descriptor closes itself on exec, so the program does not see it.
    os.execve(wire.BINARY, command, os.environ)


def _compile(source: str, source_name: str, binary_name: str, command: list[str]) -> tuple[int, bool]:
    """Runs the compiler on the source and hands the binary over by the value descriptor."""
    with open(source_name, "wb") as file:
        file.write(source.encode("utf-8", "surrogatepass"))
    try:
        pid = os.posix_spawnp(command[0], command, os.environ, setsigdef=(_signal.SIGPIPE, _signal.SIGXFSZ))
    except FileNotFoundError:
        return wire.NO_COMPILER, False
    _, status = os.waitpid(pid, 0)
    if status:
        return 1, False
    with open(binary_name, "rb") as binary:
        while os.sendfile(wire.VALUE, binary.fileno(), None, 1 << 24):
            continue
    return 0, False


_JOBS: dict[str, Any] = {"script": _script, "call": _call, "execute": _execute, "compile": _compile}
"""Each returns the exit code, and whether the interpreter itself is to end the process."""


def receive(channel: _socket.socket) -> tuple[bytes, list[int]]:
    """One message and its descriptors; empty at the end of the channel."""
    size = _socket.CMSG_SPACE(4 * 8)
    message, ancillary, _, _ = channel.recvmsg(256, size, _socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += memoryview(data).cast("i").tolist()
    return message, fds
