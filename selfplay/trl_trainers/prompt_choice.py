"""The choice of prompts that a batch rolls out (experimental): the next ones whose groups likely have variance.

A group whose rollouts all pass or all fail has no advantage, so its tokens teach nothing. The prompts are walked
through in a shuffled order, epoch after epoch, as plain training does. For each group to be rolled out, `candidates`
prompts are looked at, and of all that are looked at together those are taken whose groups are likeliest to have
variance. With one candidate a group, every prompt has its turn. Each domain keeps its part.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from selfplay.run.seeding import derive
from selfplay.trl_trainers.pass_rates import PassRates, chance_of_variance


class PromptChoice:
    """Chooses prompts by their posteriors; the same seed and the same observations give the same choices."""

    def __init__(
        self,
        domains: Sequence[str],
        group: int,
        candidates: int,
        half_life: float,
        seed: int,
        shuffle: bool = True,
    ) -> None:
        """
        Args:
            domains: the domain of each prompt of the pool.
            group: rollouts a prompt.
            candidates: prompts looked at for each one chosen.
            half_life: of what was seen of a prompt, in generation batches.
            seed: of the order.
            shuffle: else the order is the pool's own.
        """
        self.rates = PassRates(domains, half_life)
        self._domains = list(domains)
        self._size = len(domains)
        self._group = group
        self._candidates = candidates
        self._seed = seed
        self._shuffle = shuffle
        self._epoch = 0
        self._place = 0
        self._order = self._order_of(0)
        self._waiting: list[int] = []
        self.batch = 0
        """Generation batches that were observed."""

    def choose(self, count: int, taken: Collection[int] = ()) -> list[int]:
        """The next `count` prompts, in the order of the walk, without those `taken` while there are others.

        A prompt comes twice only if the pool is too small.
        """
        chosen: list[int] = []
        while len(chosen) < count:
            seen = self._walk((count - len(chosen)) * self._candidates, {*taken, *chosen})
            if not seen:
                taken, seen = (), self._walk((count - len(chosen)) * self._candidates, ())
            chosen += self._best(seen, count - len(chosen))
        return chosen

    def observe(self, groups: Sequence[tuple[int, Sequence[float]]]) -> None:
        """Takes in the groups of one generation batch: (prompt, the rewards that could be reached)."""
        for prompt, rewards in groups:
            self.rates.observe(prompt, rewards, self.batch)
        self.batch += 1

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

    def _best(self, prompts: Sequence[int], count: int) -> list[int]:
        """The likeliest to have variance, as many of each domain as have their turn next."""
        turns = Counter(self._domains[prompt] for prompt in prompts[:count])
        chances = [self._chance(prompt) for prompt in prompts]
        best: list[int] = []
        for place in sorted(range(len(prompts)), key=lambda place: -chances[place]):
            domain = self._domains[prompts[place]]
            if turns[domain]:
                turns[domain] -= 1
                best.append(place)
        return [prompts[place] for place in sorted(best)]

    def _chance(self, prompt: int) -> float:
        return chance_of_variance(*self.rates.posterior(prompt, self.batch), self._group)

    def _order_of(self, epoch: int) -> list[int]:
        order = list(range(self._size))
        if self._shuffle:
            random.Random(derive(self._seed, "order", epoch)).shuffle(order)
        return order

    def state(self) -> dict[str, Any]:
        """Where the walk stands and what was observed, for `restore`; plain JSON."""
        walk = {"epoch": self._epoch, "place": self._place, "waiting": self._waiting}
        return walk | {"batch": self.batch, "rates": self.rates.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self._epoch, self._place, self.batch = state["epoch"], state["place"], state["batch"]
        self._order = self._order_of(self._epoch)
        self._waiting = list(state["waiting"])
        self.rates.restore(state["rates"])
