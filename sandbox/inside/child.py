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
import marshal
import os
import resource
import sys
from _struct import Struct

from sandbox.inside import plain, program_text, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any, NoReturn
else:
    import _signal

_OPEN_FILES = 64
_ERRNO = Struct("<i")
_READS_ITSELF = ("__file__", "argv", "inspect", "linecache", "spawn", "forkserver")
"""Words of programs that may look for their own file; for others there is none, since it costs as much as a test."""
_WRITES_LATE = ("__del__", "open", "TextIOWrapper", "BufferedWriter", "FileIO")
"""Words of programs that may write while the interpreter ends: from finalizers, or what is left in a file's buffer."""


def enter(
    descriptors: Sequence[int], request: tuple[float, ...], tell: int, confine: Callable[[], None] | None = None
) -> NoReturn:
    """Takes over a freshly forked process: `confine`, descriptors, limits, then the job. Never returns.

    If it does not come to the job, the error number goes to the descriptor `tell`. The interpreter's own end, by
    SystemExit, takes longer than a small test: it is for programs that would notice.
    """
    code, late = 1, False
    try:
        _get_ready(descriptors, request, tell, confine)
        code, late = _run_job()
    finally:
        # Also for an error in these very functions: a child must never fall back into the fork server's loop.
        if not late:
            os._exit(code)
    raise SystemExit(code)


def _get_ready(
    descriptors: Sequence[int], request: tuple[float, ...], tell: int, confine: Callable[[], None] | None
) -> None:
    try:
        # A session of its own, so also a share of the processor of its own, which it may change for itself alone.
        os.setsid()
        if confine is not None:
            confine()
        _set_limits(request)
        _take_descriptors(descriptors, tell)
    except (OSError, ValueError) as error:
        # ValueError: a limit above the one that this process was given itself.
        os.write(tell, _ERRNO.pack(getattr(error, "errno", None) or errno.EINVAL))
        os._exit(1)


def _take_descriptors(descriptors: Sequence[int], last: int) -> None:
    """Leaves nothing open but these. `last` is closed when all else has gone well."""
    # They came above every number that they get here: reserve_descriptors saw to it.
    for number, fd in enumerate(descriptors):
        os.dup2(fd, number, inheritable=number <= wire.STDERR)
    os.closerange(len(descriptors), last)
    os.closerange(last + 1, _OPEN_FILES)
    os.close(last)


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


def _set_limits(request: tuple[float, ...]) -> None:
    cpu_s, _, memory, processes, _, _, stack, file_size, _ = request
    # Whole seconds are a backstop: the fork server watches the exact figure.
    seconds = int(cpu_s) + 2
    for kind, amount in (
        (resource.RLIMIT_CPU, seconds),
        # Reserved stacks of threads count as data, touched or not; what is touched is watched.
        (resource.RLIMIT_DATA, int(memory) + (1 << 30)),
        (resource.RLIMIT_AS, 2 * int(memory) + (2 << 30)),
        (resource.RLIMIT_FSIZE, int(file_size)),
        (resource.RLIMIT_NPROC, int(processes)),
    ):
        _lower(kind, amount)
    # What is on it counts as memory like all else: programs may raise it, as those that recurse deeply do first.
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (int(stack) if most < 0 else min(int(stack), most), most))


def set_common_limits() -> None:
    """Those that are the same for every test, and that the fork server itself can live with."""
    for kind, amount in (
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
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
    try:
        resource.setrlimit(kind, (amount, amount))
    except ValueError:
        lowest = min(amount, resource.getrlimit(kind)[1])
        resource.setrlimit(kind, (lowest, lowest))


def _run_job() -> tuple[int, bool]:
    """Runs what the host asks for; the exit code, and whether the interpreter itself is to end the process."""
    size = os.fstat(wire.JOB).st_size
    job = marshal.loads(os.pread(wire.JOB, size, 0))  # the host wrote it, and sealed it
    os.close(wire.JOB)
    mode = job["mode"]
    if mode == "script":
        return _script(job["source"])
    if mode == "call":
        return _call(job), False
    if mode == "compile":
        return _compile(job), False
    return _execute(job)


def _script(source: str) -> tuple[int, bool]:
    os.close(wire.VALUE)
    streams = sys.stdout, sys.stderr
    code = _run_python(source, "__main__")[1] or 0
    if (sys.stdout, sys.stderr) != streams or _may_write_late(source):
        return code, True
    return _finish(code), False


def _may_write_late(source: str) -> bool:
    rest = source.replace("open(0", "")  # a usual way to read the input
    suspended = "yield" in rest and ("finally" in rest or "with" in rest or "except" in rest)
    return suspended or any(word in rest for word in _WRITES_LATE)


def _run_python(source: str, name: str) -> tuple[dict[str, Any], int | None]:
    """Executes a source text as a module; returns its names, and the exit code if it ended the program."""
    module = type(sys)(name)
    sys.modules[name] = module
    file = module.__file__ = f"{os.getcwd()}/{name.strip('_')}.py"
    module.__dict__["__builtins__"] = __builtins__
    sys.argv = [file]
    text = source.removeprefix("\ufeff")
    is_read = any(word in source for word in _READS_ITSELF)
    if is_read:
        with open(file, "w", encoding="utf-8", errors="surrogatepass", newline="") as written:
            written.write(text)

    def action() -> None:
        program_text.execute(text, module.__dict__, file if is_read else None)

    return module.__dict__, _guarded(action)


def _guarded(action: Any) -> int | None:
    """Runs submitted code as the interpreter would: prints a traceback, understands SystemExit."""
    hook = sys.excepthook
    try:
        action()
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
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError):
            code = code or 120
    return code


def _call(job: dict[str, Any]) -> int:
    """Calls the function on each list of arguments until one fails, and writes each value as it comes."""
    names, code = _run_python(job["source"], "solution")
    if code is not None:
        return _finish(code)
    for arguments in job["arguments"]:
        code = _call_once(names, job["entry_point"], arguments)
        if code is not None:
            break
    return _finish(code or 0)


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
    data = memoryview(wire.VALUE_HEADER.pack(kind, len(body)) + body)
    while data:
        data = data[os.write(wire.VALUE, data) :]


def _restore_signals() -> None:
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)


def _execute(job: dict[str, Any]) -> NoReturn:
    _restore_signals()
    os.close(wire.VALUE)
    # The descriptor closes itself on exec, so the program does not see it.
    os.execve(wire.BINARY, job["command"], dict(os.environ))


def _compile(job: dict[str, Any]) -> int:
    """Runs the compiler on the source and hands the binary over by the value descriptor."""
    with open(job["source_name"], "wb") as file:
        file.write(job["source"].encode("utf-8", "surrogatepass"))
    command = job["command"]
    try:
        pid = os.posix_spawnp(command[0], command, os.environ, setsigdef=(_signal.SIGPIPE, _signal.SIGXFSZ))
    except FileNotFoundError:
        return wire.NO_COMPILER
    _, status = os.waitpid(pid, 0)
    if status:
        return 1
    with open(job["binary_name"], "rb") as binary:
        while os.sendfile(wire.VALUE, binary.fileno(), None, 1 << 24):
            continue
    return 0


def receive(channel: _socket.socket) -> tuple[bytes, list[int]]:
    """One message and its descriptors; empty at the end of the channel."""
    size = _socket.CMSG_SPACE(4 * 8)
    message, ancillary, _, _ = channel.recvmsg(256, size, _socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += memoryview(data).cast("i").tolist()
    return message, fds
