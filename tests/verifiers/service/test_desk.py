"""Whose turn it is at a desk, and how much a turn takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from verifiers.model import Verifier
from verifiers.rules.text import ExactVerifier
from verifiers.service import desk as service_desk
from verifiers.service.desk import OURS, Batch, Desk, Turn

FEW = service_desk._FEW


class Few(ExactVerifier):
    """Judges few items at a time, and says so."""

    overlaps = True

    def __init__(self, workers: int | None) -> None:
        super().__init__()
        if workers:
            self.workers = workers


class Clock:
    """Stands still until it is set forward."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(service_desk, "time", made)
    return made


@pytest.fixture
def done() -> Iterator[asyncio.Future[None]]:
    loop = asyncio.new_event_loop()
    yield loop.create_future()
    loop.close()


def ask(desk: Desk, client: str, count: int, done: asyncio.Future[None]) -> Batch:
    batch = Batch(client, [None] * count, [None] * count, done, count)  # type: ignore[list-item]
    desk.add(client, batch, range(count))
    return batch


def turns(desk: Desk, at_once: int) -> list[Turn]:
    """The turns that so many threads get, as far as there are any."""
    given = []
    for _ in range(at_once):
        if desk._next() is not None:
            turn = desk.take()
            assert turn is not None
            given.append(turn)
    return given


def clients(given: list[Turn]) -> list[str]:
    return [turn.client for turn in given]


@pytest.mark.parametrize("others", ["none", "a request", "a client"])
def test_calls_are_short_where_others_may_want_the_thread(others: str, done: asyncio.Future[None]) -> None:
    desk = Desk(ExactVerifier(), threads=4, batch_items=32)
    ask(desk, "a", 100, done)
    if others != "none":
        ask(desk, "a" if others == "a request" else "b", 100, done)
    for client in desk._clients.values():
        client.pace_s = 1e-4
    [turn] = turns(desk, 1)
    assert len(turn.taken) == (32 if others == "none" else 20)


@pytest.mark.parametrize(("workers", "calls"), [(None, 3), (3, 2), (1, 1)])
def test_no_client_has_all_places_of_a_verifier(workers: int | None, calls: int, done: asyncio.Future[None]) -> None:
    desk = Desk(Few(workers), threads=4, batch_items=32)
    ask(desk, "a", 50, done)
    desk._clients["a"].pace_s = 60.0
    assert clients(turns(desk, 9)) == ["a"] * calls
    ask(desk, "b", 50, done)
    assert desk._next() == "b"


def test_large_requests_share_a_thread_and_rest_while_there_are_small_ones(
    clock: Clock, done: asyncio.Future[None]
) -> None:
    desk = Desk(ExactVerifier(), threads=4, batch_items=32)
    for client in "abc":
        ask(desk, client, FEW + 1, done)
    ask(desk, "small", 1, done)
    desk._clients["small"].last = -1.0
    [small, large] = turns(desk, 4)
    assert small.client == "small"
    began = clock.now
    clock.now += 0.02
    desk.gave(large, 0)
    assert turns(desk, 4) == []
    clock.now += 0.02
    [another] = turns(desk, 4)
    assert another.client in "abc"
    clock.now = began + service_desk._WANTED_S
    assert len(turns(desk, 4)) > 1


@pytest.mark.parametrize("reason", ["nothing small", "programs", "dear items", "our own question"])
def test_large_requests_have_all_threads_but_for_small_ones(
    reason: str, clock: Clock, done: asyncio.Future[None]
) -> None:
    verifier: Verifier = Few(9) if reason == "programs" else ExactVerifier()
    desk = Desk(verifier, threads=4, batch_items=32)
    for client in "abc":
        ask(desk, client, FEW + 1, done)
        desk._clients[client].pace_s = 1.0 if reason == "dear items" else 1e-4
    if reason != "nothing small":
        other = OURS if reason == "our own question" else "small"
        ask(desk, other, 1, done)
        desk._clients[other].last = -1.0
    assert len(turns(desk, 4)) == 4


def test_a_thread_that_waits_for_the_end_of_a_rest_takes_the_large_request_then(done: asyncio.Future[None]) -> None:
    desk = Desk(ExactVerifier(), threads=2, batch_items=32)
    ask(desk, "small", 1, done)
    [turn] = turns(desk, 1)
    desk.gave(turn, 0)
    desk._rested_at = service_desk.time.monotonic() + 0.05
    ask(desk, "large", FEW + 1, done)
    assert desk._next() is None
    turn = desk.take()
    assert turn is not None
    assert turn.client == "large"


def test_a_thread_is_left_for_those_whose_items_are_quick(clock: Clock, done: asyncio.Future[None]) -> None:
    desk = Desk(ExactVerifier(), threads=3, batch_items=32)
    for client in "abc":
        ask(desk, client, 1, done)
        [turn] = turns(desk, 1)
        desk.gave(turn, 1)
        ask(desk, client, 1, done)
    assert len(turns(desk, 3)) == 2
    ask(desk, "quick", 1, done)
    assert clients(turns(desk, 1)) == ["quick"]


def test_what_took_long_is_forgiven(clock: Clock, done: asyncio.Future[None]) -> None:
    desk = Desk(ExactVerifier(), threads=2, batch_items=32)
    for client in "ab":
        ask(desk, client, 1, done)
        desk.gave(turns(desk, 1)[0], 1)
        ask(desk, client, 1, done)
    assert len(turns(desk, 2)) == 1
    clock.now += 10 * service_desk._HALF_LIFE_S
    assert len(turns(desk, 1)) == 1


def test_a_call_for_small_requests_of_a_client_holds_nothing_of_its_large_ones(
    clock: Clock, done: asyncio.Future[None]
) -> None:
    desk = Desk(ExactVerifier(), threads=4, batch_items=32)
    large, small = ask(desk, "a", FEW + 1, done), ask(desk, "a", 1, done)
    [turn] = turns(desk, 1)
    assert turn.taken == [(small, 0)]
    assert not turn.floods
    [turn] = turns(desk, 1)
    assert {batch for batch, _ in turn.taken} == {large}
    assert turn.floods


def test_large_requests_of_a_client_rest_while_it_sends_small_ones_and_are_not_forgotten(
    clock: Clock, done: asyncio.Future[None]
) -> None:
    desk = Desk(ExactVerifier(), threads=9, batch_items=1)
    large = ask(desk, "a", FEW + 1, done)
    for _ in range(8):
        ask(desk, "a", 1, done)
    given = turns(desk, 8)
    assert [turn.taken[0][0] is large for turn in given].count(True) == 1
    assert [turn.floods for turn in given].count(True) == 1
    for turn in given:
        desk.gave(turn, 0)
    clock.now += service_desk._LONGEST_S
    assert large in {turn.taken[0][0] for turn in turns(desk, 4)}
