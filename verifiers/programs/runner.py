"""Runs programs in sandboxes, several at a time: one thread and one sandbox per worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, TypeVar

from sandbox.model import Execution, Limits, Program, Sandbox, SandboxUnavailable, Status
from verifiers.patterns import linear

_DEFINED = linear.compile(r"^(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*=", linear.MULTILINE)
_CLASS = linear.compile(r"^class\s+(\w+)", linear.MULTILINE)
OpenSandbox = Callable[[], Sandbox]
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RawOutput:
    """The output of one program for one input: its text when `status` is ok, and otherwise why there is none."""

    status: str
    text: str | None = None
    reason: str = ""


def open_default() -> Sandbox:
    """Opens the strongest sandbox of this host; raises SandboxUnavailable when there is none."""
    from sandbox.open import open_sandbox

    return open_sandbox()


class ProgramRunner:
    """A fixed set of threads, each with a sandbox of its own, opened when first needed.

    The threads live as long as the runner, since a kernel may end a sandbox with the thread that opened it.
    A sandbox that failed is replaced, and what it was doing is tried once more.
    """

    def __init__(self, *, workers: int = 1, open_sandbox: OpenSandbox = open_default) -> None:
        """Takes how many programs may run at a time, and how to open a sandbox."""
        self._open = open_sandbox
        self._threads = ThreadPoolExecutor(max(1, workers), thread_name_prefix="sandbox")
        self._own = threading.local()
        self._opened: list[Sandbox] = []
        self._lock = threading.Lock()
        self._unavailable = ""

    def submit(self, work: Callable[[Sandbox], list[Execution]]) -> Future[list[Execution]]:
        """Has one worker run `work` on its sandbox. The future never raises for a sandbox's fault: it gives
        one execution with the status sandbox_error."""
        return self._threads.submit(self.execute, work)

    def on_worker(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Has one worker thread do `work`, which may call `execute`."""
        return self._threads.submit(work)

    def execute(self, work: Callable[[Sandbox], list[Execution]]) -> list[Execution]:
        """Runs `work` on the sandbox of the calling worker thread; for use within `on_worker`."""
        executions = self._once(work)
        return self._once(work) if _infrastructure_failed(executions) else executions

    def outputs(self, programs: Sequence[Program], inputs: Sequence[str]) -> list[list[RawOutput]]:
        """Returns what each program writes for each standard input, in order."""
        data = [text.encode() for text in inputs]
        futures = [self.submit(methodcaller("run", program, data, Limits())) for program in programs]
        return [_raw_outputs(future.result(), len(inputs)) for future in futures]

    def values(
        self, programs: Sequence[Program], entry_point: str, arguments: Sequence[Sequence[Any]]
    ) -> list[list[Execution]]:
        """Calls a function of each program with each list of arguments; the executions have the returned values.

        A batch that ended early (a program that cannot be loaded) has fewer than there are lists.
        """
        own = [Program(callable_source(one.source, entry_point), one.language) for one in programs]
        futures = [self.submit(methodcaller("call", program, entry_point, arguments, Limits())) for program in own]
        return [future.result() for future in futures]

    def close(self) -> None:
        """Waits for what runs, then closes every sandbox."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            opened, self._opened = self._opened, []
        for sandbox in opened:
            sandbox.close()

    def _once(self, work: Callable[[Sandbox], list[Execution]]) -> list[Execution]:
        if self._unavailable:
            return [Execution(Status.SANDBOX_ERROR, reason=self._unavailable)]
        try:
            executions = work(self._sandbox())
        except SandboxUnavailable as error:
            self._unavailable = str(error)
            return [Execution(Status.SANDBOX_ERROR, reason=str(error))]
        except Exception as error:  # noqa: BLE001 - whatever a backend raises costs one verdict
            executions = [Execution(Status.SANDBOX_ERROR, reason=f"{type(error).__name__}: {error}")]
        if _infrastructure_failed(executions):
            self._discard()
        return executions

    def _sandbox(self) -> Sandbox:
        sandbox: Sandbox | None = getattr(self._own, "sandbox", None)
        if sandbox is None:
            sandbox = self._own.sandbox = self._open()
            with self._lock:
                self._opened.append(sandbox)
        return sandbox

    def _discard(self) -> None:
        sandbox: Sandbox | None = getattr(self._own, "sandbox", None)
        if sandbox is None:
            return
        self._own.sandbox = None
        with self._lock:
            self._opened = [other for other in self._opened if other is not sandbox]
        sandbox.close()


def callable_source(source: str, entry_point: str) -> str:
    """Lets a method of a class Solution be called as a function, as problem sets of that style expect."""
    defined = {name for found in _DEFINED.finditer(source) for name in found.groups()}
    if entry_point in defined or "Solution" not in {found.group(1) for found in _CLASS.finditer(source)}:
        return source
    return f"{source}\n\ndef {entry_point}(*arguments):\n    return Solution().{entry_point}(*arguments)\n"


def _infrastructure_failed(executions: Sequence[Execution]) -> bool:
    return not executions or any(execution.status is Status.SANDBOX_ERROR for execution in executions)


def _raw_outputs(executions: Sequence[Execution], count: int) -> list[RawOutput]:
    """A batch that ended early (a program that doesn't compile) gives its last status for the inputs left."""
    outputs = [
        RawOutput(str(execution.status), execution.stdout.decode(errors="replace"))
        if execution.status is Status.OK
        else RawOutput(str(execution.status), reason=execution.reason)
        for execution in executions
    ]
    if not outputs:
        outputs = [RawOutput(str(Status.SANDBOX_ERROR), reason="the sandbox gave no result")]
    last = RawOutput(outputs[-1].status, reason=outputs[-1].reason or "the batch ended early")
    if last.status == Status.OK:
        last = RawOutput(str(Status.SANDBOX_ERROR), reason=last.reason)
    return (outputs + [last] * count)[:count]


def limits_for(time_limit_s: float, memory_mb: int) -> Limits:
    """Returns the limits of one test: the wall clock gets twice the CPU's seconds and one more."""
    return Limits(cpu_s=time_limit_s, wall_s=2 * time_limit_s + 1, memory_mb=memory_mb)
