"""Rollouts for TRL's AsyncGRPOTrainer, by its protocol for workers other than its own.

TRL's own worker is a process that knows chat templates alone, bears no key, keeps no log and asks a server that was
lost for thirty attempts. This one lives in the trainer's process, whose time it hardly takes: a server writes, and
verifiers judge. A thread begins groups as long as they will be learnt from while they are young enough; each is drawn
by itself; another thread has those judged together that have come meanwhile.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from selfplay.config.errors import RunStopped
from selfplay.rollouts.rollout_log import Reward
from selfplay.trl_trainers.asynchronous import library
from selfplay.trl_trainers.asynchronous.buffer import Flow, FreshBuffer
from selfplay.trl_trainers.asynchronous.weights import SentWeights
from selfplay.trl_trainers.vllm_server.drawing import Drawing
from selfplay.trl_trainers.vllm_server.process import ServerGone

TICK_S = 0.02
SMALL = 1e-8
"""Added to a deviation, as in TRL."""
BARREN_STEPS = 16
"""Steps' worth of groups in a row without a verdict, after which the training ends; no step would be logged."""
T = TypeVar("T")
Metrics = Mapping[str, float | tuple[float, float]]
"""Values by name; of a rate its numerator and denominator."""


class NoVerdicts(RunStopped):
    """Completions are written, and none of them can be judged."""


@dataclass(slots=True)
class GroupDrawn:
    """The completions of one prompt, that are there or under way."""

    number: int
    """In the order in which groups were begun."""
    place: int
    """Of its prompt in the pool."""
    version: int
    """The number of the oldest weights that wrote any of it."""
    prompt: list[int]
    drawing: Drawing
    rewards: list[Reward] = field(default_factory=list)

    def token_ids(self) -> list[list[int]]:
        """Of each completion."""
        return [list(self.drawing.done[place]["token_ids"]) for place in range(len(self.drawing.asked))]

    def samples(self) -> list[Any]:
        """Those that the trainer learns from: completions that have a reward; one without teaches nothing."""
        known = np.array([np.nan if reward is None else reward for reward in self.rewards], dtype=float)
        scored = ~np.isnan(known)
        if not scored.any():
            return []
        mean, deviation = float(known[scored].mean()), float(known[scored].std())
        advantages = (known - mean) / (deviation + SMALL)
        return [
            self._sample(ids, place, float(advantages[place]), {"reward": float(known[place]), "reward_std": deviation})
            for place, ids in enumerate(self.token_ids())
            if scored[place] and ids
        ]

    def _sample(self, ids: list[int], place: int, advantage: float, metrics: dict[str, float]) -> Any:
        before = [0] * len(self.prompt)
        told = self.drawing.done[place]["logprobs"]["token_logprobs"]
        return library.sample(
            prompt=[],
            completion=[],
            input_ids=np.array([*self.prompt, *ids], dtype=np.int64),
            completion_mask=np.array([*before, *[1] * len(ids)], dtype=np.int64),
            old_log_probs=np.array([*before, *told], dtype=np.float32),
            advantage=advantage,
            model_version=self.version,
            group_id=self.number,
            metrics=metrics,
            enqueued_at=time.time(),
        )


class GroupSource(Protocol):
    """Where groups come from, and what they are worth."""

    def begin(self, number: int, version: int) -> GroupDrawn:
        """The next group, of which nothing is drawn yet."""
        ...

    def draw(self, group: GroupDrawn) -> None:
        """Draws what is missing. Raises ServerGone."""
        ...

    def judge(self, groups: Sequence[GroupDrawn]) -> Metrics:
        """Gives groups their rewards."""
        ...

    def end(self) -> None:
        """Has everything that is being drawn end."""
        ...

    def follow(self, step: Callable[[], int]) -> None:
        """Takes what says at which step the training is."""
        ...

    def figures(self) -> dict[str, float]:
        """Shares of what was rolled out since the last time."""
        ...


