"""Workers on the nodes of a cluster: each an actor in a bundle of one placement group, with a worker's process below.

A node that is lost costs what its workers had under way: shards and other jobs are given to others; a training begins
again from its checkpoint, once there is room for all its ranks, or with those that there is room for. What fails on a
node that lives fails as it does on one machine, in the same words.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from selfplay.compute.cluster.hand import Beginning
from selfplay.compute.cluster.nodes import demand_alike, lay_out
from selfplay.compute.cluster.room import Demand
from selfplay.compute.cluster.seats import HandLost, RemoteChild, Seat, fetched
from selfplay.compute.cluster.session import NOTICED_S, RaySession
from selfplay.compute.objects import WorkerChild
from selfplay.compute.rendezvous import Meeting, open_port
from selfplay.compute.system_errors import lost_worker_sentence
from selfplay.compute.worker_main import JobFault, run_rank
from selfplay.compute.workers import RANK_TIMEOUT_S, Calls, Done, Job, OnTick, WorkerError, Workers
from selfplay.config.compute import RaySettings
from selfplay.config.values.secrets import names_a_secret
from selfplay.run.files import remove_folder

MOST_LOSSES = 5
"""Nodes that one piece of work may lose; one that takes its nodes along would else take them all."""
SETTLED_S = 20.0
"""How long a training waits for its lost ranks where it may go on with the rest: Ray places them again meanwhile."""
_TICK_S = 0.5
_ANSWER_S = 60.0
_KILLED = -9
PASSED_ON = ("HF_", "TRANSFORMERS_", "TORCH_", "VLLM_", "NCCL_", "CUBLAS_", "OMP_", "MALLOC_", "SELFPLAY_", "DO_NOT_")
"""Beginnings of the names of variables that workers on other nodes get from the driver, unless they name secrets."""


class RayWorkers(Workers):
    """The same as `Workers`, on the nodes of a cluster."""

    def __init__(
        self,
        session: RaySession,
        demand: Demand,
        threads: int,
        run: Path,
        settings: RaySettings,
        name: str = "workers",
        sized: Callable[[], Demand] | None = None,
    ) -> None:
        """Takes the cluster, the workers that there is room for, and the folder of the run, which all nodes share.

        Args:
            session: is open, and is closed by whoever opened it.
            demand: the number of workers, and what each takes.
            run: the run directory, or another folder that the nodes share.
            name: of their logs, and of the folder for files that pass between them.
            sized: the demand as the nodes that live now make it, for workers that begin with any one of them; None
                keeps to the one that was given, and begins with all.
        """
        super().__init__(demand.count, threads, demand.device, run / f"{name}.log", demand.gpus or 1)
        self.shared: Path = run / "store" / "passing" / name
        self._run = run
        self._session = session
        self._demand = demand
        self._settings = settings
        self._sized = sized
        self._all_first = sized is None
        self._token = secrets.token_hex(8)
        self._seats: list[Seat] = []
        self._bundles: Any = None
        self._refused: Counter[int] = Counter()
        """How often an actor ended in a place before it had said where it is."""
        self._ranks: list[RemoteChild] | None = None
        """Those of the training under way; None while there is none."""

    def together(
        self,
        function: Callable[[Job], Done],
        job: Job,
        on_tick: OnTick | None = None,
        timeout_s: float = RANK_TIMEOUT_S,
        before_again: Callable[[], None] | None = None,
    ) -> Done:
        """Runs one function on all workers at once as a group, which begins again where it lost a node.

        Raises:
            WorkerError: a rank failed, or there was no room for long; the workers are stopped.
        """
        for _ in range(MOST_LOSSES + 1):
            self._begun()
            self.wait_until_ready()
            try:
                self._ranks = self._all_ranks()
                world, first = len(self._ranks), self._seat_of(self._ranks[0])
                assert first.facts is not None
                host = first.facts.address
                meeting = Meeting("", timeout_s, host, self._asked(first, open_port, host)) if world > 1 else None
                calls = [(run_rank, [function, job, rank, world, meeting]) for rank in range(world)]
                found: Done = dict(self._spread(calls, on_tick))[0]
                return found
            except HandLost:
                self.note("a node was lost in the middle of a training, which goes on from its checkpoint")
                if before_again is not None:
                    before_again()
            finally:
                self._ranks = None
        raise WorkerError(f"a training has lost a node {MOST_LOSSES + 1} times; see the logs of Ray on its nodes")

    def wait_until_ready(self) -> None:
        """Waits until every worker has its libraries loaded.

        Raises:
            UserError: what the first call raised; WorkerError where it was no error for a person.
        """
        try:
            super().wait_until_ready()
        except HandLost as lost:
            self.stop()
            raise WorkerError(f"a node was lost while its worker began ({lost}); run the same command again") from lost

    def stop(self) -> None:
        """Ends the workers' processes; their places on the nodes are kept until the session is closed."""
        ends = [end for seat in self._seats if (end := seat.end()) is not None]
        deadline = time.monotonic() + _ANSWER_S
        while ends and time.monotonic() < deadline:
            done = self._session.ready(ends, _TICK_S)
            ends = [end for end in ends if end not in done]
        self._starting = []

    def prepare(self) -> None:
        """Asks for places on the nodes, if that was not done before, and waits for none."""
        if self._seats:
            return
        lay_out(self._run, self._token)
        # A run that was killed may have left some.
        remove_folder(self.shared)
        self.shared.mkdir(parents=True)
        self._ask_for_places()

    def _ask_for_places(self) -> None:
        if self._sized is not None:
            self._demand = self._sized()
            self.count = self._demand.count
        self._bundles = self._session.placed(self._demand)
        self._seats = [Seat(place) for place in range(self.count)]
        for seat in self._seats:
            self._take(seat)

    def _ask_anew(self) -> None:
        """Asks for other places where none has come and the nodes are others by now: Ray places all or none."""
        if self._sized is None or any(seat.facts for seat in self._seats) or self._sized() == self._demand:
            return
        for seat in self._seats:
            self._session.drop(seat.hand)
        self._session.give_up(self._bundles)
        self._ask_for_places()

    def _begun(self) -> Sequence[WorkerChild]:
        """Those that there are: at least one, at first all, where none may lack; for a training, its ranks alone."""
        if self._ranks is not None:
            return self._ranks
        self.prepare()
        self._wait_for(self.count if self._all_first else 1)
        self._all_first = False
        return [seat.child for seat in self._seats if seat.child is not None]

    def _all_ranks(self) -> list[RemoteChild]:
        """The ranks of a training: one for each worker, or, by `rest`, for each that has a place after a while."""
        if self._settings.on_loss == "rest":
            deadline = time.monotonic() + SETTLED_S
            while len(self._seated()) < self.count and time.monotonic() < deadline:
                self._settle(_TICK_S)
            self._wait_for(1)
            if (world := len(self._seated())) < self.count:
                self.note(f"a training goes on with {world} of {self.count} ranks")
        else:
            self._wait_for(self.count)
        return [seat.child for seat in self._seated() if seat.child is not None]

    def _seated(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.child is not None]

    def _seat_of(self, child: WorkerChild) -> Seat:
        return next(seat for seat in self._seats if seat.child is child)

    def _take(self, seat: Seat) -> None:
        """Puts a new actor into a bundle, which begins when Ray has placed it."""
        if seat.hand is not None:
            self._session.drop(seat.hand)
        seat.take(self._session.hand(self._bundles, seat.place, self._demand), self._beginning(seat))

    def _wait_for(self, wanted: int) -> None:
        """Waits until so many workers have begun.

        Raises:
            WorkerError: there was no room for them for too long.
        """
        self._settle(0.0)
        deadline, told = time.monotonic() + self._settings.patience_s, False
        while (there := len(self._seated())) < wanted:
            if time.monotonic() > deadline:
                raise WorkerError(
                    f"compute.ray.patience_s: for {self._settings.patience_s:g} s the cluster had room for {there} of "
                    f"{wanted} workers; add a node, or lower compute.workers, and run the same command again"
                )
            if not told and time.monotonic() > deadline - self._settings.patience_s + SETTLED_S:
                self.note(f"waiting for room on the cluster: {there} of {wanted} workers have a place")
                told = True
            self._settle(_TICK_S)
            self._ask_anew()

    def _settle(self, seconds: float) -> list[RemoteChild]:
        """Starts processes in those places that have a node by now; waits so long for one. The new ones."""
        empty = [seat for seat in self._seats if seat.child is None]
        if seconds and all(seat.facts is None for seat in empty):
            self._session.ready([seat.looking for seat in empty if seat.facts is None], seconds)
        new = []
        for seat in empty:
            try:
                was_known = seat.facts is not None
                facts = seat.looked()
                if facts is None:
                    continue
                if not was_known:
                    demand_alike(self._run, self._token, facts)
                new.append(seat.begin(self._beginning(seat)))
            except HandLost as lost:
                self._mourn(seat, lost)
        return new

    def _heard(
        self, busy: dict[WorkerChild, tuple[int, Any]], idle: deque[WorkerChild], left: Calls
    ) -> list[tuple[int, Any]]:
        """The answers that are there within a while; what a lost node had under way goes to others."""
        if self._ranks is None:
            idle.extend(self._settle(0.0 if busy else _TICK_S))
            if not busy and not idle:
                self._wait_for(1)
                idle.extend(self._begun())
        answers = []
        for child in self._ready(busy):
            seat = self._seat_of(child)
            try:
                found = self._answer(child, time.monotonic() + _ANSWER_S)
            except TimeoutError:
                continue
            except HandLost as lost:
                taken = busy.pop(child)
                self._mourn(seat, lost)
                if self._ranks is not None:
                    raise
                self._give_back(left, taken)
                continue
            except WorkerError:
                self._blame_the_lost()
                raise
            if isinstance(found, JobFault):
                self._blame_the_lost()
                raise WorkerError(found.sentence)
            answers.append((busy.pop(child)[0], found))
            idle.append(child)
        return answers

    def _give_back(self, left: Calls, taken: tuple[int, Any]) -> None:
        self.note("a node was lost; others take over what it had under way")
        if left.give_back(taken) > MOST_LOSSES:
            raise WorkerError(
                f"a piece of work has lost {MOST_LOSSES + 1} nodes, one after the other; see the logs of Ray on them"
            )

    def _blame_the_lost(self) -> None:
        """A rank fails where another one is gone, which is then the reason.

        Raises:
            HandLost: one of them is.
        """
        if self._ranks is None:
            return
        seats = [self._seat_of(child) for child in self._ranks]
        pings = {seat.place: seat.ping() for seat in seats}
        deadline, lost = time.monotonic() + NOTICED_S, False
        for seat in seats:
            try:
                fetched(pings[seat.place], deadline)
            except (HandLost, TimeoutError) as error:
                self._mourn(seat, HandLost(str(error)))
                lost = True
        if lost:
            raise HandLost("a rank is gone")

    def _mourn(self, seat: Seat, lost: HandLost) -> None:
        """Has a place taken anew whose node is lost.

        Raises:
            WorkerError: the node lives, so that something has ended the worker on it.
        """
        if seat.facts is not None and not self._session.is_lost(seat.facts.node):
            raise WorkerError(lost_worker_sentence(_KILLED)) from lost
        if seat.facts is None and (refusals := self._refusals(seat)) > MOST_LOSSES:
            raise WorkerError(f"a worker was refused {refusals} times by the nodes of the cluster: {lost}") from lost
        self._take(seat)

    def _refusals(self, seat: Seat) -> int:
        self._refused[seat.place] += 1
        return self._refused[seat.place]

    def _ready(self, busy: Collection[WorkerChild]) -> Sequence[WorkerChild]:
        """Those whose answers are here, or will never come, once one is or a while is over."""
        waiting = {child.awaited: child for child in busy if isinstance(child, RemoteChild)}
        return [waiting[one] for one in self._session.ready(list(waiting), _TICK_S)]

    def _asked(self, seat: Seat, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of one worker that has nothing else to do. Raises HandLost, and WorkerError where it failed."""
        assert seat.child is not None
        try:
            seat.child.send((function, list(arguments)))
            found = self._answer(seat.child, None)
        except HandLost as lost:
            self._mourn(seat, lost)
            raise
        if isinstance(found, JobFault):
            raise WorkerError(found.sentence)
        return found

    def _beginning(self, seat: Seat) -> Beginning:
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(PASSED_ON) and not names_a_secret(name)
        }
        log = self._log.with_name(f"{self._log.stem}-{seat.place}{self._log.suffix}")
        paths = [path for path in sys.path if path]
        # Nodes have working directories of their own.
        run = str(self._run.absolute())
        return Beginning(environment, paths, self._threads, self.device, str(log.absolute()), run, self._token)
