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
from sandbox.warm import descriptors, jobs
from sandbox.warm.fork_server import Server
from sandbox.warm.outcome import judge, read_reply
from sandbox.warm.precompiled import prepare
from sandbox.warm.returned_values import decoded, read_records, with_value

_CACHED_BINARIES = 64
_WORTH_KEEPING = 2
"""Tests of a program from which on its code is kept between them."""

Sees = Callable[[Path], str]
"""Where the programs of a sandbox find a folder of the host that it shows them."""


class WarmSandbox:
    """A sandbox whose fork server stays up between tests. Not shared between threads."""

    _keeps_code = True
    """Whether all tests run under one interpreter, so that what one compiled another can read."""

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
        if not language.compiler or not inputs:
            return self._run_script(program.source, inputs, limits, stop or _never)
        compiled = self._compile(program, language)
        if isinstance(compiled, Execution):
            return _repeat(compiled, len(inputs), stop or _never)
        request, job = jobs.request(limits, language), ("execute", [language.binary_name])
        return self._tests(job, request, inputs, limits, stop or _never, [compiled])

    def _run_script(self, source: str, inputs: Sequence[bytes], limits: Limits, stop: Stop) -> list[Execution]:
        """Runs a Python program; its first process keeps the code that it made of the text for those that follow."""
        request = jobs.request(limits, find_language("python"), jobs.named_modules(source))
        if len(inputs) < _WORTH_KEEPING or not self._keeps_code or jobs.reads_itself(source):
            return self._tests(jobs.script(source), request, inputs, limits, stop)
        first, code = self._test_with_value(jobs.script(source, is_kept=True), request, inputs[0], limits)
        if stop(0, first):
            return [first]
        rest = self._tests(
            jobs.script(source, code), request, inputs[1:], limits, lambda index, one: stop(index + 1, one)
        )
        return [first, *rest]

    def _tests(
        self,
        job: jobs.Job,
        request: bytes,
        inputs: Sequence[bytes],
        limits: Limits,
        stop: Stop,
        further: Sequence[int] = (),
    ) -> list[Execution]:
        job_fd = descriptors.open_sealed(marshal.dumps(job))
        try:
            executions: list[Execution] = []
            for index, data in enumerate(inputs):
                executions.append(self._test(job_fd, request, data, limits, further))
                if stop(index, executions[-1]):
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
        source = program.source
        request = jobs.request(limits, language, jobs.named_modules(source) | jobs.ENCODER)
        job = jobs.call(source, entry_point, exact)
        execution, returned = self._test_with_value(job, request, b"", limits)
        return execution, returned[: wire.RETURNED_BYTES]

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
        command = [part.replace(HEADERS, where) for part in (*language.compiler, *language.files)]
        job = ("compile", program.source, language.source_name, language.binary_name, command)
        request = jobs.request(COMPILE_LIMITS, language)
        execution, binary = self._test_with_value(job, request, b"", COMPILE_LIMITS)
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
        self._binaries[key] = descriptors.open_program(binary)
        return self._binaries[key]

    def _headers(self, language: Language) -> Path | None:
        """Headers that were compiled beforehand, or None to do without."""
        return prepare(language)

    def _test(self, job_fd: int, request: bytes, data: bytes, limits: Limits, further: Sequence[int] = ()) -> Execution:
        """One test; `further` is the descriptor of a value, to be written, or of a compiled program, to be executed."""
        if self._closed:
            raise RuntimeError("this sandbox is closed")
        stdin_fd = descriptors.open_sealed(data)
        try:
            with descriptors.scratch_files(2) as (stdout_fd, stderr_fd):
                fds = [stdin_fd, stdout_fd, stderr_fd, *further, job_fd]
                reply = read_reply(self._server.ask(request, fds, limits))
                judged = judge(reply, limits, stdout_fd, stderr_fd)
                execution = self._server.check(judged, limits, 0.0 if reply is None else reply.own_s)
                if reply is None or reply.dirty:
                    self._server.stop()
                return execution
        finally:
            os.close(stdin_fd)

    def _test_with_value(self, job: jobs.Job, request: bytes, data: bytes, limits: Limits) -> tuple[Execution, bytes]:
        """One test; returns also what it wrote to the value descriptor."""
        job_fd = descriptors.open_sealed(marshal.dumps(job))
        try:
            with descriptors.scratch_files(1) as (value_fd,):
                execution = self._test(job_fd, request, data, limits, [value_fd])
                return execution, descriptors.read_back(value_fd, wire.VALUE_BYTES + 1)
        finally:
            os.close(job_fd)


def _repeat(execution: Execution, count: int, stop: Stop) -> list[Execution]:
    executions: list[Execution] = []
    for index in range(count):
        executions.append(execution)
        if stop(index, execution):
            break
    return executions


def _never(_index: int, _execution: Execution) -> bool:
    return False


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
