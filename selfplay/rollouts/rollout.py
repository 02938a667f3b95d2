"""The one place that makes rollouts: a policy completes tasks k times, and a judge gives each completion its verdict.

Everything streams: completions come as the engine has them, a thread judges some while the next are sampled, and the
caller writes rollouts to their table as they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from selfplay.config.section import SamplingSettings
from selfplay.engines.base import Policy
from selfplay.rollouts.completions import Completion, PosedTask, complete
from selfplay.rollouts.judge import CUT, Judge
from selfplay.run.records import Rollout
from verifiers.model import Verdict

AHEAD = 2
"""Batches that may wait for their verdicts while the next is sampled."""

Hear = Callable[[Sequence[Completion], Sequence[Verdict]], None]
"""Is told of completions and their verdicts, in order."""


def stream_rollouts(
    policy: Policy, tasks: Sequence[PosedTask], sampling: SamplingSettings, k: int, seed: int, judge: Judge, **how: Any
) -> Iterator[list[Rollout]]:
    """k rollouts a task, those of a task one after the other; some at a time, as soon as they are judged.

    Args:
        policy: an opened engine.
        k: rollouts a task.
        judge: gives the verdicts, which it keeps.
        how: what `complete` takes besides.

    Raises:
        BudgetSpent, EndpointError: see `complete`.
    """
    return judged(judge, complete(policy, tasks, sampling, k, seed, **how))


def judged(judge: Judge, batches: Iterable[Sequence[Completion]], hear: Hear | None = None) -> Iterator[list[Rollout]]:
    """The rollouts of each batch of completions, in order; `hear` is told of each before they are given."""
    for batch, verdicts in with_verdicts(judge, batches):
        if hear is not None:
            hear(batch, verdicts)
        yield [one.judged(verdict) for one, verdict in zip(batch, verdicts, strict=True)]


def with_verdicts(
    judge: Judge, batches: Iterable[Sequence[Completion]]
) -> Iterator[tuple[Sequence[Completion], list[Verdict]]]:
    """Each batch of completions with its verdicts, in order; some are judged while the next batch is drawn.

    A completion that was cut at the token limit has failed, whatever stands in it; one that an endpoint refused could
    not be checked.
    """
    waiting: deque[tuple[Sequence[Completion], Future[list[Verdict]]]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="judging")
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(verdicts_of, judge, batch)))
            while waiting and (len(waiting) > AHEAD or waiting[0][1].done()):
                done, verdicts = waiting.popleft()
                yield done, verdicts.result()
        while waiting:
            done, verdicts = waiting.popleft()
            yield done, verdicts.result()
    finally:
        pool.shutdown(cancel_futures=True)


def verdicts_of(judge: Judge, batch: Sequence[Completion]) -> list[Verdict]:
    """One verdict a completion, in order, as `judged` has them."""
    whole = [one for one in batch if one.sample.complete]
    found = iter(judge.judge([(one.task.domain, one.task.task, one.text) for one in whole]))
    refused = {one.refusal: Verdict(None, None, "refused", one.refusal) for one in batch if one.refusal}
    return [next(found) if one.sample.complete else refused.get(one.refusal, CUT) for one in batch]


def agreement(agrees: bool | None, reason: str = "") -> Verdict:
    """The verdict on a completion that votes on a label rather than being judged by one; None where there is none."""
    if agrees is None:
        return Verdict(None, None, "no_label", reason)
    return Verdict(agrees, float(agrees), "agrees" if agrees else "disagrees", reason)
