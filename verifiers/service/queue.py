"""The bounded queues between requests and verifiers: the event loop never judges, and memory never grows with load.

Every verifier has a desk for what is quick, where it was opened with little time for an item, and one for what takes
longer: what the quick desk can't decide goes to the other one, with all that is left of its request, and so does at
once what a client sends most of whose items went that way, while others want to be served. So costs are found out, not
guessed, and expensive work waits for expensive work. A desk has a few threads. They go round the clients, and take the
small requests of each first, as much as it lately had judged in some milliseconds: requests that come while a verifier
is busy are judged together, and nobody waits behind another's thousands.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from verifiers.model import Verdict, Verifier
from verifiers.plugins.guard import GuardedVerifier
from verifiers.service.hasty import places_of
from verifiers.service.items import Item
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.settings import ServiceLimits

Ticket = tuple["_Batch", int]
"""An item that waits: its request, and its place in it."""
OURS = ""
"""The client of the service's own questions: first in every queue, and never refused."""
_HALF_LIFE_S = 20.0
_MOSTLY = 0.5
_OF_LATE_S = 5.0
"""How long after its last turn a client still counts as one of those who want to be served."""
_CALL_S, _SHARED_CALL_S = 0.008, 0.002
"""A call of a verifier gets as many items as it has lately judged of that client in so long; the second where other
requests may want its thread next."""


class QueueFull(Exception):
    """There is no room for these items now."""

    def __init__(self, message: str, room: int, retry_after_s: int, of_client: bool) -> None:
        """`retry_after_s` is about when there will be room; `of_client` tells that others still have some."""
        super().__init__(message)
        self.room, self.retry_after_s, self.of_client = room, retry_after_s, of_client


@dataclass(eq=False, slots=True)
class _Batch:
    """The verdicts that one request waits for."""

    client: str
    asked: Sequence[Item]
    verdicts: list[Verdict | None]
    done: asyncio.Future[None]
    left: int
    gone: bool = False
    """Whether nobody waits for it any more."""

    def put(self, place: int, verdict: Verdict) -> None:
        """For the event loop only."""
        self.verdicts[place] = verdict
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class _Client:
    """The requests of a client that wait at a desk, and how it has used its turns."""

    requests: dict[_Batch, deque[int]] = field(default_factory=dict)
    turns: int = 0
    calls: int = 0
    seen: float = 0.0
    pace_s: float = _SHARED_CALL_S / 4
    """Seconds an item."""
    last: float = 0.0
    """When its last turn was."""
    slow: float = 0.0
    """The share of its items that the desk could not decide, of late."""

    def charge(self, seconds: float, items: int, undecided: int) -> None:
        """Notes a call."""
        self.forgive()
        self.pace_s = 0.7 * self.pace_s + 0.3 * seconds / items
        self.slow = 0.7 * self.slow + 0.3 * undecided / items

    def forgive(self) -> float:
        """Lets what is held against it pass with time, and returns it."""
        now = time.monotonic()
        self.slow, self.seen = self.slow * 0.5 ** ((now - self.seen) / _HALF_LIFE_S), now
        return self.slow

    def take(self, most: int) -> list[Ticket]:
        """Some of what waits: of the smallest requests first, but every fourth time of those that wait longest."""
        taken: list[Ticket] = []
        self.turns += 1
        old_first = list(self.requests)
        for batch in old_first if self.turns % 4 == 0 else sorted(old_first, key=lambda one: len(self.requests[one])):
            places = self.requests.pop(batch)
            taken += ((batch, places.popleft()) for _ in range(min(most - len(taken), len(places))))
            if places:
                self.requests[batch] = places
            if len(taken) == most:
                break
        return taken


