"""From verdicts to a TRL reward function. A verdict that could not be reached is no reward (None), never a zero.

TRL awaits it on an event loop of its own, beside the other reward functions of a trainer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selfplay.rollouts.judge import Item
from selfplay.rollouts.mode_collapse import ModeCollapse
from selfplay.rollouts.overlapped import OverlappedJudge
from selfplay.rollouts.rollout_log import JudgedRollouts, Reward, RolloutLog
from selfplay.run.seeding import derive
from selfplay.run.tables import typed_row
from verifiers.model import Task

Row = Mapping[str, Any]
"""A row of a data set of `PolicyTask`."""
COLUMNS = ("task_id", "domain", "task")
"""Those that a completion is judged by."""


def text_of(completion: Any) -> str:
    """The text of a completion as TRL gives it: a string, or a list of messages."""
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content", "")) for message in completion)


class VerifiedReward:
    """Judges each completion by its domain's verifier; logs the mean of each domain, and every rollout to a file.

    With `shuffled`, the rewards of a batch are permuted by a seeded generator: a control that must not teach.
    """

    __name__ = "verified"

    def __init__(
        self,
        judge: OverlappedJudge,
        log: RolloutLog,
        rank: int,
        seed: int,
        shuffled: bool,
        favourites: ModeCollapse | None = None,
    ) -> None:
        self._judge = judge
        self._log = log
        self._rank = rank
        self._seed = seed
        self._shuffled = shuffled
        self._favourites = favourites or ModeCollapse({})
        self._unlogged: list[tuple[str, float]] = []
        self.given: list[Reward] = []
        """The rewards of the last call, in order."""
        self.lengths: list[int] = []
        """The lengths of its completions, in tokens."""
        self.handed_over: list[Reward] | None = None
        """The rewards of the next call's completions, where they were judged before; it judges them otherwise."""
        self.seconds = 0.0
        """Time spent waiting for verdicts."""

    async def __call__(
        self,
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **columns: Sequence[Any],
    ) -> list[Reward]:
        """One reward a completion, in order."""
        self.lengths = [len(ids) for ids in completion_ids]
        if self.handed_over is None:
            values = zip(*(columns[name] for name in COLUMNS), strict=True)
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in values]
            self.given = await self.judge(completions, completion_ids, rows, int(trainer_state.global_step))
        else:
            self.given, self.handed_over = self.handed_over, None
        for name, value in self.take_metrics():
            log_metric(name, value)
        return self.given

    def take_metrics(self) -> list[tuple[str, float]]:
        """Values of what was judged since the last time, one by one; each name's are to be averaged."""
        found, self._unlogged = [*self._unlogged, *self._favourites.metrics().items()], []
        return found

    async def judge(
        self, completions: Sequence[Any], token_ids: Sequence[Sequence[int]], rows: Sequence[Row], step: int
    ) -> list[Reward]:
        """Judges and logs rollouts of one step; one reward a completion, in order."""
        started = time.monotonic()
        texts = [text_of(completion) for completion in completions]
        tasks = [typed_row(Task, row["task"]) for row in rows]
        items: list[Item] = [(r["domain"], task, text) for r, task, text in zip(rows, tasks, texts, strict=True)]
        verdicts = await self._judge.judge(items)
        call = self._log.next_call(step)
        rewards: list[Reward] = [verdict.reward for verdict in verdicts]
        if self._shuffled:
            rewards = shuffled_rewards(rewards, derive(self._seed, "shuffle", step, call, self._rank))
        ids, domains = [row["task_id"] for row in rows], [row["domain"] for row in rows]
        judged = JudgedRollouts(ids, domains, texts, token_ids, verdicts, rewards)
        self._log.write(step, call, judged)
        for key, name, text, verdict in zip(ids, domains, texts, verdicts, strict=True):
            self._favourites.add(name, key, text, verdict.passed)
        self._unlogged += judged.values()
        self.seconds += time.monotonic() - started
        return rewards


def shuffled_rewards(rewards: Sequence[Reward], seed: int) -> list[Reward]:
    """The rewards that could be reached, permuted among themselves; those that could not stay where they are."""
    reached = [reward for reward in rewards if reward is not None]
    random.Random(seed).shuffle(reached)
    rest = iter(reached)
    return [None if reward is None else next(rest) for reward in rewards]
