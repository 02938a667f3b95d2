"""The concept sampler: the first concept by frequency, each next one by affinity to those chosen (1.0 paper).

Affinity is the number of seeds in which a concept occurs together with the chosen ones, plus the cosine between its
co-occurrence vector and their mean. Softmax is taken after subtracting the greatest affinity, so that large counts
cannot overflow it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Combination = tuple[str, ...]


class NoCombination(ValueError):
    """There is no combination of concepts to write problems for."""


class ConceptSampler:
    """Draws combinations of concepts that occur in the seeds; none twice, and none of the reserved."""

    def __init__(
        self, combinations: Sequence[Combination], temperature: float, reserved: Iterable[Combination] = ()
    ) -> None:
        counts = Counter(concept for combination in combinations for concept in combination)
        self.names = sorted(counts)
        index = {name: place for place, name in enumerate(self.names)}
        self._frequency = np.array([counts[name] for name in self.names], dtype=np.float64)
        self._together = np.zeros((len(index), len(index)))
        for combination in combinations:
            places = [index[name] for name in dict.fromkeys(combination)]
            for place in places:
                self._together[place, [other for other in places if other != place]] += 1
        norms = np.linalg.norm(self._together, axis=1, keepdims=True)
        self._vectors = np.divide(self._together, norms, out=np.zeros_like(self._together), where=norms > 0)
        self._temperature = temperature
        self._taken = {tuple(sorted(combination)) for combination in reserved}

    def affinity(self, chosen: Sequence[int]) -> NDArray[np.float64]:
        """Affinity of every concept to those chosen, shape [concepts]."""
        mean = self._vectors[list(chosen)].mean(axis=0)
        length = float(np.linalg.norm(mean))
        cosine = self._vectors @ mean / length if length > 0 else np.zeros(len(self.names))
        total: NDArray[np.float64] = self._together[list(chosen)].sum(axis=0) + cosine
        return total

    def sample(self, rng: random.Random, size: int, attempts: int = 200) -> Combination | None:
        """A new combination of `size` concepts in sorted order, or None when attempts are used up."""
        for _ in range(attempts):
            names = tuple(sorted(self.names[place] for place in self._draw(rng, min(size, len(self.names)))))
            if names not in self._taken:
                self._taken.add(names)
                return names
        return None

    def _draw(self, rng: random.Random, size: int) -> list[int]:
        chosen = [_pick(rng, self._frequency / self._frequency.sum())]
        while len(chosen) < size:
            scaled = self.affinity(chosen) / self._temperature
            scaled[chosen] = -np.inf
            weights = np.exp(scaled - scaled.max())
            chosen.append(_pick(rng, weights / weights.sum()))
        return chosen


def _pick(rng: random.Random, probabilities: NDArray[np.float64]) -> int:
    place = int(np.searchsorted(np.cumsum(probabilities), rng.random(), side="right"))
    return min(place, int(np.flatnonzero(probabilities)[-1]))


def plan(
    sampler: ConceptSampler, shapes: Sequence[tuple[int, str]], count: int, rng: random.Random
) -> list[tuple[Combination, str]]:
    """`count` (combination, level) pairs: new combinations while there are any, then further passes over them.

    Args:
        sampler: draws the combinations.
        shapes: (number of concepts, level) as they occur in the seeds; drawn uniformly.
        count: how many pairs.
        rng: the source of chance.
    """
    planned: list[tuple[Combination, str]] = []
    left = list(shapes)
    while len(planned) < count and left:
        size, level = rng.choice(left)
        combination = sampler.sample(rng, size)
        if combination is None:
            left = [shape for shape in left if shape[0] != size]
        else:
            planned.append((combination, level))
    if not planned:
        raise NoCombination("every combination of the seeds' concepts is reserved for held-out problems: add seeds")
    return [planned[place % len(planned)] for place in range(count)]


def shapes_of(seeds: Collection[tuple[Combination, str]]) -> list[tuple[int, str]]:
    """(number of concepts, level) of each seed."""
    return [(len(concepts), level) for concepts, level in seeds]
