"""A client of SandboxFusion's `run_code`: one request in, one checked answer or a reason out.

The interface is SandboxFusion's (https://bytedance.github.io/SandboxFusion, POST /run_code). Whatever goes wrong on
the way, from a refused connection to an answer of the wrong shape, is a ServerFault: it says nothing about the
program that was sent.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from sandbox.model import RemoteServer, SandboxUnavailable

_CONNECT_S = 10.0
_LONGEST_PAUSE_S = 30.0
_BUSY = 429
_SERVER_ERRORS = range(500, 600)
_EXCERPT = 200


class ServerFault(RuntimeError):
    """The server gave no usable answer; the message says how, with nothing secret in it."""


class _TryAgain(ServerFault):
    """A fault that may pass."""

    def __init__(self, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class CommandResult(BaseModel):
    """How one command, the compiler or the program, ended on the server."""

    model_config = ConfigDict(strict=True)

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class RunCodeAnswer(BaseModel):
    """The body of an answer to run_code."""

    model_config = ConfigDict(strict=True)

    status: Literal["Success", "Failed", "SandboxError"]
    message: str | None = None
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    files: dict[str, str] = {}
    """Fetched files, base64."""


class FusionClient:
    """Connections to one server. Safe to use from several threads."""

    def __init__(self, server: RemoteServer) -> None:
        """Raises SandboxUnavailable if an environment variable that the settings name is not set."""
        self._server = server
        headers = {name: _secret(variable) for name, variable in server.headers}
        if server.token_env is not None:
            headers["Authorization"] = f"Bearer {_secret(server.token_env)}"
        # Answers are bounded as they come, which compression would defeat.
        headers["Accept-Encoding"] = "identity"
        self._http = httpx.Client(headers=headers, follow_redirects=False)

    def run_code(self, request: Mapping[str, Any], seconds: float, most_bytes: int) -> RunCodeAnswer:
        """Posts a request that may run for `seconds` and reads an answer of at most `most_bytes`.

        Raises ServerFault.
        """
        body = json.dumps(request).encode()
        tries = Retrying(
            stop=stop_after_attempt(self._server.attempts),
            wait=self._pause,
            retry=retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        return _parsed(tries(self._post, body, seconds + self._server.timeout_s, most_bytes))

    def close(self) -> None:
        """Closes the connections. May be called twice."""
        self._http.close()

    def _pause(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome is not None else None
        asked = fault.pause_s if isinstance(fault, _TryAgain) else 0.0
        backed_off = wait_exponential_jitter(self._server.pause_s, _LONGEST_PAUSE_S, jitter=self._server.pause_s)(state)
        return min(max(asked, backed_off), _LONGEST_PAUSE_S)

    def _post(self, body: bytes, seconds: float, most_bytes: int) -> bytes:
        deadline = time.monotonic() + seconds
        where = self._server.endpoint
        try:
            with self._http.stream(
                "POST",
                where,
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=httpx.Timeout(seconds, connect=_CONNECT_S),
            ) as response:
                _check_answer(response, where)
                return _read(response, deadline, most_bytes, where)
        except httpx.TimeoutException as error:
            raise _TryAgain(f"{where} did not answer in time ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise _TryAgain(f"{where} cannot be reached: {type(error).__name__}: {str(error)[:_EXCERPT]}") from error


def _secret(variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise SandboxUnavailable(f"the environment variable {variable} of the sandbox server's credentials is not set")
    if not (value.isascii() and value.isprintable()):
        raise SandboxUnavailable(f"the environment variable {variable} holds what cannot stand in an HTTP header")
    return value


def _check_answer(response: httpx.Response, where: str) -> None:
    code = response.status_code
    if code == _BUSY or code in _SERVER_ERRORS:
        raise _TryAgain(f"{where} answered {code}", _asked_pause(response.headers.get("Retry-After", "")))
    if code != httpx.codes.OK:
        hint = " (is the token right?)" if code in (401, 403) else ""
        raise ServerFault(f"{where} answered {code}{hint}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ServerFault(f"{where} sent a compressed answer that was not asked for")


def _asked_pause(text: str) -> float:
    # Only seconds: the other form is a date, and a server whose clock is wrong would stop the run.
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _read(response: httpx.Response, deadline: float, most_bytes: int, where: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_raw():
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            raise ServerFault(f"{where} sent more than the {most_bytes} bytes that an answer can have")
        if time.monotonic() > deadline:
            raise _TryAgain(f"{where} did not finish its answer in time")
    return b"".join(parts)


def _parsed(body: bytes) -> RunCodeAnswer:
    try:
        return RunCodeAnswer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        raise ServerFault(f"the server's answer is not one of run_code: {field}: {first['msg'][:_EXCERPT]}") from error
