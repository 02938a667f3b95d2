"""A sandbox that stays warm: hands tests to its fork server, and judges what came back.

Only numbers are taken from the fork server's answer, and only bytes from the program's; a fork server that
dies, hangs or answers nonsense costs the execution at hand (sandbox_error), and the next starts another.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.inside import plain, wire
from sandbox.languages import COMPILE_LIMITS, HEADERS, Language, find_language
from sandbox.model import Execution, Limits, Program, Status, Stop
from sandbox.warm import descriptors
from sandbox.warm.fork_server import Server
from sandbox.warm.outcome import judge, read_reply
from sandbox.warm.precompiled import prepare
from sandbox.warm.returned_values import decoded, read_records, with_value

_CACHED_BINARIES = 64
_LONGEST_IMPORT = 200

Sees = Callable[[Path], str]
"""Where the programs of a sandbox find a folder of the host that it shows them."""


class WarmSandbox:
    """A sandbox whose fork server stays up between tests. Not shared between threads."""

    def __init__(self, server: Server, backend: str, unenforced: Collection[str] = (), sees: Sees = str) -> None:
        self.backend = backend
        self.unenforced = frozenset(unenforced)
        """Names of the limits (sandbox.doctor lists them) that this backend cannot enforce."""
        self._sees = sees
        self._server = server
        self._binaries: dict[tuple[str, str], int] = {}
        self._closed = False

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        """Runs the program once per standard input, each in a fresh process.

        Raises ValueError for an unknown language and RuntimeError after close().
        """
        language = find_language(program.language)
        binary: int | None = None
        job: dict[str, Any] = {"mode": "script", "source": program.source}
        if language.compiler and inputs:
            compiled = self._compile(program, language)
            if isinstance(compiled, Execution):
                return _repeat(compiled, len(inputs), stop)
            binary = compiled
            job = {"mode": "execute", "command": [language.binary_name]}
        modules = 0 if language.compiler else _named_modules(program.source)
        job_fd = descriptors.open_sealed(_job_bytes(job))
        try:
            executions: list[Execution] = []
            for index, data in enumerate(inputs):
                executions.append(self._test(job_fd, data, limits, language, binary, modules)[0])
                if stop is not None and stop(index, executions[-1]):
                    break
            return executions
        finally:
            os.close(job_fd)

    def call(
        self,
        program: Program,
        entry_point: str,
        arguments: Sequence[Sequence[Any]],
        limits: Limits,
        stop: Stop | None = None,
    ) -> list[Execution]:
        """Calls a Python function once per argument list, each in a fresh process.

        Raises plain.NotPlainData if an argument is not plain data, and ValueError for a compiled language.
        """
        executions: list[Execution] = []
        for index, values in enumerate(arguments):
            execution, returned = self._call(program, entry_point, [values], limits)
            executions.append(with_value(execution, returned))
            if stop is not None and stop(index, executions[-1]):
                break
        return executions

    def call_together(
        self, program: Program, entry_point: str, arguments: Sequence[Sequence[Any]], limits: Limits
    ) -> list[Execution]:
        """Calls a Python function on all argument lists in one fresh process, within the limits of one test.

        One execution a call if every call returned; the first alone if that one failed, since it ran as it would
        have by itself; and none if a later one failed, or if all of them passed a limit. Output, seconds and
        memory are those of the process, and given with the first. Raises as `call` does.
        """
        execution, returned = self._call(program, entry_point, arguments, limits)
        records = read_records(returned)
        if len(records) != len(arguments) or execution.status is not Status.OK:
            return [] if records[:1] and records[0][0] == b"V" else [with_value(execution, returned)]
        executions = [decoded(execution, *record) for record in records]
        others = [replace(other, stdout=b"", stderr=b"", cpu_s=0.0, wall_s=0.0) for other in executions[1:]]
        return [*executions[:1], *others]

    def _call(
        self, program: Program, entry_point: str, arguments: Sequence[Sequence[Any]], limits: Limits
    ) -> tuple[Execution, bytes]:
        language = find_language(program.language)
        if language.compiler:
            raise ValueError(f"functions of a {language.name} program cannot be called")
        exact = [[plain.exact(value) for value in values] for values in arguments]
        job = {"mode": "call", "source": program.source, "entry_point": entry_point, "arguments": exact}
        job_fd = descriptors.open_sealed(_job_bytes(job))
        try:
            execution, returned = self._test(job_fd, b"", limits, language, None, _named_modules(program.source))
            return execution, returned[: wire.RETURNED_BYTES]
        finally:
            os.close(job_fd)

    def close(self) -> None:
        """Ends every process of this sandbox and frees the compiled programs. May be called twice."""
        self._closed = True
        self._server.stop()
        for fd in self._binaries.values():
            os.close(fd)
        self._binaries.clear()

    def __enter__(self) -> WarmSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _compile(self, program: Program, language: Language) -> int | Execution:
        key = (language.name, program.source)
        if key in self._binaries:
            self._binaries[key] = self._binaries.pop(key)
            return self._binaries[key]
        headers = self._headers(language) if language.header in program.source else None
        if headers is not None and headers not in self._server.shown:
            # A fork server that is up shows only what was there when it started.
            self._server.stop()
        where = "." if headers is None else self._sees(headers)
        job = {
            "mode": "compile",
            "source": program.source,
            "source_name": language.source_name,
            "binary_name": language.binary_name,
            "command": [part.replace(HEADERS, where) for part in (*language.compiler, *language.files)],
        }
        job_fd = descriptors.open_sealed(_job_bytes(job))
        try:
            execution, binary = self._test(job_fd, b"", COMPILE_LIMITS, language, None)
        finally:
            os.close(job_fd)
        if _does_not_know(language.standard, execution):
            if language.otherwise:
                return self._compile(program, find_language(language.otherwise))
            reason = f"the compiler does not know {language.standard}"
            return replace(execution, status=Status.SANDBOX_ERROR, reason=reason)
        if execution.status is not Status.OK:
            return _compile_failure(execution)
        if len(binary) > wire.VALUE_BYTES:
            reason = f"the compiled program is larger than {wire.VALUE_BYTES >> 20} MB"
            return replace(execution, status=Status.COMPILE_ERROR, reason=reason)
        while len(self._binaries) >= _CACHED_BINARIES:
            os.close(self._binaries.pop(next(iter(self._binaries))))
        self._binaries[key] = descriptors.open_sealed(binary)
        return self._binaries[key]

    def _headers(self, language: Language) -> Path | None:
        """Headers that were compiled beforehand, or None to do without."""
        return prepare(language)

    def _test(
        self, job_fd: int, data: bytes, limits: Limits, language: Language, binary: int | None, modules: int = 0
    ) -> tuple[Execution, bytes]:
        """One test; returns also what the program wrote to the value descriptor."""
        if self._closed:
            raise RuntimeError("this sandbox is closed")
        stdin_fd = descriptors.open_sealed(data)
        try:
            with descriptors.scratch_files(3) as (stdout_fd, stderr_fd, value_fd):
                fds = [stdin_fd, stdout_fd, stderr_fd, job_fd, value_fd]
                fds += [] if binary is None else [binary]
                reply = read_reply(self._server.ask(_request(limits, language, modules), fds, limits))
                judged = judge(reply, limits, stdout_fd, stderr_fd)
                execution = self._server.check(judged, limits, 0.0 if reply is None else reply.own_s)
                if reply is None or reply.dirty:
                    self._server.stop()
                return execution, descriptors.read_back(value_fd, wire.VALUE_BYTES + 1)
        finally:
            os.close(stdin_fd)


def _job_bytes(job: dict[str, Any]) -> bytes:
    return marshal.dumps(job)


def _named_modules(source: str) -> int:
    """Bits of the modules of wire.PRELOADED that an import statement seems to name."""
    names = {name for line in source.split("\n") for name in _imported(line)}
    return sum(1 << place for place, name in enumerate(wire.PRELOADED) if name in names)


def _imported(line: str) -> list[str]:
    """The names in an import statement; none for any other line."""
    words = line[: 4 * _LONGEST_IMPORT].replace("\t", " ").strip(" ")
    keyword, _, rest = words.partition(" ")
    if keyword not in {"from", "import"}:
        return []
    rest = rest.partition("#")[0].partition(";")[0][:_LONGEST_IMPORT]
    return "".join(char if char.isalnum() or char == "_" else " " for char in rest).split()


def _request(limits: Limits, language: Language, modules: int) -> bytes:
    disk = limits.disk_mb << 20
    return wire.REQUEST.pack(
        limits.cpu_s,
        limits.wall_s,
        limits.memory_mb << 20,
        limits.processes,
        limits.output_bytes,
        disk,
        language.stack_mb << 20,
        max(disk, limits.output_bytes + 1, wire.VALUE_BYTES),
        modules,
    )


def _repeat(execution: Execution, count: int, stop: Stop | None) -> list[Execution]:
    executions: list[Execution] = []
    for index in range(count):
        executions.append(execution)
        if stop is not None and stop(index, execution):
            break
    return executions


def _does_not_know(flag: str, execution: Execution) -> bool:
    """Whether the compiler refused a flag, as gcc and clang say it, and not the program."""
    said = execution.stderr.partition(b"\n")[0]
    flagged = flag.encode() in said and (b"unrecognized" in said or b"invalid value" in said)
    return execution.status is Status.RUNTIME_ERROR and flagged


def _compile_failure(execution: Execution) -> Execution:
    if execution.status is Status.SANDBOX_ERROR:
        return execution
    if execution.exit_code == wire.NO_COMPILER:
        return Execution(Status.SANDBOX_ERROR, stderr=execution.stderr, reason="the compiler is not installed")
    reason = "the compiler rejected the program"
    if execution.status is not Status.RUNTIME_ERROR:
        reason = f"the compiler passed its {execution.status.value.replace('_', ' ')}"
    return replace(execution, status=Status.COMPILE_ERROR, stdout=b"", reason=reason)
