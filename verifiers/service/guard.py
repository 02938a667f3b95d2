"""The guard that every request passes before the service looks at it: host, token, media type, a bounded body.

Pure ASGI around the application, so that bodies are counted while it reads them, whatever their headers say.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from verifiers.service.connections import client_of
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.models import ErrorName, ProblemDetails
from verifiers.service.settings import ServiceLimits

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Answered without a token, for probes."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_EXCHANGE = "reward_exchange"
_REFUSALS_PER_S, _REFUSALS_AT_ONCE, _LONGEST_PAUSE_S = 10.0, 20, 1.0
LARGE = 1 << 14
"""Bytes of a body from which on it is not read at once."""
_LARGE_BYTES_PER_S = 32 << 20
_OF_LATE_S, _REST, _LONGEST_REST_S = 1.0, 2.0, 1.0
"""How long a quick request is remembered, and how long a rest is: so many times the turn, and at most so long."""
_log = logging.getLogger("selfplay.reward_service")


class Turns:
    """Turns at something that only one may do at a time: client by client, and for each first come, first served.

    While others want what is quick, each turn is followed by a rest that is longer than it was: what has a turn may
    hold the interpreter all the while, and nobody could be answered. Large bodies then come in at a bounded pace, too,
    since the event loop takes part in all of their bytes. For one event loop.
    """

    def __init__(self) -> None:
        self._busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._quick = -math.inf
        self._next_part = 0.0

    async def pace(self, size: int) -> float:
        """Waits until so many bytes more of large bodies may come in; returns the seconds that it took."""
        now = time.monotonic()
        if not self._wanted(now):
            return 0.0
        self._next_part = max(now, self._next_part) + size / _LARGE_BYTES_PER_S
        await asyncio.sleep(self._next_part - now)
        return time.monotonic() - now

    def _wanted(self, now: float) -> bool:
        return now - self._quick < _OF_LATE_S

    def saw_quick(self) -> None:
        """Notes that somebody has asked for what needs no turn."""
        self._quick = time.monotonic()

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Waits for a turn, and has it until the end of the `with`."""
        while self._busy:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(client, deque()).append(mine)
            await mine
        self._busy = True
        begun = time.monotonic()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(self._rest_s(begun), self._end)

    def _rest_s(self, begun: float) -> float:
        now = time.monotonic()
        return min(_REST * (now - begun), _LONGEST_REST_S) if self._wanted(now) else 0.0

    def _end(self) -> None:
        self._busy = False
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            client = next(iter(self._waiting))
            line = self._waiting.pop(client)
            one = line.popleft()
            if line:
                self._waiting[client] = line
            if not one.done():
                one.set_result(None)
                return


@dataclass(slots=True)
class Exchange:
    """One request, as the guard and the application know it."""

    client: str
    """Whose it is: a token's, where there are several, else an address's."""
    turns: Turns = field(default_factory=Turns)
    """Turns at reading what is large."""
    size: int = 0
    """Bytes of its body so far."""
    weight: int = 0
    """Its bytes, or more where it has many small parts: those take longer to read."""
    held_bytes: int = 0
    disconnected: bool = False
    unread: Sequence[bytes] = ()
    """A large body, in parts, while it is not read."""

    def take_unread(self) -> Sequence[bytes]:
        """Gives that body away."""
        parts, self.unread = self.unread, ()
        return parts


