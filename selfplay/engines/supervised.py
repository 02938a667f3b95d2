"""The child process that the supervisor watches: runs one job at a time, and tells of every item when it is done.

It answers over its standard output, so there is no port to find and no token to keep.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from selfplay.compute.objects import Owner, unpacked
from selfplay.config.values.secrets import strike_streams
from selfplay.engines.jobs import Row, ShardJob

BEAT_S = 0.5
"""Shortest time between two signs of life, in seconds."""

Job = TypeVar("Job", bound=ShardJob)
Function = Callable[[Job], Iterator[tuple[Any, Row] | None]]
"""Works on a job: gives each finished item's place and row, and None once the model is open and after each step."""


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life: the model is open, and one more step was made."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An item is done."""

    place: Any
    """In its shard; of what flows, the shard's number and the place in it."""
    row: Row


@dataclass(frozen=True, slots=True)
class Done:
    """The whole job is."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A Python exception ended the job."""

    reason: str
    final: bool
    """Whether another try would meet the same."""


Message = Alive | Finished | Done | Failed


def serve() -> None:
    """Answers jobs until the worker hangs up, or ends."""
    owner = Owner()
    strike_streams()
    for asked in owner.told():
        for message in _messages(*unpacked(asked)):
            owner.answer(message)


def _messages(function: Function[Job], job: Job) -> Iterator[Message]:
    told = -BEAT_S
    try:
        for finished in function(job):
            if finished is not None:
                yield Finished(*finished)
            elif time.monotonic() - told >= BEAT_S:
                told = time.monotonic()
                yield Alive()
    except Exception as error:  # noqa: BLE001 - the worker is told, and the log has all of it
        traceback.print_exc()
        # What was asked is wrong, not the engine; vLLM says so by these.
        yield Failed(f"{type(error).__name__}: {error}", isinstance(error, ValueError | TypeError | ImportError))
        return
    yield Done()
