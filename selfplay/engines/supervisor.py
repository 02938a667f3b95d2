"""Runs vLLM in a child process of the worker, and starts it again where it dies or hangs.

A worker has one child, as long as its model is wanted. What a child has finished is kept in the shard's journal before
anything else happens, so a child's end, or the worker's, costs only the completions that were under way.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import TypeVar

from selfplay.compute.workers import GROUP_GPUS
from selfplay.config.recipe import Supervision
from selfplay.engines import loading, vllm_engine
from selfplay.engines.jobs import GenerateJob, Row, ScoreJob, ShardJob
from selfplay.engines.journal import Journal
from selfplay.engines.supervised import Done, Failed, Finished, Function, Message

Job = TypeVar("Job", bound=ShardJob)

_END_S = 60.0
"""Longest wait for the kernel to end a child that was killed, in seconds."""


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
            for place, row in _child().answers(function, replace(job, wanted=missing), limits):
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


@dataclass(slots=True)
class Child:
    """A child process, the socket to it, and what it has said since."""

    process: subprocess.Popen[bytes]
    connection: Connection
    messages: queue.SimpleQueue[Message | None] = field(default_factory=queue.SimpleQueue)
    """Ends with None, once the child has."""
    listener: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        # A child that is stopped within a message would block whoever reads it, and so hide that it hangs.
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    @classmethod
    def start(cls) -> Child:
        """Starts a child in a session of its own, which the kernel ends when this process ends."""
        ours, theirs = multiprocessing.Pipe()
        line = [sys.executable, "-P", "-m", "selfplay.engines.supervised_main", str(os.getpid()), str(theirs.fileno())]
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=_environment(), start_new_session=True
        )
        theirs.close()
        return cls(process, ours)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self.messages.put(self.connection.recv())
        self.messages.put(None)

    def answers(self, function: Function[Job], job: Job, limits: Supervision) -> Iterator[tuple[int, Row]]:
        """What the function gives for a job, item by item.

        Raises:
            ChildFault: the child died, was silent too long or failed; all that it had finished was given before.
        """
        try:
            self.connection.send((function, job))
        except OSError:
            raise ChildFault(self._how_it_ended()) from None
        patience, work = limits.opening_s, "opening a model"
        while True:
            try:
                message = self.messages.get(timeout=patience)
            except queue.Empty:
                yield from self._last_words()
                raise ChildFault(f"was silent for {patience:g} s while {work}") from None
            if isinstance(message, Done):
                return
            if message is None:
                raise ChildFault(self._how_it_ended())
            if isinstance(message, Failed):
                raise ChildFault(f"failed ({message.reason})", message.final)
            if isinstance(message, Finished):
                yield message.place, message.row
            patience, work = limits.silence_s, "at work"

    def _last_words(self) -> Iterator[tuple[int, Row]]:
        """Ends the child; what it had finished by then counts."""
        self.end()
        while not self.messages.empty():
            message = self.messages.get()
            if isinstance(message, Finished):
                yield message.place, message.row

    def _how_it_ended(self) -> str:
        self.end()
        code = self.process.returncode
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def end(self) -> None:
        """Ends the child, and the processes that it started, at once.

        Raises:
            EngineLost: the kernel does not end it.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        try:
            self.process.wait(_END_S)
            self.listener.join(_END_S)
        except subprocess.TimeoutExpired:
            raise EngineLost(
                f"the vLLM process {self.process.pid} could not be ended within {_END_S:g} s: the system holds it, "
                "so what it has of the device stays taken; look at the system's log"
            ) from None


_current: list[Child] = []
"""The one child of this worker, if any."""


def _child() -> Child:
    if not _current:
        loading.forget_all()
        _current.append(Child.start())
    return _current[0]


def _environment() -> dict[str, str]:
    """The worker's, with its import path and all GPUs of its group."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if group := os.environ.get(GROUP_GPUS):
        environment["CUDA_VISIBLE_DEVICES"] = group
    return environment


def close() -> None:
    """Ends the child, so that all its memory comes back."""
    while _current:
        child = _current.pop()
        child.end()
        child.connection.close()


loading.on_forget(close)
