"""Runs vLLM in a child process of the worker, and starts it again where it dies or hangs.

A worker has one child, as long as its model is wanted. What a child has finished is kept in the shard's journal before
anything else happens, so a child's end, or the worker's, costs only the completions that were under way.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sandbox.process.child import ChildGone, exit_reason
from selfplay.compute.objects import ObjectChild
from selfplay.compute.workers import GROUP_GPUS
from selfplay.config.recipe import Supervision
from selfplay.engines import loading, vllm_engine
from selfplay.engines.jobs import GenerateJob, Row, ScoreJob, ShardJob
from selfplay.engines.supervised import Done, Failed, Finished, Function, Message
from selfplay.run.files import repair_lines
from selfplay.run.tables import RecordError
from verifiers.untrusted.files import LONGEST_ROW, lines_of
from verifiers.untrusted.json_values import parse_json

Job = TypeVar("Job", bound=ShardJob)

Answer = tuple[int, Row]
"""An item's place, and its row."""


class EngineLost(RuntimeError):
    """The engine cannot do a shard; the message says why, and what to do."""


class ChildFault(RuntimeError):
    """A child died, hung or failed; the message says which."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def generate_shard(job: GenerateJob) -> list[Row]:
    """Completes a shard's prompts with vLLM.

    Raises:
        EngineLost: the child fails again and again, or was asked for what vLLM refuses.
    """
    return finish(vllm_engine.completions, job, len(job.prompts))


def score_shard(job: ScoreJob) -> list[Row]:
    """Scores a shard's requests with vLLM.

    Raises:
        EngineLost: the child fails again and again, or was asked for what vLLM refuses.
    """
    return finish(vllm_engine.scores, job, len(job.requests))


def finish(function: Function[Job], job: Job, count: int) -> list[Row]:
    """Does the items of a job that its journal lacks, in children that are renewed as often as that helps.

    Raises:
        EngineLost: see `generate_shard`.
    """
    limits = job.settings.supervision
    if limits is None or job.journal is None:
        raise ValueError("a supervised shard has limits and a journal")
    journal = Journal(job.journal)
    barren = 0
    while missing := [place for place in range(count) if place not in journal.rows]:
        try:
            for place, row in answers(_child(), function, replace(job, wanted=missing), limits):
                journal.add(place, row)
        except ChildFault as fault:
            close()
            barren = barren + 1 if all(place not in journal.rows for place in missing) else 1
            done = f"{len(journal.rows)} of {count} items of the shard are done"
            print(f"engine.supervision: the vLLM process {fault}; {done}", file=sys.stderr, flush=True)
            if fault.final:
                raise EngineLost(f"vLLM {fault}; see engine.args and workers.log") from fault
            if barren > limits.restarts:
                raise EngineLost(
                    f"the vLLM process failed {_times(barren)} without finishing one more item ({done}); at last it "
                    f"{fault}; see workers.log, and raise the limits in engine.supervision if it was only slow"
                ) from fault
    return [journal.rows[place] for place in range(count)]


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


class Journal:
    """Rows by place in a file that is only ever appended to; a kill loses at most the row that was being written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: dict[int, dict[str, Any]] = self._read()

    def _read(self) -> dict[int, dict[str, Any]]:
        if not self.file.exists():
            return {}
        repair_lines(self.file)
        try:
            lines = [parse_json(line, finite=False) for _, line in lines_of(self.file, LONGEST_ROW, RecordError)]
            return {int(place): dict(row) for place, row in lines}
        except (ValueError, TypeError) as error:
            raise RecordError(
                f"{self.file}: is damaged ({error}); delete it and run again: its answers will be made anew"
            ) from error

    def add(self, place: int, row: dict[str, Any]) -> None:
        """Keeps a row; what is added survives the death of this process."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(json.dumps([place, row]).encode("ascii") + b"\n")
        self.rows[place] = row
