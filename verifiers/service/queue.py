"""The bounded queue between requests and verifiers: the event loop never judges, and memory never grows with load.

Every verifier has a lane: a queue, and a few threads that take what waits there, up to a batch at a time. So
small requests that come while a verifier is busy are judged together, and none waits for others to come.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from verifiers.model import Task, Verdict, Verifier
from verifiers.plugins import GuardedVerifier
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.settings import ServiceLimits

Asked = tuple[str, Task, str]
"""The name of a lane, a task and a completion."""


class QueueFull(Exception):
    """There is no room for these items now."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        """`retry_after_s` is about when there will be room."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _Batch:
    """The verdicts that one request waits for; touched on the event loop only."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.verdicts: list[Verdict | None] = [None] * size
        self.done: asyncio.Future[None] = loop.create_future()
        self._left = size

    def put(self, position: int, verdict: Verdict) -> None:
        self.verdicts[position] = verdict
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class _Ticket:
    batch: _Batch
    position: int
    task: Task
    completion: str


@dataclass(slots=True)
class _Lane:
    name: str
    verifier: Verifier
    batch_items: int
    waiting: deque[_Ticket] = field(default_factory=deque)
    running: int = 0
    calls: dict[int, float] = field(default_factory=dict)
    """When each thread that is in the verifier went in."""
    seconds_per_item: float = 0.01
    changed: threading.Condition = field(default_factory=threading.Condition)
    closing: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    def add(self, tickets: Sequence[_Ticket], first: bool) -> None:
        with self.changed:
            if first:
                self.waiting.extendleft(reversed(tickets))
            else:
                self.waiting.extend(tickets)
            self.changed.notify(math.ceil(len(tickets) / self.batch_items))

    def withdraw(self, batch: _Batch) -> None:
        with self.changed:
            self.waiting = deque(ticket for ticket in self.waiting if ticket.batch is not batch)

    def take(self) -> list[_Ticket]:
        """Waits for something to judge; empty when the lane closes."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.closing)
            if self.closing:
                return []
            taken = [self.waiting.popleft() for _ in range(min(self.batch_items, len(self.waiting)))]
            self.running += len(taken)
            self.calls[threading.get_ident()] = time.monotonic()
            return taken

    def gave(self, count: int) -> None:
        with self.changed:
            seconds = time.monotonic() - self.calls.pop(threading.get_ident())
            self.running -= count
            self.seconds_per_item = 0.8 * self.seconds_per_item + 0.2 * seconds / count

    def stuck_s(self) -> float:
        """For how long every thread of this lane has been in one call of the verifier."""
        with self.changed:
            if len(self.calls) < len(self.threads):
                return 0.0
            return time.monotonic() - max(self.calls.values(), default=time.monotonic())


class JudgingQueue:
    """Judges items on threads, within bounds. Its methods are for the event loop that `start` was called on."""

    def __init__(self, verifiers: Mapping[str, Verifier], limits: ServiceLimits, metrics: ServiceMetrics) -> None:
        """Takes the verifiers by the names they are served under; `close` closes them."""
        self._limits, self._metrics = limits, metrics
        self._lanes = {
            name: _Lane(name, GuardedVerifier(verifier), limits.batch_items) for name, verifier in verifiers.items()
        }
        for name, lane in self._lanes.items():
            metrics.watch(name, lambda lane=lane: len(lane.waiting), lambda lane=lane: lane.running)  # type: ignore[misc]

    def start(self) -> None:
        """Starts the threads; call it on the running event loop."""
        loop = asyncio.get_running_loop()
        for lane in self._lanes.values():
            for number in range(self._limits.threads):
                # Daemons: a plug-in that never returns must not keep the process from ending.
                thread = threading.Thread(
                    target=self._work, args=(lane, loop), name=f"judge-{lane.name}-{number}", daemon=True
                )
                lane.threads.append(thread)
                thread.start()

    @property
    def held(self) -> int:
        """Items that wait or are being judged."""
        return sum(len(lane.waiting) + lane.running for lane in self._lanes.values())

    def stuck_s(self, name: str) -> float:
        """For how many seconds every thread of this verifier has been in one and the same call."""
        return self._lanes[name].stuck_s()

    async def judge(self, asked: Sequence[Asked], *, urgent: bool = False) -> list[Verdict]:
        """One verdict an item, in order. What is not judged within the limit of a request is not checked.

        When the caller is cancelled, what still waits is taken out of the queue. `urgent` items go first and are
        never refused. Raises QueueFull.
        """
        lanes = {name for name, _, _ in asked}
        if not urgent and self.held + len(asked) > self._limits.queue_items:
            raise QueueFull(
                f"{self.held} items wait or are being judged, and there is room for {self._limits.queue_items}",
                self._room_after_s(lanes),
            )
        if not asked:
            return []
        batch = _Batch(len(asked), asyncio.get_running_loop())
        tickets: dict[str, list[_Ticket]] = {name: [] for name in lanes}
        for position, (name, task, completion) in enumerate(asked):
            tickets[name].append(_Ticket(batch, position, task, completion))
        for name, own in tickets.items():
            self._lanes[name].add(own, urgent)
        try:
            await asyncio.wait({batch.done}, timeout=self._limits.request_s)
        finally:
            if not batch.done.done():
                for name in lanes:
                    self._lanes[name].withdraw(batch)
        late = Verdict(None, None, "not_checked", f"not judged within {self._limits.request_s:g} s")
        return [verdict or late for verdict in batch.verdicts]

    async def close(self, patience_s: float) -> None:
        """Lets calls of verifiers end, for at most so many seconds, then closes the verifiers."""
        until = time.monotonic() + patience_s
        for lane in self._lanes.values():
            with lane.changed:
                lane.closing = True
                lane.changed.notify_all()
        for lane in self._lanes.values():
            for thread in lane.threads:
                await _joined(thread, until)
        closers = [
            threading.Thread(target=lane.verifier.close, name=f"close-{lane.name}", daemon=True)
            for lane in self._lanes.values()
        ]
        for closer in closers:
            closer.start()
        for closer in closers:
            await _joined(closer, max(until, time.monotonic() + 1))

    def _room_after_s(self, lanes: set[str]) -> int:
        waits = [len(self._lanes[name].waiting) * self._lanes[name].seconds_per_item for name in lanes]
        return min(60, max(1, math.ceil(max(waits, default=0.0) / self._limits.threads)))

    def _work(self, lane: _Lane, loop: asyncio.AbstractEventLoop) -> None:
        while taken := lane.take():
            verdicts = lane.verifier.verify_many([(ticket.task, ticket.completion) for ticket in taken])
            lane.gave(len(taken))
            try:
                loop.call_soon_threadsafe(self._deliver, lane.name, taken, verdicts)
            except RuntimeError:
                return  # the loop has ended, and with it everybody who could be told

    def _deliver(self, name: str, taken: Sequence[_Ticket], verdicts: Sequence[Verdict]) -> None:
        self._metrics.batch_items.labels(name).observe(len(taken))
        for ticket, verdict in zip(taken, verdicts, strict=True):
            ticket.batch.put(ticket.position, verdict)


async def _joined(thread: threading.Thread, until: float) -> None:
    while thread.is_alive() and time.monotonic() < until:
        await asyncio.sleep(0.01)
