"""HTTP to an OpenAI-compatible endpoint, whatever that endpoint does: bounded in time and size, tried again, polite.

The requests run on an event loop in a thread of its own, so that callers stay plain functions, in any thread. A key
travels in a header and nowhere else: where an answer repeats it, it is struck out before anybody reads the answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import json
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from verifiers.endpoint.settings import EndpointSettings

CONNECT_S = 30.0
SHORTEST_SECRET = 8
"""Keys below this length, such as EMPTY, are no secrets, and striking them out would spoil honest text."""
EXCERPT = 200
AGAIN = frozenset((408, 409, 425, 429))
"""Statuses that may be others the next time, beside those of 500 and more."""
_END_S = 10.0
_Result = TypeVar("_Result")


class EndpointError(RuntimeError):
    """An endpoint gave no usable answer; the message says what came instead."""


class PassingFault(EndpointError):
    """A fault that may be gone the next time."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        """Takes what happened, and the pause in seconds that the endpoint asked for."""
        super().__init__(message)
        self.after_s = after_s


class RequestRefused(EndpointError):
    """The endpoint will not answer this one request, however often it is asked."""


class EndpointRefused(EndpointError):
    """The endpoint will answer none of our requests: a wrong key, address or model."""


class EndpointClosed(EndpointError):
    """The client was closed while it waited."""


class EndpointClient:
    """Sends requests to one endpoint. Safe from any thread; `close` may be called twice."""

    def __init__(self, settings: EndpointSettings, name: str, admit: Callable[[], None] = lambda: None) -> None:
        """Takes the settings, who asks (for messages), and what may forbid a try by raising, such as a spent budget.

        Raises:
            EndpointRefused: it is at no address, or the variable of the key is not set, or holds no key.
        """
        self.url = settings.base_url.rstrip("/")
        try:
            self._address = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError) as error:
            raise EndpointRefused(f"{name}: {self.url!r} is no address ({error})") from error
        self._settings, self._name, self._admit = settings, name, admit
        self._key = _key(settings.api_key_env, name)
        self._headers = {"Accept-Encoding": "identity"}
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._places = asyncio.Semaphore(settings.concurrency)
        self._not_before = 0.0
        self._chance = random.Random()  # spreads tries over time; no result depends on it
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: httpx.AsyncClient | None = None

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Runs a coroutine on the client's loop and waits for it; an interrupt of the waiting ends the work.

        Raises:
            EndpointClosed: the client is closed, or was meanwhile.
        """
        with self._lock:
            if self._closed:
                work.close()
                raise EndpointClosed(f"{self._name} was closed")
            loop = self._loop or self._start()
            future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise EndpointClosed(f"{self._name} was closed") from error
        except BaseException:
            future.cancel()
            raise

    async def ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], _Result]) -> tuple[_Result, int]:
        """Posts a request, again where that may help, and reads the JSON of the answer. For use within `run`.

        Args:
            path: the last part of the address, such as `/chat/completions`.
            body: the request.
            read: turns the answer's JSON into a result; raises ValueError where it is not what was asked for.

        Returns:
            The result, and the number of tries.

        Raises:
            PassingFault: the last try met a fault that may pass.
            RequestRefused, EndpointRefused: another try would not help.
        """
        trying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=self._pause,
            retry=retry_if_exception_type(PassingFault),
            reraise=True,
        )
        async with self._places:
            result: _Result = await trying(self._try, path, body, read)
        return result, trying.statistics["attempt_number"]

    def close(self) -> None:
        """Ends what is under way, and the thread."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        # The loop may have ended with the interpreter.
        with contextlib.suppress(RuntimeError):
            with contextlib.suppress(concurrent.futures.TimeoutError):
                asyncio.run_coroutine_threadsafe(self._end(), loop).result(_END_S)
            loop.call_soon_threadsafe(loop.stop)
        thread.join(_END_S)
        if not thread.is_alive():
            loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        limit = self._settings.timeout_s
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(limit, connect=min(limit, CONNECT_S), pool=None),
            limits=httpx.Limits(max_connections=self._settings.concurrency),
            # A proxy of the environment has no business between this machine and itself.
            trust_env=self._address.host not in ("localhost", "127.0.0.1", "::1"),
            # Certificates take 0.1 s to load, and no redirect is followed to where they would matter.
            verify=self._address.scheme == "https",
        )
        thread = threading.Thread(target=loop.run_forever, name=f"endpoint of {self._name}", daemon=True)
        thread.start()
        self._loop, self._thread = loop, thread
        return loop

    async def _end(self) -> None:
        mine = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not mine]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.after_s if isinstance(error, PassingFault) else 0.0
        grown = self._settings.pause_s * 2.0 ** min(state.attempt_number - 1, 32) * self._chance.uniform(0.5, 1.5)
        return min(self._settings.longest_pause_s, max(asked, grown))

    async def _try(self, path: str, body: Mapping[str, Any], read: Callable[[Any], _Result]) -> _Result:
        # A server that asked one request to wait means all of them.
        await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._admit()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                content = await self._exchange(path, body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PassingFault(f"no answer within {self._settings.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise PassingFault(self._clean(f"the connection failed: {type(error).__name__}: {error}")) from error
        except EndpointError:
            raise
        except Exception as error:  # whatever a library raises about a request or an answer costs that request alone
            raise RequestRefused(self._clean(f"the request failed: {type(error).__name__}: {error}")) from error
        try:
            return read(json.loads(content))
        except EndpointError:
            raise
        except Exception as error:  # an answer that nobody has thought of costs one try, and never the run
            reason = error if not isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else "it is not JSON"
            raise PassingFault(self._clean(f"the answer is no {_noun(path)}: {reason}")) from error

    async def _exchange(self, path: str, body: Mapping[str, Any]) -> bytes:
        assert self._http is not None
        most = self._settings.max_reply_bytes
        received = bytearray()
        async with self._http.stream("POST", self.url + path, json=body, headers=self._headers) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise RequestRefused("the answer is compressed, which was not asked for")
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > most:
                    raise RequestRefused(f"the answer is longer than {most} bytes (max_reply_bytes)")
        content = self._without_key(bytes(received))
        if response.status_code == 200:
            return content
        raise self._fault(path, response, content)

    def _fault(self, path: str, response: httpx.Response, content: bytes) -> EndpointError:
        code = response.status_code
        said = self._clean(content[: 4 * EXCERPT].decode("utf-8", "replace"))
        if code in AGAIN or code >= 500:
            after = self._asked_pause(response)
            self._not_before = max(self._not_before, time.monotonic() + after)
            return PassingFault(f"the endpoint answered {code}: {said}", after)
        if code in (401, 402, 403, 404, 405) or code < 400:
            return EndpointRefused(f"{self.url}{path} answered {code}: {said}")
        return RequestRefused(f"the endpoint answered {code}: {said}")

    def _asked_pause(self, response: httpx.Response) -> float:
        """The pause in seconds that `Retry-After` asks for, as a number or a date, at most the longest that we wait."""
        text = response.headers.get("retry-after", "").strip()
        seconds = 0.0
        if text.isascii() and text.isdigit():
            seconds = float(text[:12])
        elif text:
            # Such as a date at the end of time, or in a zone that is none.
            with contextlib.suppress(ValueError, TypeError, LookupError, ArithmeticError):
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        return min(max(0.0, seconds), self._settings.longest_pause_s)

    def _without_key(self, content: bytes) -> bytes:
        if self._key is None or len(self._key) < SHORTEST_SECRET:
            return content
        for form in {self._key, json.dumps(self._key)[1:-1], self._key.replace("/", "\\/")}:
            content = content.replace(form.encode(), b"[key]")
        return content

    def _clean(self, text: str) -> str:
        """Text of the other side for a message: without the key, on one line, printable, short."""
        kept = self._without_key(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        return " ".join("".join(c if c.isprintable() else " " for c in kept).split())[:EXCERPT]


def _key(variable: str | None, name: str) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise EndpointRefused(f"{name}: the environment variable {variable} is not set; it must hold the key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointRefused(f"{name}: what the environment variable {variable} holds is no key")
    return key


def _noun(path: str) -> str:
    """The last part of an address as what it gives: `/chat/completions` gives a chat completion."""
    return path.strip("/").removesuffix("s").replace("/", " ")
