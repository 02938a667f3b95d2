"""Further prompts for a batch that is topped up: the walk through the pool, in a shuffled order, epoch after epoch."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Iterator
from typing import Any

from selfplay.run.seeding import derive


class PromptWalk:
    """Takes prompts in turn; the same seed walks alike."""

    def __init__(self, size: int, seed: int, shuffle: bool = True) -> None:
        """Takes the number of prompts, and the seed of their order, which else is the pool's own."""
        self._size = size
        self._seed = seed
        self._shuffle = shuffle
        self._epoch = 0
        self._place = 0
        self._order = self._order_of(0)
        self._waiting: list[int] = []

    def choose(self, count: int, taken: Collection[int] = ()) -> list[int]:
        """The next `count` prompts, in the order of the walk, without those `taken` while there are others.

        A prompt comes twice only if the pool is too small.
        """
        chosen: list[int] = []
        while len(chosen) < count:
            seen = self._walk(count - len(chosen), {*taken, *chosen})
            if not seen:
                taken, seen = (), self._walk(count - len(chosen), ())
            chosen += seen
        return chosen

    def _walk(self, count: int, without: Collection[int]) -> list[int]:
        """The next prompts, at most `count` and each at most once; those that are left out wait for the next time."""
        if len(set(without)) == self._size:
            return []
        found: dict[int, None] = {}
        waiting, left_out, turns = deque(self._waiting), [], self._turns()
        while len(found) < count:
            prompt = waiting.popleft() if waiting else next(turns, None)
            if prompt is None:
                break
            if prompt in without or prompt in found:
                left_out.append(prompt)
            else:
                found[prompt] = None
        self._waiting = [*left_out, *waiting]
        return list(found)

    def _turns(self) -> Iterator[int]:
        """One turn of each prompt at most, from where the walk stands."""
        for _ in range(self._size):
            if self._place == self._size:
                self._epoch, self._place = self._epoch + 1, 0
                self._order = self._order_of(self._epoch)
            self._place += 1
            yield self._order[self._place - 1]

    def _order_of(self, epoch: int) -> list[int]:
        order = list(range(self._size))
        if self._shuffle:
            random.Random(derive(self._seed, "order", epoch)).shuffle(order)
        return order

    def state(self) -> dict[str, Any]:
        """Where the walk stands, for `restore`; plain JSON."""
        return {"epoch": self._epoch, "place": self._place, "waiting": self._waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self._epoch, self._place = state["epoch"], state["place"]
        self._order = self._order_of(self._epoch)
        self._waiting = list(state["waiting"])
