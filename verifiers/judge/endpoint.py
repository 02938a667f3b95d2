"""Asks an OpenAI-compatible endpoint for one chat completion, whatever that endpoint does.

Every attempt has one deadline for all of it (name resolution, connection, headers and body: an endpoint that
drips a byte a second ends with it), the body has a bounded size, and what may go away is tried again with
growing pauses. The requests run on an event loop in a thread of its own, so that callers may be threads, or
hold an event loop themselves.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import random
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_MAX_PAUSE_S = 30.0
_Result = TypeVar("_Result")


class EndpointFault(RuntimeError):
    """The endpoint gave no usable answer; the message says what came instead."""


class PassingFault(EndpointFault):
    """A fault that may be gone the next time; `after_s` is the pause that the endpoint asked for."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        """Takes what happened, and the pause in seconds."""
        super().__init__(message)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of one chat completion, and how many tokens it took as far as the endpoint says."""

    text: str
    cut: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Endpoint:
    """A chat-completions endpoint with limits. Safe from any thread; `close` may be called twice."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        timeout_s: float,
        attempts: int,
        pause_s: float,
        concurrency: int,
        max_reply_bytes: int,
    ) -> None:
        """`timeout_s` bounds one attempt as a whole, `pause_s` is the first pause between two, and
        `concurrency` is how many requests may be under way.

        Raises ValueError when `base_url` is no http(s) address.
        """
        address = _address(base_url)
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._timeout_s, self._attempts, self._pause_s = timeout_s, attempts, pause_s
        self._concurrency, self._max_bytes = concurrency, max_reply_bytes
        # a proxy of the environment has no business between this machine and itself
        self._trust_env = address.host not in ("localhost", "127.0.0.1", "::1")
        # certificates take 0.1 s to load, and no redirect is followed from http to where they would matter
        self._verify = address.scheme == "https"
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: httpx.AsyncClient | None = None
        self._free: asyncio.Semaphore | None = None
        self._chance = random.Random()  # spreads retries; the global generator stays as it is

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs a coroutine on the endpoint's own loop and waits for it.

        Raises EndpointFault when the endpoint is closed meanwhile.
        """
        with self._lock:
            if self._loop is None:
                self._loop = self._started()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise EndpointFault("the judge was closed") from error

    async def ask(self, body: dict[str, Any]) -> tuple[Reply, int]:
        """Sends one request, again if need be; returns the reply and the number of attempts. For use in `run`.

        Raises EndpointFault when the last attempt failed, or one that another would not mend.
        """
        assert self._free is not None
        attempts = 0
        async with self._free:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(self._attempts),
                wait=self._pause,
                retry=retry_if_exception_type(PassingFault),
                reraise=True,
            ):
                with attempt:
                    attempts += 1
                    return await self._once(body), attempts
        raise EndpointFault("no attempt was made")

    def close(self) -> None:
        """Ends what is under way, and the thread."""
        with self._lock:
            loop, thread, client = self._loop, self._thread, self._client
            self._loop = self._thread = self._client = None
        if loop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop may have ended with the interpreter
            loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        if not thread.is_alive():
            loop.run_until_complete(_end(client))
            loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._free = asyncio.Semaphore(self._concurrency)
        self._client = httpx.AsyncClient(
            timeout=self._timeout_s,
            trust_env=self._trust_env,
            verify=self._verify,
            limits=httpx.Limits(max_connections=self._concurrency),
        )
        self._thread = threading.Thread(target=loop.run_forever, name="judge endpoint", daemon=True)
        self._thread.start()
        return loop

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.after_s if isinstance(error, PassingFault) else 0.0
        grown = self._pause_s * 2.0 ** (state.attempt_number - 1) * self._chance.uniform(0.5, 1.5)
        return min(_MAX_PAUSE_S, max(asked, grown))

    async def _once(self, body: dict[str, Any]) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PassingFault(f"no answer within {self._timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise PassingFault(f"the connection failed: {type(error).__name__}: {error}"[:300]) from error
        except EndpointFault:
            raise
        except Exception as error:  # whatever a library raises about an address or a reply costs one verdict
            raise EndpointFault(f"the request failed: {type(error).__name__}: {error}"[:300]) from error

    async def _exchange(self, body: dict[str, Any]) -> Reply:
        assert self._client is not None
        async with self._client.stream("POST", self._url, json=body, headers=self._headers) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise EndpointFault("the endpoint sent a compressed answer, which was not asked for")
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > self._max_bytes:
                    raise EndpointFault(f"the endpoint's answer is longer than {self._max_bytes} bytes")
        if response.status_code in _AGAIN:
            raise PassingFault(f"the endpoint answered {response.status_code}", _retry_after(response))
        if response.status_code != 200:
            raise EndpointFault(f"the endpoint answered {response.status_code}: {_excerpt(received)}")
        return _reply(bytes(received))


def _address(base_url: str) -> httpx.URL:
    try:
        address = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"base_url: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"base_url must be an address such as http://127.0.0.1:8000/v1, not {base_url!r}")
    if address.port is not None and not 0 < address.port < 1 << 16:
        raise ValueError(f"base_url: there is no port {address.port}")
    if address.userinfo:
        raise ValueError("base_url must hold no user or password; name the variable of a key in api_key_env")
    return address


def _retry_after(response: httpx.Response) -> float:
    """A pause in seconds; the form with a date is taken for none, and a longer one than is waited is cut."""
    text = response.headers.get("retry-after", "")
    return min(float(text), _MAX_PAUSE_S) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _excerpt(received: bytes | bytearray) -> str:
    return " ".join(bytes(received[:200]).decode("utf-8", "replace").split())


def _reply(received: bytes) -> Reply:
    try:
        row = json.loads(received)
        choice = row["choices"][0]
        text = choice["message"]["content"]
        usage = row.get("usage")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError) as error:
        raise PassingFault("the endpoint's answer is no chat completion") from error
    if not isinstance(text, str):
        raise PassingFault("the endpoint's answer holds no text")
    counts = usage if isinstance(usage, dict) else {}
    return Reply(
        text,
        choice.get("finish_reason") == "length",
        _count(counts.get("prompt_tokens")),
        _count(counts.get("completion_tokens")),
    )


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 40 else 0


async def _end(client: httpx.AsyncClient | None) -> None:
    """Cancels what is still under way, so that no caller waits for ever, and closes the connections."""
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not mine]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if client is not None:
        await client.aclose()
    with contextlib.suppress(TimeoutError):  # a name that is still being resolved can't be hurried
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 5)
