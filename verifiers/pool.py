"""Worker processes that can be killed: one question in, one answer out, a hard deadline and a memory cap.

Why not multiprocessing: its spawn method runs the caller's main script again in each worker (a trainer's
would load torch), fork copies a process that holds threads and GPUs, and both answer by pickle, which must
not be read from a process that may have been taken over. Here a worker is `python -P -m MODULE` that
speaks JSON lines, so a caller needs no main guard, and a worker can be killed at any instant without harm to
another. What is killed is a child of the worker, which forks the next one (`pool_serving`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_START_S = 30.0
_RENEWAL_S = 5.0
_MAX_REPLY = 1 << 20
_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question: `status` is ok, timed_out, over_memory, died or failed."""

    status: str
    value: Any = None
    reason: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    control: int
    buffer: bytes = b""
    asked: int = 0
    child: int = 0
    """The number of the child that answers now, 0 before the first."""
    ready: bool = False


class _Lost(Exception):
    """The worker said nothing in time, ended, or talks nonsense: it has to be replaced."""


class WorkerPool:
    """Up to `workers` processes, started when first needed; `ask` may be called from any thread."""

    def __init__(
        self,
        module: str,
        *,
        workers: int = 2,
        deadline_s: float = 5.0,
        memory_mb: int = 1024,
        max_items: int = 2000,
    ) -> None:
        """Names the module to run (it calls `serve`), the limits per question, and when to renew a worker's child."""
        self._module = module
        self._deadline_s = deadline_s
        self._memory_mb = memory_mb
        self._max_items = max_items
        self._free = threading.Semaphore(max(1, workers))
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._closed = False
        self.workers = max(1, workers)
        self.started = 0

    def ask(self, question: Any) -> Outcome:
        """Sends one question (JSON data) to a free worker and waits for its answer, at most the deadline.

        The time in which a worker gets ready is not part of it. Raises RuntimeError after `close`.
        """
        with self._free:
            try:
                worker = self._ready_worker()
            except OSError as error:
                return Outcome("failed", reason=f"a worker could not be started: {error}")
            begun = time.monotonic()
            try:
                outcome = self._exchange(worker, question, begun)
            except (_Lost, OSError) as error:
                _end(worker)
                return Outcome("died", reason=f"the worker broke off: {error}", seconds=time.monotonic() - begun)
            except BaseException:
                _end(worker)
                raise
            self._give(worker)
            return outcome

    def close(self) -> None:
        """Ends every idle worker; a worker in use ends when its question does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            _end(worker)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("this pool of workers is closed")
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _give(self, worker: _Worker) -> None:
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(worker)
        if not keep:
            _end(worker)

    def _start(self) -> _Worker:
        read_end, write_end = os.pipe()
        limits = (self._memory_mb, self._deadline_s + 1, self._max_items)
        command = [sys.executable, "-P", "-m", self._module, str(read_end), *map(str, limits)]
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, *[p for p in sys.path if p and p != root]])
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(read_end,),
                env={**environment, "PYTHONHASHSEED": "0"},
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        with self._lock:
            self.started += 1
        return _Worker(process, write_end)

    def _ready_worker(self) -> _Worker:
        """Returns a worker whose child waits for a question; replaces one that was lost since its last answer."""
        while True:
            worker = self._take()
            new = worker.child == 0
            until = time.monotonic() + (_START_S if new else _RENEWAL_S)
            try:
                if worker.process.poll() is not None:
                    raise _Lost("its process is gone")
                while not worker.ready:
                    _note(worker, _message(worker, until))
            except (_Lost, OSError) as error:
                _end(worker)
                if new:
                    raise OSError(str(error)) from error
            except BaseException:
                _end(worker)
                raise
            else:
                return worker

    def _exchange(self, worker: _Worker, question: Any, begun: float) -> Outcome:
        until = begun + self._deadline_s
        worker.asked += 1
        _send(worker, (json.dumps({"number": worker.asked, "question": question}) + "\n").encode(), until)
        while True:
            try:
                message = _message(worker, until)
            except TimeoutError:
                return self._killed(worker, begun)
            seconds = time.monotonic() - begun
            if "status" in message and message.get("number") == worker.asked:
                worker.ready = not message.get("last")
                return Outcome(str(message["status"]), message.get("value"), str(message.get("reason", "")), seconds)
            if "died" in message:
                worker.ready = False
                return Outcome("died", reason=f"the worker ended: {message['died']}", seconds=seconds)
            if "ready" in message:
                raise _Lost("it started anew without a word")

    def _killed(self, worker: _Worker, begun: float) -> Outcome:
        worker.ready = False
        os.write(worker.control, b"%d\n" % worker.child)
        seconds = time.monotonic() - begun
        return Outcome("timed_out", reason=f"no answer within {self._deadline_s:g} s", seconds=seconds)


def _note(worker: _Worker, message: dict[str, Any]) -> None:
    """Takes note of a child that is ready; what a child before it said late is for nobody."""
    number = message.get("ready")
    if isinstance(number, int) and number > worker.child:
        worker.child, worker.ready = number, True


def _send(worker: _Worker, line: bytes, until: float) -> None:
    """Writes a question; raises _Lost when the worker doesn't take all of it in time."""
    assert worker.process.stdin is not None
    descriptor = worker.process.stdin.fileno()
    os.set_blocking(descriptor, False)
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while line:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise _Lost("it takes no question")
        with contextlib.suppress(BlockingIOError):
            line = line[os.write(descriptor, line) :]


def _message(worker: _Worker, until: float) -> dict[str, Any]:
    """Returns the next line that is a JSON object; a torn one is skipped.

    Raises TimeoutError when none comes in time, _Lost when none will come.
    """
    while True:
        line = _line(worker, until)
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(line)
            if isinstance(message, dict):
                return message


def _line(worker: _Worker, until: float) -> bytes:
    assert worker.process.stdout is not None
    descriptor = worker.process.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while b"\n" not in worker.buffer:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("it said nothing in time")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            raise _Lost("its process is gone")
        worker.buffer += chunk
        if len(worker.buffer) > _MAX_REPLY:
            raise _Lost("its answer has no end")
    line, _, worker.buffer = worker.buffer.partition(b"\n")
    return line


def _end(worker: _Worker) -> None:
    # the keeper hears its control pipe close, and ends with its child
    os.close(worker.control)
    try:
        worker.process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    for stream in (worker.process.stdin, worker.process.stdout):
        if stream is not None:
            stream.close()
