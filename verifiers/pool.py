"""Worker processes that can be killed: one question in, one answer out, a hard deadline and a memory cap.

Why not multiprocessing: its spawn method runs the caller's main script again in each worker (a trainer's
would load torch), fork copies a process that holds threads and GPUs, and both answer by pickle, which must
not be read from a process that may have been taken over. Here a worker is `python -P -m MODULE` that
speaks JSON lines, so a caller needs no main guard, and a worker can be killed at any instant without harm to
another.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_START_S = 30.0
_MAX_REPLY = 1 << 20


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
    lifeline: int
    buffer: bytes = b""
    ready: bool = False
    served: int = field(default=0)


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
        """Names the module to run (it calls `serve`), the limits per question, and when to renew a worker."""
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

        Raises RuntimeError after `close`.
        """
        with self._free:
            begun = time.monotonic()
            try:
                worker = self._take()
            except OSError as error:
                return Outcome("failed", reason=f"a worker could not be started: {error}")
            outcome, healthy = self._exchange(worker, question, begun)
            self._give(worker, healthy)
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

    def _give(self, worker: _Worker, healthy: bool) -> None:
        worker.served += 1
        with self._lock:
            keep = healthy and not self._closed and worker.served < self._max_items
            if keep:
                self._idle.append(worker)
        if not keep:
            _end(worker)

    def _start(self) -> _Worker:
        read_end, write_end = os.pipe()
        command = [
            sys.executable,
            "-P",
            "-m",
            self._module,
            str(read_end),
            str(self._memory_mb),
            str(self._deadline_s + 1),
        ]
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

    def _exchange(self, worker: _Worker, question: Any, begun: float) -> tuple[Outcome, bool]:
        line = (json.dumps(question) + "\n").encode()
        try:
            if not worker.ready:
                if _read_line(worker, time.monotonic() + _START_S) is None:
                    return _lost(worker, begun, "while starting"), False
                worker.ready = True
                begun = time.monotonic()
            assert worker.process.stdin is not None
            worker.process.stdin.write(line)
            reply = _read_line(worker, begun + self._deadline_s)
            seconds = time.monotonic() - begun
            if reply is None:
                return _lost(worker, begun, f"within {self._deadline_s:g} s"), False
            answer = json.loads(reply)
            status = str(answer["status"])
            return Outcome(status, answer.get("value"), str(answer.get("reason", "")), seconds), status == "ok"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Outcome("died", reason=f"the worker broke off: {error}", seconds=time.monotonic() - begun), False


def _lost(worker: _Worker, begun: float, when: str) -> Outcome:
    seconds = time.monotonic() - begun
    code = worker.process.poll()
    if code is None:
        return Outcome("timed_out", reason=f"no answer {when}", seconds=seconds)
    return Outcome("died", reason=f"the worker ended with exit code {code}", seconds=seconds)


def _read_line(worker: _Worker, until: float) -> bytes | None:
    """Returns the next line, or None when the time is up, the worker ended, or the line has no end."""
    assert worker.process.stdout is not None
    descriptor = worker.process.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while b"\n" not in worker.buffer:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        chunk = os.read(descriptor, 65536)
        if not chunk:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(1)
            return None
        worker.buffer += chunk
        if len(worker.buffer) > _MAX_REPLY:
            return None
    line, _, worker.buffer = worker.buffer.partition(b"\n")
    return line


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    os.close(worker.lifeline)
    for stream in (worker.process.stdin, worker.process.stdout):
        if stream is not None:
            stream.close()


def serve(answer: Callable[[Any], Any], warm_up: Callable[[], None]) -> None:
    """Runs inside a worker: answers one JSON line with one JSON line until the caller goes away.

    Arguments of the process: the lifeline's file descriptor, the memory cap in megabytes, and the seconds
    after which the kernel ends the process even if nobody is left to kill it.
    """
    import resource
    import signal

    lifeline, memory_mb, alarm_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(lifeline)
    warm_up()
    used = _address_space_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (used + (memory_mb << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    replies.write(b"ready\n")
    replies.flush()
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, alarm_s)
        reply = _answered(answer, line)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


def _answered(answer: Callable[[Any], Any], line: bytes) -> dict[str, Any]:
    try:
        return {"status": "ok", "value": answer(json.loads(line))}
    except MemoryError:
        return {"status": "over_memory", "reason": "the worker reached its memory cap"}
    except Exception as error:  # noqa: BLE001 - any fault of a parser costs this one question
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}


def _die_with(lifeline: int) -> None:
    """Asks the kernel for SIGIO, which ends the process, once the other end of the pipe is closed.

    PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the worker ends.
    """
    import fcntl
    import signal

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(0)


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
