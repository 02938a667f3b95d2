"""The nouns of the sandbox: a program, its limits, one execution of it, a server, and what a backend must offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit


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
    """The limits of one execution (one test)."""

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
    """The outcome of one execution."""

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    value: Any = None
    """Function mode only: the returned value as data of exactly these types: None, bool, int, float, str, list, tuple,
    set (for a frozenset, too), dict."""
    exit_code: int | None = None
    signal: int | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_memory_mb: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """Where a SandboxFusion server is, and how to talk to it. Secrets are named, never held."""

    url: str
    """Base address, such as http://sandbox-fusion:8080."""
    token_env: str | None = None
    """Environment variable that holds a bearer token."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers: name, and the environment variable that holds the value."""
    timeout_s: float = 60.0
    """Longest wait for a place on the server and for its answer, beyond the test's own limits."""
    attempts: int = 4
    """Tries of one request; only connection errors and the answers 429 and 5xx are tried again."""
    pause_s: float = 0.25
    """Pause after the first failed try; it doubles with each, up to 30 s, and is jittered."""
    concurrency: int = 4
    """Requests at a time of one sandbox, where the order of tests does not matter."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the sandbox server's url {self.url!r} is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("the sandbox server's url holds a password; give it by token_env or headers")
        if self.timeout_s <= 0 or self.attempts < 1 or self.concurrency < 1:
            raise ValueError("a sandbox server needs a positive timeout_s, attempts and concurrency")

    @property
    def endpoint(self) -> str:
        """The address of run_code, whether or not `url` already names it."""
        return f"{self.url.rstrip('/').removesuffix('/run_code')}/run_code"


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
