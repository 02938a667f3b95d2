"""Seats of workers on nodes, over actors and references that stand for Ray's."""

from __future__ import annotations

import errno
import pickle
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sandbox.process.child import ChildGone
from selfplay.compute.cluster.hand import Beginning
from selfplay.compute.cluster.nodes import NodeFacts
from selfplay.compute.cluster.seats import HandLost, RemoteChild, Seat
from selfplay.compute.workers import WorkerError

BEGINNING = Beginning({}, (), 1, "cpu", "workers.log", "run", "token")
FACTS = NodeFacts("n1", "10.0.0.1", "host", {})


class ActorDied(Exception):
    """As Ray says it: in several lines."""

    actor_init_failed = False


class NotInTime(Exception):
    """As Ray says it."""


class Actor:
    """Answers to each call what it was made with; a reference is the call's name with its arguments."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.groups = answers, dict[str, str]()

    def __getattr__(self, name: str) -> Any:
        def options(concurrency_group: str) -> Any:
            self.groups[name] = concurrency_group
            return SimpleNamespace(remote=lambda *given: (self, name, given))

        return SimpleNamespace(options=options)


class ActorFailed(Exception):
    """As Ray says that the actor's own code raised: the node's traceback, and the error as it was there."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::Hand.begin()\nTraceback (most recent call last)\n{cause!r}")
        self.cause = cause


@pytest.fixture(autouse=True)
def a_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = ModuleType("ray")
    errors = {"RayActorError": ActorDied, "ObjectLostError": ActorDied, "NodeDiedError": ActorDied}
    ray.exceptions = SimpleNamespace(GetTimeoutError=NotInTime, RayTaskError=ActorFailed, **errors)  # type: ignore[attr-defined]

    def get(reference: Any, timeout: float | None) -> Any:
        actor, name, _ = reference
        answer = actor.answers[name]
        found = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(found, Exception):
            raise found
        return found

    ray.get = get  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)


def test_a_child_answers_in_the_order_of_what_it_was_told() -> None:
    actor = Actor(tell=[pickle.dumps("first"), pickle.dumps("second")])
    child = RemoteChild(actor)
    assert child.awaited is None
    child.send({"do": 1})
    child.send({"do": 2})
    assert [pickle.loads(given[0]) for _, _, given in child._asked] == [{"do": 1}, {"do": 2}]
    assert (child.receive(), child.receive()) == ("first", "second")
    assert actor.groups == {"tell": "told"}
    assert child.awaited is None


def test_an_answer_that_is_late_may_still_come() -> None:
    child = RemoteChild(Actor(tell=[NotInTime(), pickle.dumps("late")]))
    child.send("hurry")
    with pytest.raises(TimeoutError, match="nothing in time"):
        child.receive(time.monotonic())
    assert child.receive() == "late"


def test_a_number_is_the_exit_code_of_a_process_that_is_gone() -> None:
    child = RemoteChild(Actor(tell=-9))
    child.send("work")
    with pytest.raises(ChildGone):
        child.receive()
    assert child.end() == -9


def test_an_actor_that_is_gone_is_told_in_one_line() -> None:
    child = RemoteChild(Actor(tell=ActorDied("the node died\nwith a long trace")))
    child.send("work")
    with pytest.raises(HandLost) as lost:
        child.receive()
    assert str(lost.value) == "the node died"


def test_a_seat_waits_for_its_node_and_then_has_a_worker() -> None:
    seat, actor = Seat(3), Actor(look=[NotInTime(), FACTS], begin=None)
    seat.take(actor, BEGINNING)
    assert seat.looking == (actor, "look", (BEGINNING,))
    assert seat.looked() is None
    assert seat.looked() is FACTS
    assert seat.looked() is FACTS, "it is asked no third time"
    child = seat.begin(BEGINNING)
    assert seat.child is child
    assert set(actor.groups.values()) == {"asked"}


def test_a_seat_ends_its_worker_once_and_forgets_it_with_a_new_actor() -> None:
    seat, actor = Seat(0), Actor(begin=None, end=None, ping=True)
    assert seat.end() is None
    seat.take(actor, BEGINNING)
    seat.begin(BEGINNING)
    assert seat.end() == (actor, "end", ())
    assert seat.end() is None
    assert seat.ping() == (actor, "ping", ())
    seat.begin(BEGINNING)
    seat.take(Actor(), BEGINNING)
    assert (seat.child, seat.facts) == (None, None)


def test_a_seat_whose_node_is_lost_says_so() -> None:
    seat = Seat(0)
    seat.take(Actor(look=ActorDied("gone")), BEGINNING)
    with pytest.raises(HandLost, match="gone"):
        seat.looked()


def test_what_fails_on_a_node_is_told_in_one_sentence_without_its_traceback() -> None:
    seat = Seat(0)
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/selfplay-workers-x")
    seat.take(Actor(look=FACTS, begin=ActorFailed(full)), BEGINNING)
    with pytest.raises(WorkerError, match=r"^a worker failed: /tmp.*: the disk is full; make room and run") as told:
        seat.begin(BEGINNING)
    assert "\n" not in str(told.value)


def test_a_node_without_our_code_is_named_with_what_it_lacks() -> None:
    """It was tried six times, and then told in Ray's first line, which ends before the reason."""
    said = """The actor died because of an error raised in its creation task, ray::Hand() (pid=7, ip=10.0.0.2, x)
RuntimeError: The actor with name Hand failed to import on the worker.

ModuleNotFoundError: No module named 'selfplay'
"""
    seat = Seat(0)
    unmade = ActorDied(said)
    unmade.actor_init_failed = True
    seat.take(Actor(look=unmade), BEGINNING)
    with pytest.raises(WorkerError) as told:
        seat.looked()
    assert str(told.value) == (
        "node 10.0.0.2 cannot have a worker (ModuleNotFoundError: No module named 'selfplay'); install the same "
        "packages on all nodes, and run the same command again"
    )
