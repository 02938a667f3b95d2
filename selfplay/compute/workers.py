"""Worker processes that hold models: one a GPU, or one a core. They live as long as the run and die with it."""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import operator
import os
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessPool

from selfplay.compute.system_errors import worker_sentence
from selfplay.config.errors import RunStopped

PR_SET_PDEATHSIG = 1
DISTRIBUTED_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

GROUP_GPUS = "SELFPLAY_GROUP_GPUS"
"""Names in a worker's environment the GPUs that are its own; it sees the first itself."""

WORKER_ENVIRONMENT = {
    # OpenMP threads of several processes that spin while they wait would slow each other down.
    "OMP_WAIT_POLICY": "passive",
    # glibc would give every large tensor back to the kernel, and fault its pages in again at each step.
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
}
"""Set before a worker starts, since its libraries read them once."""

_BIRTH_S = 20.0
"""Longest wait for a starting worker before it is ended all the same."""

UNDER_WAY = 2
"""Jobs of a worker that it has or that wait for it: what is done is to be taken before much more is made."""

Job = TypeVar("Job")
Done = TypeVar("Done")
OnTick = Callable[[], None]


class WorkerError(RunStopped):
    """A worker process failed; the message carries its reason."""


class Workers:
    """A fixed number of processes that run functions of this package by reference.

    What their libraries print goes to `log`. Time spent waiting for them is the run's model time: `busy_seconds`.
    """

    def __init__(self, count: int, threads: int, device: str, log: Path, gpus_each: int = 1) -> None:
        self.count = count
        self.device = device
        self.busy_seconds = 0.0
        self._threads = threads
        self._log = log
        self._gpus_each = gpus_each
        os.environ.update({name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()})
        self._starting: list[Future[Any]] = []
        self._open()

    def _open(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="selfplay-workers-")
        self._claims = Path(self._folder.name, "claims")
        self._claims.mkdir()
        self._pool = ProcessPool(
            max_workers=self.count,
            context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=[self._claims, self._threads, self.device, self._gpus_each, os.getpid(), self._log],
        )

    def renew(self) -> None:
        """Ends the processes, so that all their memory comes back; the next work starts fresh ones."""
        if os.listdir(self._claims):
            self.stop()
            self._open()

    def start(self, first: Callable[[], None]) -> None:
        """Starts the workers, which load their libraries meanwhile; one of them then calls `first`."""
        self._starting = [self._pool.schedule(_import_libraries) for _ in range(self.count)]
        self._starting.append(self._pool.schedule(first))

    def wait_until_ready(self) -> None:
        """Waits until every worker has its libraries loaded; not counted as model time. Raises what `first` raised."""
        for future in self._starting:
            future.result()
        self._starting = []

    def as_done(
        self, function: Callable[[Job], Done], jobs: Iterable[Job], on_tick: OnTick | None = None
    ) -> Iterator[tuple[int, Done]]:
        """Runs one function over jobs; the place and the result of each as it is done, in any order.

        Of what is done nothing is kept. The workers go on while the caller looks at a result, but not far.

        Raises:
            WorkerError: a job failed; the workers are stopped.
        """
        left, waiting = enumerate(jobs), dict[Future[Any], int]()
        ended: list[tuple[int, Done]] = []
        while True:
            for place, job in itertools.islice(left, UNDER_WAY * self.count - len(waiting)):
                waiting[self._pool.schedule(_run, args=[function, job])] = place
            yield from ended
            if not waiting:
                return
            ended = self._ended(waiting, on_tick)

    def map(self, function: Callable[[Job], Done], jobs: Iterable[Job], on_tick: OnTick | None = None) -> list[Done]:
        """Runs one function over jobs, in any order; results come in the order of the jobs.

        Raises:
            WorkerError: a job failed; the workers are stopped.
        """
        return [done for _, done in sorted(self.as_done(function, jobs, on_tick), key=operator.itemgetter(0))]

    def together(self, function: Callable[[Job], Done], job: Job, on_tick: OnTick | None = None) -> Done:
        """Runs one function on all workers at once as a data-parallel group; returns the first rank's result.

        Raises:
            WorkerError: a rank failed; the workers are stopped.
        """
        port = _free_port()
        ranks = [[function, job, rank, self.count, port] for rank in range(self.count)]
        waiting = {self._pool.schedule(_run_rank, args=arguments): rank for rank, arguments in enumerate(ranks)}
        ended: dict[int, Done] = {}
        while waiting:
            ended |= self._ended(waiting, on_tick)
        return ended[0]

    def _ended(self, waiting: dict[Future[Any], int], on_tick: OnTick | None) -> list[tuple[int, Any]]:
        """Takes out what has ended by now or within half a second; the waiting counts as model time."""
        started = time.monotonic()
        try:
            ended, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        finally:
            self.busy_seconds += time.monotonic() - started
        results = []
        for future in ended:
            error = future.exception()
            if error is not None:
                self.stop()
                raise WorkerError(worker_sentence(error, getattr(error, "exitcode", None))) from error
            results.append((waiting.pop(future), future.result()))
        if on_tick is not None:
            on_tick()
        return results

    def stop(self) -> None:
        """Ends the workers at once."""
        self._wait_for_births()
        self._pool.stop()
        # An interruption may have come while a job was put into the queue, just after it woke the pool's thread: a lock
        # that nobody waits for any more then swallows the next awakening, which is that of `join`.
        for _ in range(2):
            self._pool._context.task_queue.put(None)
        self._pool.join()
        self._folder.cleanup()

    def _wait_for_births(self) -> None:
        """Waits for workers that are only just starting: the pool would take away the locks that they open."""
        deadline = time.monotonic() + _BIRTH_S
        while self._starting and len(os.listdir(self._claims)) < self.count and time.monotonic() < deadline:
            time.sleep(0.02)


