"""The nouns of the sandbox: a program, its limits, one execution of it, and what a backend must offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How one execution ended."""

    OK = "ok"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    SANDBOX_ERROR = "sandbox_error"
    """The sandbox itself failed: this says nothing about the program, and must never be scored as wrong."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one execution (one test) may use."""

    cpu_s: float = 5.0
    wall_s: float = 10.0
    memory_mb: int = 512
    processes: int = 32
    output_bytes: int = 1 << 20
    """Standard output and standard error, each."""
    disk_mb: int = 32
    """Bytes the program may write to its private temporary folder."""


@dataclass(frozen=True, slots=True)
class Program:
    """Source text in a language that `sandbox.languages` knows."""

    source: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of one execution."""

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    value: Any = None
    """Function mode only: the returned value as plain data (None, bool, int, float, str, list, dict)."""
    exit_code: int | None = None
    signal: int | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0
    reason: str = ""


Stop = Callable[[int, Execution], bool]
"""Called after each execution with its index; True ends the batch early."""


class SandboxUnavailable(RuntimeError):
    """No backend on this host passes its own live test; the message names what failed and the remedy."""


class Sandbox(Protocol):
    """One isolated place. Not shared between threads: open one for each worker."""

    def run(
        self, program: Program, inputs: Sequence[bytes], limits: Limits, stop: Stop | None = None
    ) -> list[Execution]:
        """Runs the program once per input, each in a fresh process; returns one execution per input run."""
        ...

    def call(
        self,
        program: Program,
        entry_point: str,
        arguments: Sequence[Sequence[Any]],
        limits: Limits,
        stop: Stop | None = None,
    ) -> list[Execution]:
        """Calls a function of the program once per argument list (plain data), each in a fresh process."""
        ...

    def call_together(
        self, program: Program, entry_point: str, arguments: Sequence[Sequence[Any]], limits: Limits
    ) -> list[Execution]:
        """Calls a function of the program on all argument lists in one fresh process, at the price of one test.

        One execution a call if all went well within the limits of one test; the first alone if that one failed
        (it ran as it would have by itself); none if a later one failed, so that `call` must say.
        """
        ...

    def close(self) -> None:
        """Ends every process of this sandbox and removes what it left on disk."""
        ...