class GroupWorker:
    """Draws and judges groups until it is stopped."""

    def __init__(self, source: GroupSource, flow: Flow, revive: Callable[[str], None]) -> None:
        """
        Args:
            source: of the groups.
            flow: how many there may be.
            revive: starts a server that was lost again, for a reason; on the trainer's own thread.
        """
        self._source, self._flow, self._revive = source, flow, revive
        self.rollout_buffer = FreshBuffer(flow)
        self.metrics_queue: queue.Queue[Metrics] = queue.Queue()
        self._drawn: queue.Queue[GroupDrawn] = queue.Queue()
        self._version = 0
        self._most: int | None = None
        """Completions that the training takes in all."""
        self._begun = 0
        self._unfinished: dict[int, GroupDrawn] = {}
        """Groups that the buffer does not have yet, by number."""
        self._places: dict[int, int] = {}
        """The places of groups that were begun, by number, as long as they may have to be begun again."""
        self._drawing = 0
        """Groups that are being drawn."""
        self._lost: list[GroupDrawn] = []
        """Those that a server which was lost has left behind."""
        self._reason = ""
        self._barren = 0
        """Groups in a row from which nothing is learnt."""
        self._is_halted = False
        self._fault: BaseException | None = None
        self._lock = threading.Condition()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(flow.most_under_way // flow.group + 1, thread_name_prefix="group")
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("groups", self._begin_groups), ("verdicts", self._judge_groups))
        ]

    def ends_after(self, steps: int) -> None:
        """Says how many steps the training has yet to make, so that nothing is begun that none of them learns from."""
        self._most = steps * self._flow.samples_a_step + self._flow.read_ahead

    def start(self) -> None:
        """Begins, once the server has the trainer's weights."""
        self.rollout_buffer.first_version = self._version
        for thread in self._threads:
            thread.start()

    def update_model_version(self, model_version: int) -> None:
        """Hears that the server has newer weights."""
        self._version = model_version

    def check_health(self, stale_after_s: float) -> None:
        """Raises what a thread has met; where the server was lost, has it started again, and goes on.

        Args:
            stale_after_s: is TRL's; when a server hangs its own limits say, and when a verdict is late the judge's.
        """
        if self._fault is not None:
            raise self._fault
        with self._lock:
            is_lost, reason = bool(self._lost), self._reason
        if is_lost:
            self._revive(reason)

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Within this the server has ended, and nothing is being drawn; what was lost is drawn on afterwards."""
        with self._lock:
            self._is_halted = True
        self._source.end()
        with self._lock:
            # Each of them ends the server that it knows, which must not be the next one.
            self._lock.wait_for(lambda: not self._drawing)
        yield
        with self._lock:
            self._is_halted = False
            lost, self._lost = self._lost, []
            self._drawing += len(lost)
        for group in lost:
            self._pool.submit(self._draw, group)

    def stop(self) -> None:
        """Ends; what is under way is given up."""
        self._stopped.set()
        self._source.end()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def under_way(self, steps: int, state: Callable[[], T]) -> tuple[list[int], T]:
        """The places of groups that were begun, and from which so many steps have not learnt, in order; and a state of
        the source from which no group is begun meanwhile."""
        learnt = self.rollout_buffer.learnt_from(steps)
        with self._lock:
            for number in learnt & self._places.keys():
                del self._places[number]
            return [self._places[number] for number in sorted(self._places)], state()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again on the trainer's thread
            self._fault = error

    def _begin_groups(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                group = self._begun_group() if self._has_room() else None
            if group is None:
                self._stopped.wait(TICK_S)
            else:
                self._pool.submit(self._draw, group)

    def _begun_group(self) -> GroupDrawn:
        number, self._begun = self._begun, self._begun + 1
        group = self._source.begin(number, self._version)
        self._unfinished[number] = group
        self._places[number] = group.place
        self._drawing += 1
        return group

    def _has_room(self) -> bool:
        flow, buffer = self._flow, self.rollout_buffer
        if self._is_halted or self._lost:
            return False
        if self._drawing and (self._drawing + 1) * flow.group > flow.most_under_way:
            return False
        coming = buffer.qsize() + len(self._unfinished) * flow.group
        first = len(buffer.taken) + coming
        if self._most is not None and first >= self._most:
            return False
        # A trainer that waits, and for which nothing comes, would wait for ever where all of a group has to be in time.
        counted = flow.group - 1 if coming else 0
        return buffer.used_at(first + counted) - self._version <= flow.most_stale

    def _draw(self, group: GroupDrawn) -> None:
        lost = ""
        try:
            self._source.draw(group)
            self._drawn.put(group)
        except ServerGone as fault:
            lost = str(fault)
        except BaseException as error:  # noqa: BLE001 - raised again on the trainer's thread
            self._fault = error
        with self._lock:
            if lost:
                self._lost.append(group)
                self._reason = lost
            self._drawing -= 1
            self._lock.notify_all()

    def _judge_groups(self) -> None:
        while not self._stopped.is_set():
            try:
                groups = [self._drawn.get(timeout=0.1)]
            except queue.Empty:
                continue
            while not self._drawn.empty():
                groups.append(self._drawn.get_nowait())
            self.metrics_queue.put(self._source.judge(groups))
            self._hand_over(groups)

    def _hand_over(self, groups: Iterable[GroupDrawn]) -> None:
        for group in groups:
            samples = group.samples()
            with self._lock:
                del self._unfinished[group.number]
                if not samples:
                    # Nothing is to be learnt from it, so that it need not be begun again.
                    del self._places[group.number]
                for sample in samples:
                    self.rollout_buffer.put(sample)
            self._barren = 0 if samples else self._barren + 1
            if self._barren * self._flow.group >= self._flow.samples_a_step * BARREN_STEPS:
                raise NoVerdicts(
                    f"training.grpo: {self._barren} groups in a row have no completion with a verdict, so that "
                    "nothing is learnt; see why with `selfplay rollouts --failed`, mend the verifier, and run it again"
                )


@dataclass(frozen=True, slots=True)
class Rollouts:
    """All that a training rolls out by; its first rank has it."""

    worker: GroupWorker
    sent: SentWeights
    groups: GroupSource
