"""The concept sampler (1.0 paper): the first concept by frequency, each next one by its affinity to those chosen.

No concept comes twice in a combination, no combination comes twice, and none of the reserved ones ever comes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.bank import Combination, ConceptBank, weights_of_next
from selfplay.concepts.coverage import CoverageSteering
from selfplay.concepts.draws import BatchDraws, WeightedIndices
from selfplay.config.errors import RunStopped

FEW = 1024
"""Most concepts of a bank from which combinations are drawn one by one: there, all weights are soon computed."""
SIDE_BY_SIDE = 2048
"""Combinations of one batch."""

Places = NDArray[np.int64]


class NoCombination(RunStopped):
    """There is no combination of concepts to write problems for."""


class ConceptSampler:
    """Draws new combinations of a bank's concepts."""

    def __init__(
        self,
        bank: ConceptBank,
        temperature: float,
        reserved: Iterable[Combination] = (),
        steering: CoverageSteering | None = None,
    ) -> None:
        """Takes the bank, the softmax temperature, combinations that are taken, and what steers the draws, if any."""
        self.bank = bank
        self._temperature = temperature
        self._steering = steering
        self._batches = BatchDraws(bank, temperature) if len(bank) > FEW else None
        index = {name: place for place, name in enumerate(bank.names)}
        self._taken = {
            _key(np.array([index[name] for name in combination]))
            for combination in reserved
            if all(name in index for name in combination)
        }

    def sample(self, rng: random.Random, size: int, attempts: int = 200) -> Combination | None:
        """A new combination of `size` concepts in sorted order, or None when attempts are used up."""
        return next(iter(self.sample_many(rng, size, 1, attempts)), None)

    def sample_many(self, rng: random.Random, size: int, count: int, attempts: int = 200) -> list[Combination]:
        """New combinations of `size` concepts, each in sorted order.

        Args:
            size: concepts of a combination; the whole bank when it has fewer.
            attempts: after so many draws in a row that bring nothing new, fewer are returned.
        """
        size = min(size, len(self.bank))
        found: list[Combination] = []
        vain = 0
        while len(found) < count and vain < attempts:
            for places in self._drawn(rng, size, count - len(found)):
                key = _key(places)
                vain += 1
                if key not in self._taken:
                    vain = 0
                    self._taken.add(key)
                    found.append(tuple(self.bank.names[place] for place in sorted(places.tolist())))
                    if self._steering is not None:
                        self._steering.use(places)
                if len(found) == count or vain == attempts:
                    break
        return found

    def _drawn(self, rng: random.Random, size: int, wanted: int) -> Iterable[Places]:
        """Some draws, repeats among them: about as many as are wanted, or one in a small bank."""
        preference = None if self._steering is None else self._steering.preference()
        if self._batches is None:
            return [self._one(rng, size, preference)]
        self._batches.prefer(preference)
        # Some more than are wanted, since some will be repeats; few at a time where they are steered.
        count = wanted + wanted // 16 + 8 if preference is None else min(wanted, SIDE_BY_SIDE)
        return _many(self._batches, rng, size, count)

    def _one(self, rng: random.Random, size: int, preference: NDArray[np.float64] | None) -> Places:
        first = self.bank.frequency if preference is None else self.bank.frequency * preference
        chosen = [_pick(rng, first)]
        while len(chosen) < size:
            weights = weights_of_next(self.bank, np.array([chosen]), self._temperature, preference)
            chosen.append(_pick(rng, weights[0]))
        return np.array(chosen)


def _many(draws: BatchDraws, rng: random.Random, size: int, count: int) -> Places:
    """`count` draws, some at a time."""
    own = np.random.default_rng(rng.getrandbits(64))
    parts = [min(SIDE_BY_SIDE, count - start) for start in range(0, count, SIDE_BY_SIDE)]
    return np.concatenate([draws.combinations(own, part, size) for part in parts])


def _pick(rng: random.Random, weights: NDArray[np.float64]) -> int:
    return int(WeightedIndices(weights / weights.sum()).pick(np.array([rng.random()]))[0])


def _key(places: Places) -> bytes:
    return np.sort(places).astype(np.int32).tobytes()


def plan(
    sampler: ConceptSampler, shapes: Sequence[tuple[int, str]], count: int, rng: random.Random
) -> list[tuple[Combination, str]]:
    """`count` (combination, level) pairs: new combinations while there are any, then further passes over them.

    Args:
        sampler: draws the combinations.
        shapes: (number of concepts, level) as they occur in the seeds; drawn uniformly.

    Raises:
        NoCombination: all combinations are taken.
    """
    planned: list[tuple[Combination, str]] = []
    left = list(shapes)
    while len(planned) < count and left:
        # In a small bank every draw may be the last new one of its size, so that shapes are drawn one by one.
        drawn = [rng.choice(left) for _ in range(1 if len(sampler.bank) <= FEW else count - len(planned))]
        for size, wanted in sorted(Counter(size for size, _ in drawn).items()):
            combinations = sampler.sample_many(rng, size, wanted)
            levels = [level for other, level in drawn if other == size]
            planned += zip(combinations, levels, strict=False)
            if len(combinations) < wanted:
                left = [shape for shape in left if shape[0] != size]
    if not planned:
        raise NoCombination("every combination of the seeds' concepts is reserved for held-out problems: add seeds")
    return [planned[place % len(planned)] for place in range(count)]


def shapes_of(seeds: Collection[tuple[Combination, str]]) -> list[tuple[int, str]]:
    """(number of concepts, level) of each seed."""
    return [(len(concepts), level) for concepts, level in seeds]
