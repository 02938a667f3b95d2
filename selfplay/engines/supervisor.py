"""Runs vLLM in a child process of the worker, and starts it again where it dies or hangs.

A worker has one child, as long as its model is wanted. What a child has finished is kept in the shard's journal before
anything else happens, so a child's end, or the worker's, costs only the completions that were under way.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from sandbox.process.child import ChildGone, exit_reason
from selfplay.compute.objects import ObjectChild
from selfplay.compute.workers import GROUP_GPUS
from selfplay.config.section import Supervision
from selfplay.engines import loading, vllm_engine
from selfplay.engines.flow import FlowJob, Journal, Keeper
from selfplay.engines.jobs import Row, ScoreJob, ShardJob
from selfplay.engines.supervised import Done, Failed, Finished, Function, Message

Job = TypeVar("Job", bound=ShardJob)

Answer = tuple[Any, Row]
"""An item's place, and its row."""


class EngineLost(RuntimeError):
    """The engine cannot do a shard; the message says why, and what to do."""


class ChildFault(RuntimeError):
    """A child died, hung or failed; the message says which."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def score_shard(job: ScoreJob) -> list[Row]:
    """Scores a shard's requests with vLLM.

    Raises:
        EngineLost: the child fails again and again, or was asked for what vLLM refuses.
    """
    return finish(vllm_engine.scores, job, len(job.requests))


def flow_shards(job: FlowJob) -> int:
    """Completes shards as they come, with vLLM; returns how many completions it made.

    Raises:
        EngineLost: the child fails again and again, or was asked for what vLLM refuses.
    """
    keeper = Keeper(job)

    def attempt(limits: Supervision) -> None:
        for item, row in answers(_child(), vllm_engine.flow, job, limits):
            keeper.hear(item, row)

    _persist(job, attempt, lambda: keeper.finished, "completions")
    return keeper.finished


def finish(function: Function[Job], job: Job, count: int) -> list[Row]:
    """Does the items of a job that its journal lacks, in children that are renewed as often as that helps.

    Raises:
        EngineLost: see `score_shard`.
    """
    if job.journal is None:
        raise ValueError("a supervised shard has a journal")
    journal = Journal(job.journal)

    def attempt(limits: Supervision) -> None:
        missing = [place for place in range(count) if place not in journal.rows]
        for place, row in answers(_child(), function, replace(job, wanted=missing), limits) if missing else ():
            journal.add(place, row)

    _persist(job, attempt, lambda: len(journal.rows), f"of {count} items of the shard")
    return [journal.rows[place] for place in range(count)]


def _persist(job: ShardJob, attempt: Callable[[Supervision], None], finished: Callable[[], int], of: str) -> None:
    """Tries until nothing breaks; gives up where tries in a row finish nothing more."""
    limits = job.settings.supervision
    if limits is None:
        raise ValueError("a supervised job has limits")
    barren = 0
    while True:
        before = finished()
        try:
            return attempt(limits)
        except ChildFault as fault:
            close()
            barren = barren + 1 if finished() == before else 1
            done = f"{finished()} {of} are done"
            print(f"engine.supervision: the vLLM process {fault}; {done}", file=sys.stderr, flush=True)
            if fault.final:
                raise EngineLost(f"vLLM {fault}; see engine.args and workers.log") from fault
            if barren > limits.restarts:
                raise EngineLost(
                    f"the vLLM process failed {_times(barren)} without finishing one more item ({done}); at last it "
                    f"{fault}; see workers.log, and raise the limits in engine.supervision if it was only slow"
                ) from fault


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def answers(child: ObjectChild, function: Function[Job], job: Job, limits: Supervision) -> Iterator[Answer]:
    """The answers of a function for a job, item by item.

    Raises:
        ChildFault: the child died, was silent too long or failed; all that it had finished was given before.
        EngineLost: the kernel does not end it.
    """
    patience, work = limits.opening_s, "opening a model"
    try:
        child.send((function, job))
        while True:
            message: Message = child.receive(time.monotonic() + patience)
            if isinstance(message, Done):
                return
            if isinstance(message, Failed):
                raise ChildFault(f"failed ({message.reason})", message.final)
            if isinstance(message, Finished):
                yield message.place, message.row
            patience, work = limits.silence_s, "at work"
    except ChildGone:
        raise ChildFault(_ended(child)) from None
    except TimeoutError:
        _ended(child)
        yield from _last_words(child)
        raise ChildFault(f"was silent for {patience:g} s while {work}") from None


def _last_words(child: ObjectChild) -> Iterator[Answer]:
    """The items that a child had finished before it was ended."""
    with contextlib.suppress(ChildGone, TimeoutError):
        while True:
            message: Message = child.receive(time.monotonic())
            if isinstance(message, Finished):
                yield message.place, message.row


def _ended(child: ObjectChild) -> str:
    """Ends a child; returns how it ended."""
    try:
        return exit_reason(child.end())
    except TimeoutError as error:
        raise EngineLost(
            f"of vLLM, {error}: the system holds it, so what it has of the device stays taken; look at the system's log"
        ) from error


_current: list[ObjectChild] = []
"""The one child of this worker, if any."""


def _child() -> ObjectChild:
    if not _current:
        loading.forget_all()
        # What it prints goes where the worker's goes.
        _current.append(ObjectChild("selfplay.engines.supervised_main", environment=_environment(), stderr=2))
    return _current[0]


def _environment() -> dict[str, str]:
    """The worker's, with all GPUs of its group."""
    group = os.environ.get(GROUP_GPUS)
    return os.environ | ({"CUDA_VISIBLE_DEVICES": group} if group else {})


def close() -> None:
    """Ends the child, so that all its memory comes back."""
    while _current:
        child = _current.pop()
        _ended(child)
        child.close()


loading.on_forget(close)