class Refused(HTTPException):
    """A request that gets a problem as its answer. FastAPI lets it pass wherever it reads a request."""

    def __init__(
        self,
        status: int,
        error: ErrorName,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.problem = ProblemDetails(error=error, message=message, field=field)

    def response(self) -> Response:
        """The answer."""
        body = self.problem.model_dump_json()
        return Response(body, self.status_code, dict(self.headers or {}), media_type="application/json")


def exchange_of(scope: MutableMapping[str, Any]) -> Exchange:
    """The exchange that the guard left in the scope of a request."""
    found = scope[_EXCHANGE]
    assert isinstance(found, Exchange)
    return found


class Guard:
    """Stands around the application."""

    def __init__(
        self,
        app: ASGIApp,
        limits: ServiceLimits,
        metrics: ServiceMetrics,
        *,
        tokens: Sequence[str],
        paths: frozenset[str],
        posts: frozenset[str],
    ) -> None:
        """Without `tokens` only requests that name this machine in their Host header are answered, so that a
        web page can't reach the service by a name of its own. `paths` are the known paths, `posts` those that
        take a body."""
        self._app, self._limits, self._metrics = app, limits, metrics
        self._tokens = [token.encode() for token in tokens]
        self._paths, self._posts = paths, posts
        self._held: Counter[str] = Counter()
        self._refused: dict[str, float] = {}
        self._turns = Turns()
        metrics.queue_bytes.set_function(self._held.total)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; other scopes go to the application as they are."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        exchange = scope[_EXCHANGE] = Exchange(client_of(scope.get("client")), self._turns)
        endpoint = scope["path"] if scope["path"] in self._paths else "other"
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if 400 <= status < 500:
                    await self._pause(exchange.client)
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._admit(scope, headers, exchange)
            announced = headers.get("content-length", "")
            if announced.isdigit():
                self._hold(exchange, int(announced))
            await self._app(scope, self._counted(receive, exchange), sending)
        except Refused as refused:
            self._metrics.rejected.labels(refused.problem.error).inc()
            await refused.response()(scope, receive, sending)
        except asyncio.CancelledError:
            # The service ends before this request. Raised further, each would fill pages of its log.
            if not status:
                ending = Refused(
                    503, "overloaded", "the service is ending; try again later", headers={"Retry-After": "1"}
                )
                await ending.response()(scope, receive, sending)
        except Exception:
            if not status:
                raise
            # The answer has been sent; raised further, this would cut the connection under the next request.
            _log.exception("request to %s failed", endpoint)
        finally:
            self._held[exchange.client] -= exchange.held_bytes
            if not self._held[exchange.client]:
                del self._held[exchange.client]
            code = "disconnected" if exchange.disconnected else str(status or 500)
            self._metrics.requests.labels(endpoint, code).inc()
            self._metrics.request_seconds.labels(endpoint).observe(time.perf_counter() - begun)

    async def _pause(self, client: str) -> None:
        """Answers refusals of one client at a slow pace, lest its next take the others' time."""
        now, step = time.monotonic(), 1 / _REFUSALS_PER_S
        last = max(self._refused.pop(client, 0.0), now - _REFUSALS_AT_ONCE * step)
        if len(self._refused) > 10_000:
            self._refused = {one: at for one, at in self._refused.items() if at > now}
        self._refused[client] = min(last + step, now + _LONGEST_PAUSE_S)
        await asyncio.sleep(max(0.0, self._refused[client] - now))

    def _admit(self, scope: Scope, headers: Headers, exchange: Exchange) -> None:
        if not self._tokens:
            _check_host(headers)
        elif scope["path"] not in OPEN_PATHS:
            number = _token_number(headers, self._tokens)
            if len(self._tokens) > 1:
                exchange.client = f"token {number}"
        if scope["method"] == "POST" and scope["path"] in self._posts:
            _check_media_type(headers)

    def _counted(self, receive: Receive, exchange: Exchange) -> Receive:
        """The same messages, while their bodies stay within bounds and come in time. Raises Refused."""
        until = asyncio.get_running_loop().time() + self._limits.body_s

        async def counted() -> Message:
            nonlocal until
            try:
                async with asyncio.timeout_at(until if until < math.inf else None):
                    message = await receive()
            except TimeoutError:
                words = f"the body did not arrive within {self._limits.body_s:g} s"
                raise Refused(408, "body_timeout", words) from None
            exchange.disconnected |= message["type"] == "http.disconnect"
            exchange.size += (size := len(message.get("body", b"")))
            self._hold(exchange, exchange.size)
            if exchange.size >= LARGE:
                until += await self._turns.pace(size)
            if not message.get("more_body", False):
                until = math.inf
            return message

        return counted

    def _hold(self, exchange: Exchange, size: int) -> None:
        """Counts a body of so many bytes as held, or refuses it."""
        if size > self._limits.max_body_bytes:
            raise Refused(
                413,
                "too_large",
                f"the body is larger than the {self._limits.max_body_bytes} bytes that this service takes; "
                "send fewer items at a time",
            )
        wanted = max(0, size - exchange.held_bytes)
        held = self._held[exchange.client]
        if held + wanted > self._limits.client_bytes:
            raise overloaded(f"requests of this client of {held} bytes are under way", self._limits.client_bytes, 429)
        if (held := self._held.total()) + wanted > self._limits.queue_bytes:
            raise overloaded(f"requests of {held} bytes are under way", self._limits.queue_bytes)
        self._held[exchange.client] += wanted
        exchange.held_bytes += wanted


def overloaded(words: str, room: int, status: int = 503, retry_after_s: int = 1) -> Refused:
    """The refusal of what there is no room for now: of this client's with 429, of anybody's with 503."""
    name: ErrorName = "overloaded" if status == 503 else "client_overloaded"
    words = f"{words}, and there is room for {room}; try again later"
    return Refused(status, name, words, headers={"Retry-After": str(retry_after_s)})


def _check_host(headers: Headers) -> None:
    host = headers.get("host", "").lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    if name not in LOOPBACK_NAMES:
        raise Refused(
            421,
            "wrong_host",
            f"a service without a token answers only to {', '.join(sorted(LOOPBACK_NAMES))}, not to {host[:100]!r}",
        )


def _token_number(headers: Headers, tokens: Sequence[bytes]) -> int:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    presented = given.strip().encode()
    if scheme.lower() == "basic":
        try:
            presented = base64.b64decode(presented, validate=True).partition(b":")[2]
        except binascii.Error:
            presented = b""
    elif scheme.lower() != "bearer":
        presented = b""
    right = [hmac.compare_digest(presented, token) for token in tokens]
    if not any(right):
        raise Refused(
            401,
            "unauthorized",
            "this service wants its token: Authorization: Bearer TOKEN, or as a password: http://any:TOKEN@host",
            headers={"WWW-Authenticate": 'Bearer realm="rewards", Basic realm="rewards"'},
        )
    return right.index(True)


def _check_media_type(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = headers.get("content-encoding", "identity").strip().lower()
    if kind != "application/json" or coding != "identity":
        raise Refused(
            415, "unsupported_media_type", "the body must be JSON, not compressed: Content-Type: application/json"
        )