class _Desk:
    """A verifier, what waits for it, and the threads that call it."""

    def __init__(self, verifier: Verifier, threads: int, batch_items: int) -> None:
        self.verifier, self._batch_items, self.threads = GuardedVerifier(verifier), batch_items, threads
        # A call of fewer items would leave workers idle.
        self._least = max(1, min(batch_items, os.cpu_count() or 1) // threads) if self.verifier.overlaps else 1
        # Of one that judges few items at a time, such as programs, no client has all places either.
        self._most = max(1, min(threads, places_of(verifier) or threads) - 1)
        self.waiting = self.running = 0
        self._clients: dict[str, _Client] = {}
        self._calls: dict[int, float] = {}
        self._changed = threading.Condition()
        self.closing = False

    def add(self, client: str, batch: _Batch, places: Sequence[int]) -> None:
        with self._changed:
            self._clients.setdefault(client, _Client()).requests.setdefault(batch, deque()).extend(places)
            self.waiting += len(places)
            self._changed.notify(len(places))

    def withdraw(self, batch: _Batch) -> list[int]:
        """Takes out what waits of a request."""
        with self._changed:
            places = self._clients.get(batch.client, _Client()).requests.pop(batch, deque())
            self.waiting -= len(places)
            return list(places)

    def take(self) -> tuple[str, list[Ticket]]:
        """Waits for something to judge; nothing when the desk closes."""
        with self._changed:
            self._changed.wait_for(lambda: self.closing or self._next() is not None)
            name = self._next()
            if self.closing or name is None:
                return "", []
            client = self._clients[name]
            shared = len(client.requests) > 1 or len(self._clients.keys() - {name, OURS}) > 0
            items = int((_SHARED_CALL_S if shared else _CALL_S) / client.pace_s)
            taken = client.take(min(self._batch_items, max(self._least, items)))
            client.calls += 1
            client.last = time.monotonic()
            self.waiting -= len(taken)
            self.running += len(taken)
            self._calls[threading.get_ident()] = time.monotonic()
            if self.waiting:
                self._changed.notify()
            return name, taken

    def gave(self, name: str, items: int, undecided: int) -> None:
        with self._changed:
            client = self._clients[name]
            client.charge(time.monotonic() - self._calls.pop(threading.get_ident()), items, undecided)
            client.calls -= 1
            self.running -= items
            for old in [one for one, has in self._clients.items() if not has.requests and not has.calls]:
                if self._clients[old].last < time.monotonic() - 2 * _HALF_LIFE_S:
                    del self._clients[old]
            self._changed.notify()

    def avoids(self, client: str) -> bool:
        """Whether most of what a client sent of late took too long here, and others want to be served."""
        with self._changed:
            slow = self._clients.get(client, _Client()).forgive()
            since = time.monotonic() - _OF_LATE_S
            others = (one for name, one in self._clients.items() if name not in {client, OURS})
            return slow > _MOSTLY and any(one.requests or one.calls or one.last > since for one in others)

    def of_client(self, client: str) -> int:
        """How many items of a client wait."""
        with self._changed:
            return sum(map(len, self._clients.get(client, _Client()).requests.values()))

    def room_after_s(self) -> int:
        """About when what waits now will have been judged."""
        with self._changed:
            waits = sum(sum(map(len, one.requests.values())) * one.pace_s for one in self._clients.values())
        return min(60, max(1, math.ceil(waits / self.threads)))

    def stuck_s(self) -> float:
        """For how long every thread of this desk has been in one call of the verifier."""
        with self._changed:
            now = time.monotonic()
            return 0.0 if len(self._calls) < self.threads else now - max(self._calls.values(), default=now)

    def close(self) -> None:
        with self._changed:
            self.closing = True
            self._changed.notify_all()

    def _next(self) -> str | None:
        """Whose turn it is: who has fewest calls under way, and of these who waits longest. None has every thread."""
        ready = [
            (name != OURS, one.calls, one.last, name)
            for name, one in self._clients.items()
            if one.requests and (one.calls < self._most or name == OURS)
        ]
        return min(ready)[-1] if ready else None


@dataclass(slots=True)
class _Lane:
    """The desks of one verifier, the quick one first."""

    name: str
    desks: list[_Desk]

    def held(self) -> int:
        return sum(desk.waiting + desk.running for desk in self.desks)


class JudgingQueue:
    """Judges items on threads, within bounds. Its methods are for the event loop that `start` was called on."""

    def __init__(
        self,
        verifiers: Mapping[str, Verifier],
        limits: ServiceLimits,
        metrics: ServiceMetrics,
        quick: Mapping[str, Verifier] | None = None,
    ) -> None:
        """Takes the verifiers by the names they are served under, and those of them that there are for quick items;
        `close` closes them all. A verdict of a quick one without an outcome is not final."""
        self._limits = limits
        self._lanes = {}
        self._threads: list[threading.Thread] = []
        for name, verifier in verifiers.items():
            both = [*([quick[name]] if quick and name in quick else []), verifier]
            lane = _Lane(name, [_Desk(one, limits.threads, limits.batch_items) for one in both])
            self._lanes[name] = lane
            metrics.watch(
                name,
                lambda lane=lane: sum(desk.waiting for desk in lane.desks),  # type: ignore[misc]
                lambda lane=lane: sum(desk.running for desk in lane.desks),  # type: ignore[misc]
            )
        self._metrics = metrics

    def start(self) -> None:
        """Starts the threads; call it on the running event loop."""
        loop = asyncio.get_running_loop()
        for lane in self._lanes.values():
            for at, desk in enumerate(lane.desks):
                for number in range(desk.threads):
                    # Daemons: a plug-in that never returns must not keep the process from ending.
                    name = f"judge-{lane.name}-{at}-{number}"
                    thread = threading.Thread(target=self._work, args=(lane, desk, loop), name=name, daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def stuck_s(self, name: str) -> float:
        """For how many seconds every thread of this verifier has been in one and the same call."""
        return min(desk.stuck_s() for desk in self._lanes[name].desks)

    async def judge(self, asked: Sequence[Item], client: str = OURS) -> list[Verdict]:
        """One verdict an item, in order. What is not judged within the limit of a request is not checked.

        When the caller is cancelled, what still waits is taken out of the queue. Raises QueueFull.
        """
        if not asked:
            return []
        batch = _Batch(client, asked, [None] * len(asked), asyncio.get_running_loop().create_future(), len(asked))
        places: dict[str, list[int]] = {}
        for place, item in enumerate(asked):
            places.setdefault(item.name, []).append(place)
        lanes = [self._lanes[name] for name in places]
        if client != OURS:
            for lane in lanes:
                self._find_room(lane, client, len(places[lane.name]))
        for lane in lanes:
            quick = lane.desks[0]
            (lane.desks[-1] if quick.avoids(client) else quick).add(client, batch, places[lane.name])
        try:
            await asyncio.wait({batch.done}, timeout=self._limits.request_s)
        finally:
            batch.gone = not batch.done.done()
            if batch.gone:
                for lane in lanes:
                    for desk in lane.desks:
                        desk.withdraw(batch)
        late = Verdict(None, None, "not_checked", f"not judged within {self._limits.request_s:g} s")
        return [verdict or late for verdict in batch.verdicts]

    async def close(self, patience_s: float) -> None:
        """Lets calls of verifiers end, for at most so many seconds, then closes the verifiers."""
        until = time.monotonic() + patience_s
        desks = [desk for lane in self._lanes.values() for desk in lane.desks]
        for desk in desks:
            desk.close()
        for thread in self._threads:
            await _joined(thread, until)
        closers = [threading.Thread(target=desk.verifier.close, daemon=True) for desk in desks]
        for closer in closers:
            closer.start()
        for closer in closers:
            await _joined(closer, max(until, time.monotonic() + 1))

    def _find_room(self, lane: _Lane, client: str, items: int) -> None:
        own = sum(desk.of_client(client) for desk in lane.desks)
        for held, room, of_client in (
            (lane.held(), self._limits.queue_items, False),
            (own, self._limits.client_items, True),
        ):
            if held + items > room:
                whose = "items of this client wait" if of_client else "items wait or are being judged"
                after = max(desk.room_after_s() for desk in lane.desks)
                raise QueueFull(f"{held} {whose}", room, after, of_client)

    def _work(self, lane: _Lane, desk: _Desk, loop: asyncio.AbstractEventLoop) -> None:
        while (turn := desk.take())[1]:
            name, taken = turn
            verdicts = desk.verifier.verify_many([batch.asked[place].pair() for batch, place in taken])
            final: list[tuple[Ticket, Verdict]] = []
            for ticket, verdict in zip(taken, verdicts, strict=True):
                if verdict.passed is None and desk is not lane.desks[-1]:
                    self._pass_on(ticket, desk, lane.desks[-1])
                else:
                    final.append((ticket, verdict))
            desk.gave(name, len(taken), len(taken) - len(final))
            try:
                loop.call_soon_threadsafe(self._deliver, lane.name, len(taken), final)
            except RuntimeError:
                return  # the loop has ended, and with it everybody who could be told

    def _pass_on(self, ticket: Ticket, quick: _Desk, patient: _Desk) -> None:
        batch, place = ticket
        patient.add(batch.client, batch, [place, *quick.withdraw(batch)])
        if batch.gone:
            patient.withdraw(batch)

    def _deliver(self, name: str, taken: int, final: Sequence[tuple[Ticket, Verdict]]) -> None:
        self._metrics.batch_items.labels(name).observe(taken)
        for (batch, place), verdict in final:
            batch.put(place, verdict)


async def _joined(thread: threading.Thread, until: float) -> None:
    while thread.is_alive() and time.monotonic() < until:
        await asyncio.sleep(0.01)
