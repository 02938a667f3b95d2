"""Connections under a quota and deadlines of their own, which uvicorn has none of.

Headers have a deadline from their first byte on, an answer one to be fetched in, and every client a number of
connections. Beyond it a new one takes the place of one that the service waits for (half-sent headers first, then
half-sent bodies, then idle ones, the oldest of each), so that whoever holds connections open locks nobody out;
where there is none of these, the new one is refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from verifiers.service.metrics import ServiceMetrics
from verifiers.service.settings import ServiceLimits

_MANY_CHUNKS, _LEAST_CHUNK = 4096, 64
"""Chunks that a body may come in whatever their size, and the bytes that each further one has on average."""
_CHUNKED = b"chunked"
_REFUSED = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def client_of(address: object) -> str:
    """The client that an address belongs to: a host, or a network of IPv6 (a /64 is one subscriber's)."""
    host = str(address[0]).partition("%")[0] if isinstance(address, tuple | list) and address else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return host


class Connections:
    """All open connections of a service, by client."""

    def __init__(self, limits: ServiceLimits, metrics: ServiceMetrics) -> None:
        self.limits, self._cut = limits, metrics.connections_cut
        self._open: dict[str, set[BoundedConnection]] = {}
        metrics.connections.set_function(lambda: sum(map(len, list(self._open.values()))))

    def protocol(self, *arguments: Any, **named: Any) -> asyncio.Protocol:
        """Makes the protocol of a new connection, as uvicorn asks for it."""
        return BoundedConnection(self, *arguments, **named)

    def admit(self, new: BoundedConnection, client: str) -> bool:
        """Counts a connection as open, unless there is no room."""
        own = self._open.setdefault(client, set())
        if len(own) >= self.limits.client_connections:
            if not self._evict(own):
                return False
        elif sum(map(len, self._open.values())) >= self.limits.connections and not self._evict(
            max(self._open.values(), key=len)
        ):
            return False
        own.add(new)
        return True

    def leave(self, gone: BoundedConnection, client: str) -> None:
        """Forgets a connection."""
        own = self._open.get(client, set())
        own.discard(gone)
        if not own:
            self._open.pop(client, None)

    def cut(self, reason: str) -> None:
        """Counts a connection that the service has ended."""
        self._cut.labels(reason).inc()

    def _evict(self, among: set[BoundedConnection]) -> bool:
        waiting = [one for one in among if one.awaited() is not None]
        if not waiting:
            self.cut("refused")
            return False
        one = min(waiting, key=lambda one: one.awaited() or (0, 0.0))
        among.discard(one)
        one.abort("evicted")
        return True


class BoundedConnection(H11Protocol):
    """One connection."""

    def __init__(self, connections: Connections, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._all, self._limits = connections, connections.limits
        self._timer: asyncio.TimerHandle | None = None
        self._fetching: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._name = ""
        self._received = self._lines = 0
        """Bytes and ends of lines of a request whose body comes in chunks."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Lets it in, or refuses it."""
        super().connection_made(transport)
        self._name = client_of(self.client)
        self._since = self.loop.time()
        if self._all.admit(self, self._name):
            self._timer = self.loop.call_later(self._limits.headers_s, self._late)
            return
        self._refuse(b"503 Service Unavailable", b"overloaded", b"there are too many connections; try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Makes room."""
        self._rest()
        self._fetched()
        self._all.leave(self, self._name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Starts the deadline with the first bytes of a request, and ends it with the last of its headers."""
        if self.transport.is_closing():
            return
        if self._is_chopped(data):
            self._all.cut("chunks")
            words = b"the body comes in chunks or lines of a few bytes each; send it whole, with a Content-Length"
            self._refuse(b"413 Content Too Large", b"too_large", words)
            return
        super().data_received(data)
        if self._asked():
            self._rest()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._limits.headers_s, self._late)

    def on_response_complete(self) -> None:
        """From here on the client is waited for."""
        self._since = self.loop.time()
        self._received = self._lines = 0
        self._rest()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Ends an idle connection, also where its last answer was never fetched."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.abort("answer")

    def pause_writing(self) -> None:
        """More has been answered than the client takes at once."""
        super().pause_writing()
        self._fetched()
        self._fetching = self.loop.call_later(self._limits.answer_s, self.abort, "answer")

    def resume_writing(self) -> None:
        """It has taken it."""
        self._fetched()
        super().resume_writing()

    def awaited(self) -> tuple[int, float] | None:
        """How it ranks among those that the service waits for, the one to be closed first before others."""
        if self.cycle is None:
            return 0, self._since
        if self.cycle.response_complete:
            return 2, self._since
        return (1, self._since) if self.cycle.more_body else None

    def abort(self, reason: str) -> None:
        """Ends it, whatever is left to be written."""
        self._all.cut(reason)
        self.transport.abort()

    def _is_chopped(self, data: bytes) -> bool:
        """Whether a body comes in so many small chunks that finding them takes all the time that there is."""
        if self._asked():
            chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        else:
            chunked = _CHUNKED in data.lower() or _CHUNKED in self.conn.trailing_data[0].lower()
        if not chunked:
            return False
        self._received += len(data)
        self._lines += data.count(b"\r\n")
        return self._lines > 2 * (_MANY_CHUNKS + self._received // _LEAST_CHUNK)

    def _refuse(self, status: bytes, error: bytes, words: bytes) -> None:
        body = b'{"error":"%s","message":"%s","field":null}' % (error, words)
        self.transport.write(_REFUSED % (status, len(body)) + body)
        self.transport.close()

    def _late(self) -> None:
        self._timer = None
        if self.cycle is None and self.conn.trailing_data[0]:
            self.transport.write(_REFUSED % (b"408 Request Timeout", 0))
        self._all.cut("headers")
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _asked(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fetched(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None
