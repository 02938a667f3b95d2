"""The driver's side of a worker on a node: told and heard as one on this machine, it may be lost with its node."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import deque
from typing import Any

from sandbox.process.child import ChildGone
from selfplay.compute.cluster.hand import Beginning
from selfplay.compute.cluster.nodes import NodeFacts
from selfplay.compute.objects import unpacked
from selfplay.compute.system_errors import worker_sentence
from selfplay.compute.workers import WorkerError


class HandLost(Exception):
    """An actor is gone, with or without its node."""


def lost_errors() -> tuple[type[Exception], ...]:
    """Ray's errors where an actor is gone, or an answer that its node held."""
    from ray import exceptions

    return (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.NodeDiedError)


def fetched(reference: Any, until: float | None) -> Any:
    """The answer of an actor. Raises TimeoutError or HandLost, and WorkerError where the actor itself failed."""
    import ray

    try:
        return ray.get(reference, timeout=None if until is None else max(0.0, until - time.monotonic()))
    except ray.exceptions.GetTimeoutError:
        raise TimeoutError("it said nothing in time") from None
    except lost_errors() as error:
        if getattr(error, "actor_init_failed", False):
            raise WorkerError(_unmade_sentence(str(error))) from error
        raise HandLost(str(error).splitlines()[0]) from error
    except ray.exceptions.RayTaskError as error:
        # Of its own text, which is the node's traceback, only the cause is for a person.
        raise WorkerError(worker_sentence(error.cause)) from error


def _unmade_sentence(text: str) -> str:
    """Why a node cannot have an actor, from what Ray says, whose last line is the error as it was there."""
    node = text.partition("ip=")[2].partition(",")[0]
    return (
        f"node {node} cannot have a worker ({text.strip().splitlines()[-1].strip()}); install the same packages on all "
        "nodes, and run the same command again"
    )


class RemoteChild:
    """A worker's process on a node."""

    def __init__(self, hand: Any) -> None:
        """Takes the actor that has begun it."""
        self._hand = hand
        self._asked: deque[Any] = deque()
        self._code = 0

    @property
    def awaited(self) -> Any:
        """Ray's reference to the answer that comes next; None where nothing was asked."""
        return self._asked[0] if self._asked else None

    def send(self, value: Any) -> None:
        """Tells it an object; the answers come in the order of what it was told."""
        self._asked.append(self._hand.tell.options(concurrency_group="told").remote(pickle.dumps(value)))

    def receive(self, until: float | None = None) -> Any:
        """The next object that it tells, if that comes by then. Raises TimeoutError, ChildGone or HandLost."""
        found = fetched(self._asked[0], until)
        self._asked.popleft()
        if isinstance(found, int):
            self._code = found
            raise ChildGone("its process is gone")
        return unpacked(found)

    def end(self, grace_s: float = 0.0) -> int:
        """The exit code of a process that is gone."""
        return self._code


class Seat:
    """A bundle of the placement group, and the worker in it, if there is one now."""

    def __init__(self, place: int) -> None:
        """Takes the bundle's number."""
        self.place = place
        self.hand: Any = None
        self.facts: NodeFacts | None = None
        """Of its node, once it has one."""
        self.child: RemoteChild | None = None
        self.looking: Any = None
        """Ray's reference to these."""

    def take(self, hand: Any, beginning: Beginning) -> None:
        """Waits for a node with a new actor."""
        self.hand, self.facts, self.child = hand, None, None
        self.looking = hand.look.options(concurrency_group="asked").remote(beginning)

    def looked(self) -> NodeFacts | None:
        """The facts of its node, once they are known; None where that is not yet so. Raises HandLost."""
        if self.facts is None:
            with contextlib.suppress(TimeoutError):
                self.facts = fetched(self.looking, time.monotonic())
        return self.facts

    def begin(self, beginning: Beginning) -> RemoteChild:
        """Starts its process. Raises HandLost."""
        fetched(self.hand.begin.options(concurrency_group="asked").remote(beginning), None)
        self.child = RemoteChild(self.hand)
        return self.child

    def end(self) -> Any:
        """Begins to end its process; Ray's reference to when it has ended, None where there is none."""
        had, self.child = self.child, None
        return None if had is None else self.hand.end.options(concurrency_group="asked").remote()

    def ping(self) -> Any:
        """Ray's reference to whether its node lives."""
        return self.hand.ping.options(concurrency_group="asked").remote()