def _start_worker(claims: Path, threads: int, device: str, gpus_each: int, parent: int, log: Path) -> None:
    die_with_parent(parent)
    _print_to(log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ordinal = _claim_number(claims)
    # A worker is ended without notice; what its libraries keep in temporary files goes when the driver ends.
    os.environ["TMPDIR"] = tempfile.tempdir = str(claims.parent)
    if device == "cuda":
        _see_gpus(ordinal, gpus_each)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Trackers and progress bars belong to the driver alone.
    os.environ["WANDB_MODE"] = "disabled"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"


def _print_to(log: Path) -> None:
    """Sends standard output and error, also those of C++ code, to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _claim_number(folder: Path) -> int:
    """The lowest number that no other worker has taken."""
    for number in itertools.count():
        try:
            (folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        return number
    raise AssertionError("unreachable")


def _see_gpus(ordinal: int, each: int) -> None:
    """Leaves a worker the first GPU of its group, and the name of all of them to engines that want several."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else None
    places = range(ordinal * each, (ordinal + 1) * each)
    group = [names[place % len(names)] if names else str(place) for place in places]
    os.environ["CUDA_VISIBLE_DEVICES"] = group[0]
    os.environ[GROUP_GPUS] = ",".join(group)


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when its parent ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _import_libraries() -> None:
    import torch
    import trl
    from transformers.utils import logging

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    logging.disable_progress_bar()
    # Attribute access loads TRL's lazily imported trainers.
    _ = (trl.SFTTrainer, trl.GRPOTrainer, trl.DPOTrainer)


def _run_rank(function: Callable[[Job], Done], job: Job, rank: int, world: int, port: int) -> Done:
    if world == 1:
        return _run(function, job)
    values = (rank, 0 if os.environ.get("CUDA_VISIBLE_DEVICES") else rank, world, world, "127.0.0.1", port)
    os.environ.update(dict(zip(DISTRIBUTED_VARIABLES, map(str, values), strict=True)))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    try:
        return _run(function, job)
    finally:
        _leave_group()


def _run(function: Callable[[Job], Done], job: Job) -> Done:
    """Runs a job; the driver gets one sentence of a fault, the log all of it."""
    try:
        return function(job)
    except Exception:
        traceback.print_exc()
        raise


def _leave_group() -> None:
    import torch.distributed
    from accelerate.state import AcceleratorState, GradientState

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    for name in DISTRIBUTED_VARIABLES:
        os.environ.pop(name, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
