"""How much of the engines' slots is idle: shards that are drained one by one, or prompts that flow.

Simulated, without a model: replicas of an engine with so many slots, completions of lognormal length (median 4,096
tokens, sigma 1, at most 32,768), every decoding step as long as any other or half of it in proportion to what is under
way. A replica that drains takes a shard once the one before is done (`as_done`); one that flows takes a shard once it
has a slot free (`engines.flow`). Idle is the share of slot-time without a sequence until the last replica is done.
"""

from __future__ import annotations

import heapq
import random
from typing import Any

MEDIAN, SIGMA, LONGEST = 4096, 1.0, 32768
REPLICAS, SHARD, SLOTS = 8, 256, 256


def lengths(count: int, seed: int) -> list[int]:
    """Tokens of so many completions."""
    rng = random.Random(seed)
    return [min(max(int(MEDIAN * rng.lognormvariate(0.0, SIGMA)), 1), LONGEST) for _ in range(count)]


class Replica:
    """One engine; its clock is in steps of a full batch."""

    def __init__(self, proportional: float, slots: int) -> None:
        self.clock = self.busy = 0.0
        self._steps = 0
        self._under_way: list[int] = []
        self._waiting: list[int] = []
        self._proportional, self._slots = proportional, slots

    def give(self, shard: list[int]) -> None:
        """Takes a shard."""
        self._waiting += shard
        self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._under_way) < self._slots:
            heapq.heappush(self._under_way, self._steps + self._waiting.pop())

    @property
    def open(self) -> int:
        """Completions that are not done."""
        return len(self._under_way) + len(self._waiting)

    def advance(self) -> None:
        """Goes on until the next completion ends."""
        batch = len(self._under_way)
        done = heapq.heappop(self._under_way)
        cost = 1 - self._proportional + self._proportional * batch / self._slots
        self.clock += (done - self._steps) * cost
        self.busy += (done - self._steps) * cost * batch
        self._steps = done
        self._admit()


def simulate(
    shards: list[list[int]], flows: bool, proportional: float, count: int = REPLICAS, slots: int = SLOTS
) -> dict[str, float]:
    """The idle share, and the time until all is done, in steps."""
    left = list(reversed(shards))
    replicas = [Replica(proportional, slots) for _ in range(count)]
    while any(replica.open for replica in replicas) or left:
        # The replica whose clock is behind acts first.
        for replica in sorted(replicas, key=lambda one: one.clock):
            if left and (replica.open < slots if flows else replica.open == 0):
                replica.give(left.pop())
                break
            if replica.open:
                replica.advance()
                break
    whole = max(replica.clock for replica in replicas)
    idle = 1 - sum(replica.busy for replica in replicas) / (whole * count * slots)
    return {"idle": round(idle, 3), "steps": round(whole)}


def run() -> dict[str, Any]:
    """A labelling of 20,000 problems eight times, and a smaller one."""
    found: dict[str, Any] = {"replicas": REPLICAS, "slots": SLOTS, "shard": SHARD}
    for count in (160_000, 16_384):
        drawn = lengths(count, 0)
        shards = [drawn[start : start + SHARD] for start in range(0, count, SHARD)]
        for name, proportional in (("constant", 0.0), ("half proportional", 0.5)):
            drained = simulate(shards, False, proportional)
            flowing = simulate(shards, True, proportional)
            speedup = round(drained["steps"] / flowing["steps"], 2)
            row = {"drained": drained, "flowing": flowing, "speedup": speedup}
            found[f"{count} completions, {name} steps"] = row
    return found
