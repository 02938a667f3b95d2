"""An engine without a model whose completions take as many steps as their prompts say: `3 steps, a` takes three."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfplay.engines.flow import TAKEN, FlowJob, Item, Keeper, Shard, flowed
from selfplay.engines.jobs import Row
from selfplay.run.seeding import derive

SLOTS = 4


def steps_of(shard: Shard, place: int) -> tuple[int, Row]:
    """How long a completion takes, and its row, which depends on seed and place alone."""
    prompt = shard.prompts[place]
    drawn = derive(shard.seed, place)
    row = {"text": f"{prompt} {drawn}", "token_ids": [drawn % 97], "complete": True, "prompt_tokens": 2}
    return int(prompt.split()[0]), row


def flow(job: FlowJob) -> Iterator[tuple[Item, Row] | None]:
    """One step of all that is in a slot, and what ended by it, until there is no more."""
    more = flowed(job, SLOTS, steps_of)
    waiting: dict[Item, Any] = {}
    yield None
    while True:
        new = more(len(waiting))
        for item, asked in (new or {}).items():
            if item[1] == TAKEN:
                yield item, {}
            else:
                waiting[item] = asked
        if new is None and not waiting:
            return
        for item in list(waiting)[:SLOTS]:
            left, row = waiting[item]
            waiting[item] = (left - 1, row)
            if left == 1:
                del waiting[item]
                fail_where_told(job, row)
                yield item, row
        yield None


def fail_where_told(job: FlowJob, row: Row) -> None:
    """Dies once, in place of giving a completion whose prompt says so."""
    mark = Path(job.store, "died")
    if "dies" in row["text"] and not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "breaks" in row["text"] and not mark.exists():
        mark.touch()
        raise RuntimeError("the device fell off")


def flow_shards(job: FlowJob) -> Iterator[None]:
    """As the worker's function, but it gives way after each step."""
    keeper = Keeper(job)
    for ended in flow(job):
        if ended is not None:
            keeper.hear(*ended)
        yield


class Interleaved:
    """Workers without processes that all make a step in turn."""

    device = "cpu"
    shared = None

    def __init__(self, count: int) -> None:
        self.count = count

    def ticking(self, function: Any, jobs: Any) -> Iterator[None]:
        """Steps of all replicas, round after round."""
        running = [function(job) for job in jobs]
        while running:
            for replica in list(running):
                try:
                    next(replica)
                except StopIteration:
                    running.remove(replica)
            yield
