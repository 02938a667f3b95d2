"""Worker processes that hold models: one a GPU, or one a core. They live as long as the run and die with it."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import os
import select
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sandbox.process.child import ChildGone
from selfplay.compute.objects import ObjectChild, WorkerChild
from selfplay.compute.rendezvous import LOOPBACK, Meeting
from selfplay.compute.system_errors import RUN, lost_worker_sentence
from selfplay.compute.worker_main import JobFault, import_libraries, run_rank
from selfplay.config.errors import RunStopped

GROUP_GPUS = "SELFPLAY_GROUP_GPUS"
"""Names in a worker's environment the GPUs that are its own; it sees the first itself."""

DEFAULTS = {
    # OpenMP threads of several processes that spin while they wait would slow each other down.
    "OMP_WAIT_POLICY": "passive",
    # glibc would give every large tensor back to the kernel, and fault its pages in again at each step.
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
}
"""A worker's environment where the driver's says nothing else."""

QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    # Trackers and progress bars belong to the driver alone.
    "WANDB_MODE": "disabled",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    # No file that torch reads may build objects, whoever calls it.
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
}

RANK_TIMEOUT_S = 1800.0
"""That of transformers (`ddp_timeout`)."""
_TICK_S = 0.5
_END_S = 5.0
"""Longest wait for the end of a worker that has hung up."""

Job = TypeVar("Job")
Done = TypeVar("Done")
OnTick = Callable[[], None]
_Call = tuple[Callable[..., Any], list[Any]]


class WorkerError(RunStopped):
    """A worker process failed; the message carries its reason."""


class Calls:
    """Calls by number, taken one by one; those that are given back are taken first."""

    def __init__(self, calls: Iterable[_Call]) -> None:
        self._fresh = enumerate(calls)
        self._lost: Counter[int] = Counter()
        self.given_back: deque[tuple[int, _Call]] = deque()

    def take(self) -> tuple[int, _Call] | None:
        """The next one; None where none is left."""
        return self.given_back.popleft() if self.given_back else next(self._fresh, None)

    def give_back(self, taken: tuple[int, _Call]) -> int:
        """Takes one back that was not done; how often that was so of it."""
        self.given_back.append(taken)
        self._lost[taken[0]] += 1
        return self._lost[taken[0]]


