"""Worker processes that can be killed: questions in, answers out, a hard deadline and a memory cap for each.

Why not multiprocessing: its spawn method runs the caller's main script again in each worker (a trainer's
would load torch), fork copies a process that holds threads and GPUs, and both answer by pickle, which must
not be read from a process that may have been taken over. Here a worker is `python -P -m MODULE` that
speaks JSON, so a caller needs no main guard, and a worker can be killed at any instant without harm to
another. What is killed is a child of the worker, which forks the next one (`verifiers.pool.serving`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from verifiers.pool.worker import BARE, Bounds, Lost, Worker, WorkerOutcome

__all__ = ["Bounds", "WorkerOutcome", "WorkerPool"]

_START_S = 120.0
_RENEWAL_S = 5.0
_MOST_AT_ONCE = 32
_WORTH_A_START_S = 0.5
"""Of answers that are to come, or that one worker after the other has given: so much is a second worker worth."""
_CHANCE = 3
"""Starts that fail one after the other before the module is held to be at fault."""


class WorkerPool:
    """Up to `workers` processes, started when first needed; for any thread."""

    def __init__(
        self,
        module: str,
        *,
        workers: int = 2,
        memory_mb: int = 1024,
        max_items: int = 2000,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = BARE,
        places: int = 0,
    ) -> None:
        """Names the module to run (it calls `serve`), the memory of a worker, and when to renew its child.

        Calls that find all `workers` busy start more, up to `places` of them. A `memory_mb` of 0 is no limit;
        `arguments` come after those of `serve`; an `environment` of None is this process's own.
        """
        self._module = module
        self._memory_mb = memory_mb
        self._max_items = max_items
        self._arguments, self._environment = tuple(arguments), environment
        self._free = threading.Semaphore(max(1, workers, places))
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False
        self.workers = max(1, workers)
        self.started = 0
        self._failed_starts = 0
        self._worked_s = 0.0

    def start(self) -> None:
        """Starts the workers that are not there yet, and waits until they are ready. Raises OSError, and RuntimeError
        after `close`."""
        new: list[Worker] = []
        try:
            while self.started < self.workers:
                new.append(self._new_worker())
            for worker in new:
                worker.await_ready(_START_S)
        except Lost as error:
            raise OSError(str(error)) from error
        finally:
            for worker in new:
                worker.lost |= not worker.ready
                self._give(worker)

    def spread(self, questions: Sequence[Any], bounds: Sequence[Bounds]) -> list[WorkerOutcome]:
        """Has questions (JSON data) answered, each within its own bounds: by all workers, a few questions at a time. As
        long as not all have started, what is left must promise to be worth a start.

        A fault costs its own question only. The time in which a worker gets ready is not part of any. Raises
        RuntimeError after `close`.
        """
        size = min(max(len(questions) // (8 * self.workers), 1), _MOST_AT_ONCE)
        if self.workers == 1 or len(questions) <= 2:
            return self._ask(questions, bounds)
        done: list[WorkerOutcome] = []
        while (
            self.started < self.workers and len(done) < len(questions) and not self._is_worth_a_start(done, questions)
        ):
            at = len(done)
            done += self._ask(questions[at : at + size], bounds[at : at + size])
            self._worked_s += sum(outcome.seconds for outcome in done[at:])
        with ThreadPoolExecutor(self.workers) as threads:
            answered = threads.map(
                lambda at: self._ask(questions[at : at + size], bounds[at : at + size]),
                range(len(done), len(questions), size),
            )
            return done + [outcome for outcomes in answered for outcome in outcomes]

    def _is_worth_a_start(self, done: Sequence[WorkerOutcome], questions: Sequence[Any]) -> bool:
        """By the last answer, where it is not the first, which loads things; or by all of them until now."""
        left = len(questions) - len(done)
        return self._worked_s > _WORTH_A_START_S or (len(done) > 1 and done[-1].seconds * left > _WORTH_A_START_S)

    def _ask(self, questions: Sequence[Any], bounds: Sequence[Bounds]) -> list[WorkerOutcome]:
        """Has one worker answer questions in order."""
        outcomes: list[WorkerOutcome] = []
        if not questions:
            return []
        with self._free:
            while len(outcomes) < len(questions):
                try:
                    worker = self._ready_worker()
                except OSError as error:
                    self._failed_starts += 1
                    # Once it is no chance, each question would only wait for the same.
                    count = 1 if self._failed_starts < _CHANCE else len(questions) - len(outcomes)
                    outcomes += [WorkerOutcome("failed", reason=f"a worker could not be started: {error}")] * count
                    continue
                self._failed_starts = 0
                try:
                    done = len(outcomes)
                    outcomes += worker.exchange(questions[done:], bounds[done:])
                except BaseException:
                    worker.end()
                    raise
                self._give(worker)
        return outcomes

    def close(self) -> None:
        """Ends every idle worker; a worker in use ends when its question does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _ready_worker(self) -> Worker:
        """Returns a worker whose child waits for a question; replaces one that was lost since its last answer."""
        while True:
            worker = self._take()
            new = worker.child == 0
            try:
                worker.await_ready(_START_S if new else _RENEWAL_S)
            except (Lost, OSError) as error:
                worker.end()
                if new:
                    raise OSError(str(error)) from error
            except BaseException:
                worker.end()
                raise
            else:
                return worker

    def _take(self) -> Worker:
        with self._lock:
            if self._idle and not self._closed:
                return self._idle.pop()
        return self._new_worker()

    def _new_worker(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("this pool of workers is closed")
            self.started += 1
        numbers = (self._memory_mb, self._max_items)
        return Worker(self._module, *numbers, arguments=self._arguments, environment=self._environment)

    def _give(self, worker: Worker) -> None:
        with self._lock:
            keep = not self._closed and not worker.lost
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.end()
