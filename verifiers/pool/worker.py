"""One worker as its caller sees it: a process that answers questions in order, whose child can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.process.child import Child, ChildGone, exit_reason
from sandbox.process.inside import HEADER

BARE: Mapping[str, str] = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
"""All that a worker of ours is told of its caller's environment, but for the path."""
_MAX_REPLY = 1 << 26
_PIPE_BYTES, _WIDE_PIPE_BYTES = 1 << 16, 1 << 19
"""Of the pipe to a worker, and of that to one which once got more than finds room there, where this user may have so
much: all pipes of a user share a quota. Half of it surely finds room, whatever its pages hold."""
_GRACE_S = 1.0
_OF_VERDICT = {"timed_out": "timed_out", "spent": "timed_out", "over_memory": "over_memory", "died": "worker_died"}
_AT_WORK = 0.3
"""The share of its processor time that a question has used at its deadline if it is to blame, and not the machine."""


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """The outcome of one question.

    `status` is ok, timed_out (there was no answer in time), spent (there was none within the processor time or the
    depth of calls that a question has), over_memory, died or failed.
    """

    status: str
    value: Any = None
    reason: str = ""
    seconds: float = 0.0

    @property
    def overspent(self) -> bool:
        """Whether the question is to blame: it used up its processor time or memory, which no busy machine explains."""
        return self.status in {"spent", "over_memory"}

    @property
    def verdict_status(self) -> str:
        """The status of the verdict on an item for which there was no answer."""
        return _OF_VERDICT.get(self.status, "not_checked")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one question takes: seconds by the clock, with those that a busy machine gives to others, and
    seconds of processor time, which don't."""

    wall_s: float
    cpu_s: float


class Lost(Exception):
    """The worker said nothing in time, ended, or talks nonsense: it has to be replaced."""


class Worker:
    """Not for two threads at once."""

    def __init__(
        self,
        module: str,
        memory_mb: int,
        max_items: int,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = BARE,
    ) -> None:
        """Starts the process. Raises OSError when that can't be done."""
        read_end, self._control = os.pipe()
        told = (read_end, memory_mb, max_items, *arguments)
        # What a worker of ours says there is for nobody; that of others is for whoever wrote it.
        stderr = 2 if environment is None else subprocess.DEVNULL
        given = environment if environment is None else {"PATH": os.environ.get("PATH", "")} | dict(environment)
        try:
            self.process = Child(module, told, fds=(read_end,), environment=given, stderr=stderr, longest=_MAX_REPLY)
        except OSError:
            os.close(self._control)
            raise
        finally:
            os.close(read_end)
        self._room = _PIPE_BYTES // 2
        self._asked = 0
        self._pid = 0
        self.child = 0
        """The number of the child that answers now, 0 before the first."""
        self.ready = False
        self.lost = False

    def await_ready(self, seconds: float) -> None:
        """Waits until a child is there to answer. Raises Lost when none is in time."""
        if self.process.wait(0):
            raise Lost("its process is gone")
        until = time.monotonic() + seconds
        while not self.ready:
            try:
                message = self._message(until)
                number = message.get("ready")
            except TimeoutError as error:
                raise Lost("it did not start in time") from error
            except ChildGone as error:
                raise Lost(str(error)) from error
            # what a child before it said late is for nobody
            if isinstance(number, int) and number > self.child:
                self.child, self.ready, self._pid = number, True, int(message["pid"])

    def exchange(self, questions: Sequence[Any], bounds: Sequence[Bounds]) -> list[WorkerOutcome]:
        """Asks questions and returns their outcomes, at least one, and none after the first fault.

        Each has its bounds for itself. Afterwards `ready` tells whether the child can go on, `lost` whether the
        worker has to be replaced.
        """
        outcomes: list[WorkerOutcome] = []
        begun = time.monotonic()
        first = self._asked + 1
        frames = self._framed(questions, bounds)
        try:
            self.process.write(frames, begun + bounds[0].wall_s)
            for number in range(first, self._asked + 1):
                outcomes.append(self._outcome(number, begun, bounds[number - first]))
                begun = time.monotonic()
                if not self.ready:
                    break
        except (Lost, ChildGone, OSError) as error:
            self.lost = True
            reason = f"the worker broke off: {error}"
            outcomes.append(WorkerOutcome("died", reason=reason, seconds=time.monotonic() - begun))
        # the keeper drops what a pipe holds when a child ends, so all of the frames must have been in it
        self.lost |= not self.ready and len(frames) > self._room
        return outcomes

    def end(self) -> None:
        """Ends the process."""
        # the keeper hears its control pipe close, and ends with its child
        os.close(self._control)
        self.process.close(_GRACE_S)

    def _outcome(self, number: int, begun: float, bounds: Bounds) -> WorkerOutcome:
        until = begun + bounds.wall_s
        worked = _work_s(self._pid)
        while True:
            try:
                message = self._message(until)
            except TimeoutError:
                self.ready = False
                worked = _work_s(self._pid) - worked
                os.write(self._control, b"%d\n" % self.child)
                status = "spent" if worked >= _AT_WORK * bounds.cpu_s else "timed_out"
                reason = f"no answer within {bounds.wall_s:g} s, of which it worked {worked:.2g} s"
                return WorkerOutcome(status, reason=reason, seconds=time.monotonic() - begun)
            seconds = time.monotonic() - begun
            if message.get("number") == number and "status" in message:
                self.ready = not message.get("last")
                return WorkerOutcome(
                    str(message["status"]), message.get("value"), str(message.get("reason", "")), seconds
                )
            if isinstance(code := message.get("died"), int):
                self.ready = False
                if code == -signal.SIGPROF:
                    return WorkerOutcome("spent", reason="no answer within its processor time", seconds=seconds)
                return WorkerOutcome("died", reason=f"the worker {exit_reason(code)}", seconds=seconds)
            if "ready" in message:
                raise Lost("it started anew without a word")

    def _framed(self, questions: Sequence[Any], bounds: Sequence[Bounds]) -> bytes:
        """Returns the first question, and as many more as a pipe holds, each as a frame."""
        frames = b""
        for at, (question, bound) in enumerate(zip(questions, bounds, strict=True)):
            asked = {"number": self._asked + 1, "wall_s": bound.wall_s, "cpu_s": bound.cpu_s, "question": question}
            body = json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if at and len(frames) + len(body) > self._room:
                break
            if len(body) > self._room:
                self._room = max(self._room, self.process.widen(_WIDE_PIPE_BYTES) // 2)
            self._asked += 1
            frames += HEADER.pack(len(body)) + body
        return frames

    def _message(self, until: float) -> dict[str, Any]:
        """Returns the next line that is a JSON object. Raises TimeoutError, or ChildGone when none will come."""
        while True:
            line = self.process.line(until)
            if line[:1] != b"{":
                continue
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(line)
                if isinstance(message, dict):
                    return message


def _work_s(pid: int) -> float:
    """The processor time of a process so far; 0 for one that is gone. The kernel's name for its clock is in time.h."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