class Workers:
    """A fixed number of processes that run functions by reference; they start when there is something to do.

    What their libraries print goes to `log`. Time spent waiting for them is the run's model time: `busy_seconds`.
    """

    shared: Path | None = None
    """The folder for files that pass between the workers and their owner; None takes any."""

    def __init__(self, count: int, threads: int, device: str, log: Path, gpus_each: int = 1) -> None:
        self.count = count
        self.device = device
        self.busy_seconds = 0.0
        self.note: Callable[[str], None] = _not_noted
        """Hears what a person should know while the workers work."""
        self._threads = threads
        self._log = log
        self._gpus_each = gpus_each
        self._children: list[ObjectChild] = []
        self._starting: list[WorkerChild] = []
        """Those whose answers to what `start` asked are awaited, in their order."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._groups = itertools.count()
        self._lock = threading.Lock()
        self._user: int | None = None
        """The thread whose results are not all taken yet."""

    def renew(self) -> None:
        """Ends the processes, so that all their memory comes back; the next work starts fresh ones."""
        self.stop()

    @contextlib.contextmanager
    def sparing(self, gpus: int) -> Iterator[tuple[str, ...]]:
        """Within it there are fewer workers, so that so many GPUs are free: the last ones, whose names it gives.

        Even an idle process would hold some of its GPU's memory. On a CPU all stay.

        Raises:
            WorkerError: none would be left.
        """
        spare = math.ceil(gpus / self._gpus_each) if self.device == "cuda" else 0
        if not spare:
            yield ()
            return
        if spare >= self.count:
            raise WorkerError(
                f"{gpus} GPUs were to be spared, and {self.count} workers have no more; raise their number"
            )
        self.stop()
        whole, self.count = self.count, self.count - spare
        groups = [gpus_of(ordinal, self._gpus_each)[GROUP_GPUS] for ordinal in range(self.count, whole)]
        try:
            yield tuple(",".join(groups).split(",")[-gpus:])
        finally:
            self.stop()
            self.count = whole

    def start(self, first: Callable[[], None]) -> None:
        """Starts the workers, which load their libraries meanwhile; one of them calls `first` before it does."""
        children = self._begun()
        calls = [(children[0], first), *((child, import_libraries) for child in children)]
        for child, function in calls:
            child.send((function, []))
            self._starting.append(child)

    def wait_until_ready(self) -> None:
        """Waits until every worker has its libraries loaded; not counted as model time.

        Raises:
            UserError: what `first` raised; WorkerError where it was no error for a person.
        """
        while self._starting:
            found = self._answer(self._starting[0], None)
            del self._starting[0]
            if isinstance(found, JobFault):
                raise found.error or WorkerError(found.sentence)

    def as_done(
        self, function: Callable[[Job], Done], jobs: Iterable[Job], on_tick: OnTick | None = None
    ) -> Iterator[tuple[int, Done]]:
        """Runs one function over jobs; the place and the result of each as it is done, in any order.

        Of what is done nothing is kept. While the caller looks at a result each worker goes on with one job, no more.
        Until the last result was taken, nothing else can be run.

        Raises:
            WorkerError: a job failed; the workers are stopped.
        """
        yield from self._spread(((function, [job]) for job in jobs), on_tick)

    def ticking(self, function: Callable[[Job], Done], jobs: Iterable[Job]) -> Iterator[None]:
        """Runs one function over jobs; gives way whenever something was heard, or half a second is over.

        Raises:
            WorkerError: a job failed; the workers are stopped.
        """
        for _ in self._spread(((function, [job]) for job in jobs), None, ticks=True):
            yield

    def map(self, function: Callable[[Job], Done], jobs: Iterable[Job], on_tick: OnTick | None = None) -> list[Done]:
        """Runs one function over jobs, in any order; results come in the order of the jobs.

        Raises:
            WorkerError: a job failed; the workers are stopped.
        """
        return [done for _, done in sorted(self.as_done(function, jobs, on_tick), key=operator.itemgetter(0))]

    def together(
        self,
        function: Callable[[Job], Done],
        job: Job,
        on_tick: OnTick | None = None,
        timeout_s: float = RANK_TIMEOUT_S,
        before_again: Callable[[], None] | None = None,
    ) -> Done:
        """Runs one function on all workers at once as a data-parallel group; returns the first rank's result.

        Args:
            job: the same for all ranks.
            on_tick: called now and then.
            timeout_s: longest wait of one rank for the others.
            before_again: called before the function begins again, where the workers can lose one and go on.

        Raises:
            WorkerError: a rank failed; the workers are stopped.
        """
        self._begun()
        assert self._folder is not None
        meeting = Meeting(f"{self._folder.name}/group-{next(self._groups)}", timeout_s)
        calls: list[_Call] = [(run_rank, [function, job, rank, self.count, meeting]) for rank in range(self.count)]
        first: Done = dict(self._spread(calls, on_tick))[0]
        return first

    def stop(self) -> None:
        """Ends the workers at once, and what they have started."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.close()
        self._children, self._starting = [], []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _spread(self, calls: Iterable[_Call], on_tick: OnTick | None, ticks: bool = False) -> Iterator[tuple[int, Any]]:
        if self._user == threading.get_ident():
            raise RuntimeError("the workers are still at work on something whose results were not all taken")
        self._lock.acquire()
        self._user = threading.get_ident()
        try:
            with self._busy():
                self.wait_until_ready()
            left, idle = Calls(calls), deque[WorkerChild](self._begun())
            busy: dict[WorkerChild, tuple[int, _Call]] = {}
            found: list[tuple[int, Any]] = []
            while True:
                while idle and (taken := left.take()) is not None:
                    busy[idle[0]] = taken
                    self._ask(idle.popleft(), taken[1])
                yield from found
                if ticks and not found:
                    yield -1, None
                if not busy and not left.given_back:
                    return
                with self._busy():
                    found = self._heard(busy, idle, left)
                if on_tick is not None:
                    on_tick()
        except BaseException:
            # Their answers to what was given up would be taken for those to what comes next.
            self.stop()
            raise
        finally:
            self._user = None
            self._lock.release()

    def _heard(
        self, busy: dict[WorkerChild, tuple[int, _Call]], idle: deque[WorkerChild], left: Calls
    ) -> list[tuple[int, Any]]:
        """The answers that are there within a while; who gave one is idle."""
        answers = []
        for child in self._ready(busy):
            with contextlib.suppress(TimeoutError):
                found = self._answer(child, time.monotonic())
                if isinstance(found, JobFault):
                    raise WorkerError(found.sentence)
                answers.append((busy.pop(child)[0], found))
                idle.append(child)
        return answers

    def _ready(self, busy: Collection[WorkerChild]) -> Sequence[WorkerChild]:
        """Those that have said something or have ended, once one has or a while is over."""
        return _heard_from(child for child in self._children if child in busy)

    def _ask(self, child: WorkerChild, call: _Call) -> None:
        try:
            child.send(call)
        except ChildGone as error:
            raise self._lost(child) from error

    def _answer(self, child: WorkerChild, until: float | None) -> Any:
        """Raises TimeoutError where it is not there whole, and WorkerError where none will come."""
        try:
            return child.receive(until)
        except ChildGone as error:
            raise self._lost(child) from error

    def _lost(self, child: WorkerChild) -> WorkerError:
        return WorkerError(lost_worker_sentence(child.end(_END_S)))

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Counts as model time what is done within it, also where that fails or is interrupted."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.busy_seconds += time.monotonic() - started

    def _begun(self) -> Sequence[WorkerChild]:
        """The processes, which are started if need be."""
        if not self._children:
            self._folder = tempfile.TemporaryDirectory(prefix="selfplay-workers-")
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                for ordinal in range(self.count):
                    environment = self._environment(ordinal, self._folder.name)
                    self._children.append(
                        ObjectChild("selfplay.compute.worker_main", environment=environment, stderr=log)
                    )
        return self._children

    def _environment(self, ordinal: int, folder: str) -> dict[str, str]:
        # Workers on a CPU see no GPU, of which a scheduler may have named some: their groups would meet on it.
        gpus = gpus_of(ordinal, self._gpus_each) if self.device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
        return DEFAULTS | os.environ | own_environment(folder, self._threads, self._log.parent) | gpus


