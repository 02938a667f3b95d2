"""Where items wait for one verifier: whose turn it is, and how much of what waits a turn takes.

A desk goes round the clients, and takes the small requests of each first, as much as it lately had judged in some
milliseconds: requests that come while a verifier is busy are judged together, and nobody waits behind another's
thousands. Only one thread of a process runs at a time, so that large requests would slow down small ones even where
threads are free: while small ones come, the large ones have one thread of the desk, and that for a part of the time.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from verifiers.model import Verdict, Verifier
from verifiers.plugins.guard import GuardedVerifier
from verifiers.service.hasty import places_of
from verifiers.service.items import Item

Ticket = tuple["Batch", int]
"""An item that waits: its request, and its place in it."""
OURS = ""
"""The client of the service's own questions: first in every queue, and never refused."""
_HALF_LIFE_S = 20.0
_MOSTLY = 0.5
_HARDLY = 0.1
"""Shares of a client's items that the desk could not decide: of who is sent to the other desk, and of who may have the
last thread that is free, lest all of them are at what takes long."""
_OF_LATE_S = 5.0
"""How long after its last turn a client still counts as one of those who want to be served."""
_CALL_S, _SHARED_CALL_S = 0.008, 0.002
"""A call of a verifier gets as many items as it has lately judged of that client in so long; the second where other
requests may want its thread next."""
_FEW, _CHEAP_S = 32, 0.005
"""The most items of a small request, and the seconds within which an item is judged whose cost is mostly ours."""
_WANTED_S, _REST, _LONGEST_S = 1.0, 1.0, 0.05
"""For so long after a turn of small requests the large ones share a thread, which rests so many times each turn; a
turn and a rest that take longer than the last are no reason to wait."""


@dataclass(eq=False, slots=True)
class Batch:
    """The verdicts that one request waits for."""

    client: str
    asked: Sequence[Item]
    verdicts: list[Verdict | None]
    done: asyncio.Future[None]
    left: int
    gone: bool = False
    """Whether nobody waits for it any more."""

    @property
    def large(self) -> bool:
        return len(self.asked) > _FEW

    def put(self, place: int, verdict: Verdict) -> None:
        """For the event loop only."""
        self.verdicts[place] = verdict
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class Client:
    """The requests of a client that wait at a desk, and how it has used its turns."""

    requests: dict[Batch, deque[int]] = field(default_factory=dict)
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

    def only_large(self) -> bool:
        """Whether all of its requests that wait are large ones."""
        return all(batch.large for batch in self.requests)

    def take(self, most: int, small: bool) -> list[Ticket]:
        """Some of what waits: of the smallest requests first, but every fourth time of those that wait longest, unless
        only `small` ones may have the turn. A turn of small ones has nothing of a large one."""
        taken: list[Ticket] = []
        self.turns += 1
        waiting = [batch for batch in self.requests if not (small and batch.large)]
        if small or self.turns % 4:
            waiting.sort(key=lambda one: len(self.requests[one]))
        for batch in waiting:
            if len(taken) == most or (taken and batch.large):
                break
            places = self.requests.pop(batch)
            taken += ((batch, places.popleft()) for _ in range(min(most - len(taken), len(places))))
            if places:
                self.requests[batch] = places
        return taken


@dataclass(eq=False, slots=True)
class Turn:
    """One call of the verifier: for whom, since when, and whether it is of a large request of cheap items."""

    client: str
    taken: list[Ticket]
    since: float
    floods: bool


