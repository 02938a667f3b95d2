"""Children that are told Python objects and answer with them: processes of this project, which trust each other."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any, Protocol

from sandbox.process.child import Child
from sandbox.process.inside import read_frame, take_channel, write_frame


class WorkerChild(Protocol):
    """A worker's process as its owner tells and hears it, wherever it is."""

    def send(self, value: Any) -> None:
        """Tells it an object. Raises ChildGone."""

    def receive(self, until: float | None = None) -> Any:
        """The next object that it tells, if that comes by then. Raises TimeoutError or ChildGone."""

    def end(self, grace_s: float = 0.0) -> int:
        """Ends it once it had that time to end by itself; its exit code, or minus a signal."""


class ObjectChild(Child):
    """A child whose module answers with an `Owner`."""

    def send(self, value: Any) -> None:
        """Tells it an object. Raises ChildGone."""
        self.write_frame(pickle.dumps(value))

    def receive(self, until: float | None = None) -> Any:
        """The next object that it tells, if that comes by then. Raises TimeoutError or ChildGone."""
        return unpacked(self.frame(until))


class Owner:
    """The other side, for the child's module: what it is told, and where it answers. It dies with its owner."""

    def __init__(self) -> None:
        self._into, self._out = take_channel()

    def told(self) -> Iterator[bytes]:
        """The objects, as they come, until the owner hangs up; packed, since to unpack one may import what fails."""
        while (data := read_frame(self._into)) is not None:
            yield data

    def answer(self, value: Any) -> None:
        """Tells the owner an object. Raises BrokenPipeError where it has hung up."""
        write_frame(self._out, pickle.dumps(value))


def unpacked(data: bytes) -> Any:
    """An object that came from the other side."""
    return pickle.loads(data)  # noqa: S301 - from a process of our own, by a pipe that no other has