def _not_noted(text: str) -> None:
    """Nobody wants to know."""


def own_environment(folder: str, threads: int, run: Path) -> dict[str, str]:
    """A worker's environment, whatever its owner's says."""
    # A worker is ended without notice; what its libraries keep in temporary files goes when the workers end.
    return {"TMPDIR": folder, RUN: str(run.absolute()), "OMP_NUM_THREADS": str(threads)} | QUIET | LOOPBACK


def gpus_of(ordinal: int, each: int) -> dict[str, str]:
    """Leaves a worker the first GPU of its group, and the name of all of them to engines that want several."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else None
    places = range(ordinal * each, (ordinal + 1) * each)
    group = [names[place % len(names)] if names else str(place) for place in places]
    return {"CUDA_VISIBLE_DEVICES": group[0], GROUP_GPUS: ",".join(group)}


def _heard_from(children: Iterable[ObjectChild]) -> list[ObjectChild]:
    """Those that have said something or have ended, once one has or a while is over."""
    waiting = select.poll()
    owners = {descriptor: child for child in children for descriptor in (child.out, child.ended)}
    for descriptor in owners:
        waiting.register(descriptor, select.POLLIN)
    return list({owners[descriptor]: None for descriptor, _ in waiting.poll(_TICK_S * 1000)})