class Desk:
    """A verifier, what waits for it, and the threads that call it."""

    def __init__(self, verifier: Verifier, threads: int, batch_items: int) -> None:
        self.verifier, self._batch_items, self.threads = GuardedVerifier(verifier), batch_items, threads
        # A call of fewer items would leave workers idle.
        self._least = max(1, min(batch_items, os.cpu_count() or 1) // threads) if self.verifier.overlaps else 1
        # Of one that judges few items at a time, such as programs, no client has all places either.
        places = places_of(verifier)
        self._most = max(1, min(threads, places or threads) - 1)
        self._by_interpreter = places is None
        """Whether large requests can keep this process busy, which programs don't."""
        self.waiting = self.running = 0
        self._clients: dict[str, Client] = {}
        self._turns: set[Turn] = set()
        self._small_at = self._rested_at = -math.inf
        """When small requests had a turn, and when large ones may have the next."""
        self._changed = threading.Condition()
        self.closing = False

    def add(self, client: str, batch: Batch, places: Sequence[int]) -> None:
        with self._changed:
            self._clients.setdefault(client, Client()).requests.setdefault(batch, deque()).extend(places)
            self.waiting += len(places)
            self._changed.notify(len(places))

    def withdraw(self, batch: Batch) -> list[int]:
        """Takes out what waits of a request."""
        with self._changed:
            places = self._clients.get(batch.client, Client()).requests.pop(batch, deque())
            self.waiting -= len(places)
            return list(places)

    def take(self) -> Turn | None:
        """Waits for something to judge; None when the desk closes."""
        with self._changed:
            while (name := self._next()) is None and not self.closing:
                rest = self._rested_at - time.monotonic()
                self._changed.wait((rest if rest > 0 else _LONGEST_S) if self.waiting else None)
            if self.closing or name is None:
                return None
            client = self._clients[name]
            shared = len(client.requests) > 1 or len(self._clients.keys() - {name, OURS}) > 0
            items = int((_SHARED_CALL_S if shared else _CALL_S) / client.pace_s)
            small = self._rests() and not client.only_large()
            taken = client.take(min(self._batch_items, max(self._least, items)), small)
            floods = self._is_cheap(client) and taken[0][0].large
            turn = Turn(name, taken, time.monotonic(), floods)
            self._turns.add(turn)
            if not floods and name != OURS:
                self._small_at = turn.since
            client.calls += 1
            client.last = turn.since
            self.waiting -= len(taken)
            self.running += len(taken)
            if self.waiting:
                self._changed.notify()
            return turn

    def gave(self, turn: Turn, undecided: int) -> None:
        with self._changed:
            client, now = self._clients[turn.client], time.monotonic()
            self._turns.remove(turn)
            client.charge(now - turn.since, len(turn.taken), undecided)
            if turn.floods:
                self._rested_at = now + min(_REST * (now - turn.since), _LONGEST_S)
            client.calls -= 1
            self.running -= len(turn.taken)
            for old in [one for one, has in self._clients.items() if not has.requests and not has.calls]:
                if self._clients[old].last < now - 2 * _HALF_LIFE_S:
                    del self._clients[old]
            self._changed.notify()

    def avoids(self, client: str) -> bool:
        """Whether most of what a client sent of late took too long here, and others want to be served."""
        with self._changed:
            slow = self._clients.get(client, Client()).forgive()
            since = time.monotonic() - _OF_LATE_S
            others = (one for name, one in self._clients.items() if name not in {client, OURS})
            return slow > _MOSTLY and any(one.requests or one.calls or one.last > since for one in others)

    def of_client(self, client: str) -> int:
        """How many items of a client wait."""
        with self._changed:
            return sum(map(len, self._clients.get(client, Client()).requests.values()))

    def room_after_s(self) -> int:
        """About when what waits now will have been judged."""
        with self._changed:
            waits = sum(sum(map(len, one.requests.values())) * one.pace_s for one in self._clients.values())
        return min(60, max(1, math.ceil(waits / self.threads)))

    def stuck_s(self) -> float:
        """For how long every thread of this desk has been in one call of the verifier."""
        with self._changed:
            now = time.monotonic()
            return 0.0 if len(self._turns) < self.threads else now - max(turn.since for turn in self._turns)

    def close(self) -> None:
        with self._changed:
            self.closing = True
            self._changed.notify_all()

    def _is_cheap(self, client: Client) -> bool:
        """Whether the interpreter, not what it waits for, does most of the work on this client's items."""
        return self._by_interpreter and client.pace_s < _CHEAP_S

    def _rests(self) -> bool:
        """Whether large requests of cheap items wait for small ones now."""
        now = time.monotonic()
        flooded = now < self._rested_at or any(turn.floods and now < turn.since + _LONGEST_S for turn in self._turns)
        return flooded and now < self._small_at + _WANTED_S

    def _next(self) -> str | None:
        """Whose turn it is: who has fewest calls under way, and of these who waits longest. None has every thread, nor
        have all together whose items take long."""
        rests = self._rests()
        last = len(self._turns) == self.threads - 1 > 0
        ready = [
            (name != OURS, one.calls, one.last, name)
            for name, one in self._clients.items()
            if one.requests
            and (one.calls < self._most or name == OURS)
            and not (rests and self._is_cheap(one) and one.only_large())
            and not (last and one.forgive() > _HARDLY)
        ]
        return min(ready)[-1] if ready else None
