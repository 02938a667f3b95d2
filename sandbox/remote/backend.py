"""A sandbox on a SandboxFusion server, for clusters where the programs run elsewhere.

Each test is one `run_code` request in Python: it brings the fork server's code and the test, and takes back what
a fork server answers, so statuses, limits and values mean what they mean on this host. Expected values are not
sent. What the server keeps programs from (network, files, other processes) is the server's; `unenforced` starts
with all of it, and `sandbox.open` takes off what a program there was seen to be kept from.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import marshal
import secrets
import string
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.inside import wire
from sandbox.languages import Language, find_language
from sandbox.model import Execution, Limits, Program, RemoteServer, Status, Stop
from sandbox.probes import REACH
from sandbox.remote.driver import LENGTHS, NONCE_BYTES, REPORT_FILE
from sandbox.remote.fusion import FusionClient, RunCodeAnswer, ServerFault
from sandbox.warm import descriptors
from sandbox.warm.descriptors import INSIDE_MODULES, source_of
from sandbox.warm.sandbox import WarmSandbox

_BASE64 = frozenset(string.ascii_letters + string.digits + "+/=")
_SHIPPED = (*INSIDE_MODULES, "sandbox.remote", "sandbox.remote.driver")
"""Modules that run on the server, in the order of their imports."""
_DRIVER_S = 15.0
"""Seconds that the driver may take on a busy server beside the program: to start, to end all processes, to report."""
_DRIVER_MB = 256
_MARSHAL_VERSION = 2
"""A form that every Python reads."""
_SLACK_BYTES = 4 << 20
_SERVER = """
import sys
for name, text in {modules!r}:
    module = sys.modules[name] = type(sys)(name)
    module.__file__ = "<" + name + ">"
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
sys.modules["sandbox.remote.driver"].main()
"""
# A second interpreter: the order of sets is fixed at its start, and the server's environment stays out of it.
_CODE = """
import os, sys
environment = {{"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1"}}
os.execve(sys.executable, [sys.executable, "-s", "-c", {server!r}], environment)
"""


class RemoteSandbox(WarmSandbox):
    """Programs run on a server, one request a test. Not shared between threads."""

    _keeps_code = False
    """Behind an address there may be several servers, each with another Python."""

    def __init__(self, server: RemoteServer, unenforced: Collection[str] = REACH) -> None:
        """`unenforced` are limits that the server does not keep; nothing is asked of it before the first test.

        The bytes on its disk are watched from here and bounded by nothing, so `disk` is always among them.

        Raises SandboxUnavailable if an environment variable that holds a secret is not set.
        """
        self._client = FusionClient(server)
        super().__init__(_Fusion(self._client), "remote", {*unenforced, "disk"})
        self._threads = ThreadPoolExecutor(server.concurrency, thread_name_prefix="sandbox-remote")
        self._compiling = threading.Lock()

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        """As WarmSandbox.run; without `stop`, several requests are under way at a time."""
        if stop is not None or len(inputs) < 2:
            return super().run(program, inputs, limits, stop)
        language = find_language(program.language)
        compiled = self._compile(program, language) if language.compiler else None
        if isinstance(compiled, Execution):
            return [compiled] * len(inputs)
        one = super().run
        return self._together([functools.partial(one, program, [data], limits) for data in inputs])

    def call(
        self,
        program: Program,
        entry_point: str,
        arguments: Sequence[Sequence[Any]],
        limits: Limits,
        stop: Stop | None = None,
    ) -> list[Execution]:
        """As WarmSandbox.call; without `stop`, several requests are under way at a time."""
        if stop is not None or len(arguments) < 2:
            return super().call(program, entry_point, arguments, limits, stop)
        one = super().call
        return self._together([functools.partial(one, program, entry_point, [values], limits) for values in arguments])

    def close(self) -> None:
        """Ends the connections. May be called twice."""
        super().close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _together(self, tests: Sequence[Callable[[], list[Execution]]]) -> list[Execution]:
        """All of them, in order. After one that the server failed, those not begun are given its fault untried."""
        broken: list[Execution] = []

        def attempt(test: Callable[[], list[Execution]]) -> Execution:
            if broken:
                return broken[0]
            [execution] = test()
            if execution.status is Status.SANDBOX_ERROR:
                broken.append(execution)
            return execution

        return list(self._threads.map(attempt, tests))

    def _headers(self, language: Language) -> Path | None:
        return None

    def _compile(self, program: Program, language: Language) -> int | Execution:
        with self._compiling:
            return super()._compile(program, language)

    def _test(self, job_fd: int, request: bytes, data: bytes, limits: Limits, further: Sequence[int] = ()) -> Execution:
        try:
            return super()._test(job_fd, request, data, limits, further)
        except ServerFault as fault:
            return Execution(Status.SANDBOX_ERROR, reason=str(fault))


class _Fusion:
    """Has a SandboxFusion server run the tests; stands where a fork server of this host would."""

    shown: Collection[Path] = ()

    def __init__(self, client: FusionClient) -> None:
        self._client = client

    def ask(self, request: bytes, fds: list[int], limits: Limits) -> bytes:
        """Takes a test's input from its descriptors, and fills its outputs; returns the reply. Raises ServerFault."""
        nonce = secrets.token_hex(NONCE_BYTES // 2)
        seconds = limits.wall_s + _DRIVER_S
        # Base64 in JSON, once for a report in a file and once for one that is printed.
        most = 4 * (2 * limits.output_bytes + wire.VALUE_BYTES) // 3 + _SLACK_BYTES
        answer = self._client.run_code(_run_code(_stdin(request, fds, limits, nonce), limits, seconds), seconds, most)
        report = _report(answer, nonce.encode())
        reply, lengths = report[: wire.REPLY.size], report[wire.REPLY.size :][: LENGTHS.size]
        body = report[wire.REPLY.size + LENGTHS.size :]
        if len(lengths) != LENGTHS.size or sum(sizes := LENGTHS.unpack(lengths)) != len(body):
            raise ServerFault("the server's report of the test is not whole")
        at = 0
        for place, size in zip((wire.STDOUT, wire.STDERR, wire.VALUE), sizes, strict=True):
            # Without a value there is nothing for it, and its place is the compiled program's or the job's.
            if size:
                descriptors.fill(fds[place], body[at : at + size])
            at += size
        return reply

    def check(self, execution: Execution, limits: Limits, own_s: float) -> Execution:
        """Nothing more is known of it here."""
        return execution

    def stop(self) -> None:
        """Nothing of it stays up between tests."""


@functools.cache
def _code() -> str:
    """The program that the server is sent with every test."""
    return _CODE.format(server=_SERVER.format(modules=_shipped_modules()))


def _shipped_modules() -> list[tuple[str, str]]:
    return [(name, source_of(name).decode("utf-8")) for name in _SHIPPED]


def _run_code(stdin: str, limits: Limits, seconds: float) -> dict[str, Any]:
    return {
        "language": "python",
        "code": _code(),
        "stdin": stdin,
        "run_timeout": seconds,
        "compile_timeout": seconds,
        "memory_limit_MB": limits.memory_mb + _DRIVER_MB,
        "files": {},
        "fetch_files": [REPORT_FILE],
    }


def _stdin(request: bytes, fds: list[int], limits: Limits, nonce: str) -> str:
    # This process wrote the job, in its own Python's newest form.
    given = marshal.loads(_content(fds[wire.JOB]))
    job = {
        "request": _base64(request),
        "program": _base64(marshal.dumps(given, _MARSHAL_VERSION)),
        "value": given[0] in ("call", "compile"),
        "input": _base64(_content(fds[wire.STDIN])),
        # One more than allowed, which shows that there was more.
        "output_bytes": limits.output_bytes + 1,
    }
    if given[0] == "execute":
        job["binary"] = _base64(_content(fds[wire.BINARY]))
    text = json.dumps(job)
    return f"{len(text)}\n{text}{len(nonce)}\n{nonce}"


def _between(text: str, mark: str) -> str | None:
    """Returns the first base64 text between two marks and their colons."""
    at = text.find(f"{mark}:")
    while at >= 0:
        begin = at + len(mark) + 1
        end = text.find(":", begin)
        if end < 0:
            return None
        if text.startswith(mark, end + 1) and _BASE64.issuperset(text[begin:end]):
            return text[begin:end]
        at = text.find(f"{mark}:", at + 1)
    return None


def _report(answer: RunCodeAnswer, nonce: bytes) -> bytes:
    """The report behind the nonce in a server's answer. Raises ServerFault."""
    if answer.status == "SandboxError":
        raise ServerFault(f"the server says that its sandbox failed: {(answer.message or '')[-300:]!r}")
    ran = answer.run_result
    if ran is None or ran.status != "Finished":
        ended = "nothing" if ran is None else ran.status
        raise ServerFault(f"the server ended the test's driver before it could report ({ended})")
    printed = _between(ran.stdout or "", nonce.decode())
    if printed is None:
        raise ServerFault(
            f"the test's driver ended without a report (exit code {ran.return_code}: {(ran.stderr or '')[-300:]!r})"
        )
    try:
        body = base64.b64decode(printed, validate=True)
        filed = body or base64.b64decode(answer.files.get(REPORT_FILE, ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServerFault(f"the server's report of the test cannot be decoded: {error}") from error
    if body:
        return body
    if filed[:NONCE_BYTES] != nonce:
        raise ServerFault("the server did not return the file that was asked for by fetch_files")
    return filed[NONCE_BYTES:]


def _content(fd: int) -> bytes:
    return descriptors.read_back(fd, descriptors.size_of(fd))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
