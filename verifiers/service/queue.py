"""The bounded queues between requests and verifiers: the event loop never judges, and memory never grows with load.

Every verifier has a desk for what is quick, where it was opened with little time for an item, and one for what takes
longer: what the quick desk can't decide goes to the other one, with all that is left of its request, and so does at
once what a client sends most of whose items went that way, while others want to be served. So costs are found out, not
guessed, and expensive work waits for expensive work. A desk has a few threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verifiers.model import Verdict, Verifier
from verifiers.service.desk import OURS, Batch, Desk, Ticket
from verifiers.service.items import Item
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.settings import ServiceLimits


class QueueFull(Exception):
    """There is no room for these items now."""

    def __init__(self, message: str, room: int, retry_after_s: int, of_client: bool) -> None:
        """`retry_after_s` is about when there will be room; `of_client` tells that others still have some."""
        super().__init__(message)
        self.room, self.retry_after_s, self.of_client = room, retry_after_s, of_client


@dataclass(slots=True)
class _Lane:
    """The desks of one verifier, the quick one first."""

    name: str
    desks: list[Desk]

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
            lane = _Lane(name, [Desk(one, limits.threads, limits.batch_items) for one in both])
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
        batch = Batch(client, asked, [None] * len(asked), asyncio.get_running_loop().create_future(), len(asked))
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

    def _work(self, lane: _Lane, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        while (turn := desk.take()) is not None:
            verdicts = desk.verifier.verify_many([batch.asked[place].pair() for batch, place in turn.taken])
            final: list[tuple[Ticket, Verdict]] = []
            for ticket, verdict in zip(turn.taken, verdicts, strict=True):
                if verdict.passed is None and desk is not lane.desks[-1]:
                    self._pass_on(ticket, desk, lane.desks[-1])
                else:
                    final.append((ticket, verdict))
            desk.gave(turn, len(turn.taken) - len(final))
            try:
                loop.call_soon_threadsafe(self._deliver, lane.name, len(turn.taken), final)
            except RuntimeError:
                return  # the loop has ended, and with it everybody who could be told

    def _pass_on(self, ticket: Ticket, quick: Desk, patient: Desk) -> None:
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
