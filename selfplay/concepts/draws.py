"""Draws many combinations side by side from the exact distribution, by rejection from an envelope of its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.bank import ConceptBank, weights_of_next
from selfplay.concepts.counts import CountTable
from selfplay.concepts.envelope import Envelope, envelope_of, lists_of
from selfplay.concepts.vectors import Indices

Floats = NDArray[np.float64]

LISTED_AT_ONCE = 1 << 20
"""Most listed concepts of a batch: bounds its memory."""
DENSE_AT_ONCE = 1 << 22
"""Most weights that the fallback computes at once."""


class BatchDraws:
    """Combinations of a bank, drawn independently of each other."""

    def __init__(self, bank: ConceptBank, temperature: float, preference: Floats | None = None) -> None:
        """Takes a bank, the softmax temperature, and a factor of each concept's weights (see `prefer`)."""
        self._bank = bank
        self._temperature = temperature
        self._table = CountTable(bank.together)
        self.prefer(preference)

    def prefer(self, preference: Floats | None) -> None:
        """Sets a factor of each concept's weights, shape [concepts]; None for 1 each."""
        self._preference = np.ones(len(self._bank)) if preference is None else preference
        self._first = WeightedIndices(self._bank.frequency * self._preference)
        self._preferred = WeightedIndices(self._preference)

    def combinations(self, rng: np.random.Generator, count: int, size: int) -> Indices:
        """Shape [count, size]; the concepts of each in the order in which they were drawn."""
        chosen = self._first.pick(rng.random(count))[:, None]
        for _ in range(1, size):
            chosen = np.concatenate([chosen, self.next(chosen, rng)[:, None]], axis=1)
        return chosen

    def next(self, chosen: Indices, rng: np.random.Generator) -> Indices:
        """One more concept for each sample, shape [samples]; `chosen` has shape [samples, m]."""
        thresholds, lengths, totals = lists_of(self._table, chosen, self._temperature, len(self._bank))
        found = np.empty(len(chosen), dtype=np.int64)
        for part in _parts(totals):
            found[part] = self._next_of(chosen[part], thresholds[part], lengths[part], rng)
        return found

    def _next_of(self, chosen: Indices, thresholds: Indices, lengths: Indices, rng: np.random.Generator) -> Indices:
        envelope = envelope_of(self._table, chosen, thresholds, lengths, self._temperature, self._preference)
        centres = self._bank.vectors.centres(chosen)
        found = np.full(len(chosen), -1, dtype=np.int64)
        cumulative = np.concatenate([[0.0], np.cumsum(envelope.masses)])
        listed = cumulative[envelope.ends] - cumulative[envelope.begins]
        left = np.flatnonzero(listed + envelope.tails * self._preferred.total > 0)
        # Most samples are done after a few proposals; those that are not get more at a time.
        tries, k = 0, 8
        # Past this many tries, all weights of a sample cost less than going on.
        while len(left) and tries < max(256, len(self._bank) // 16):
            proposed, accepted = self._try(envelope, cumulative, listed, chosen, centres, left, k, rng)
            hit = accepted.any(axis=1)
            found[left[hit]] = proposed[hit, accepted[hit].argmax(axis=1)]
            left = left[~hit]
            tries, k = tries + k, min(64, 2 * k)
        # What was rejected so far says nothing of what comes now: an exact draw in its place keeps the distribution.
        rest = np.flatnonzero(found < 0)
        found[rest] = self.next_from_all_weights(chosen[rest], rng)
        return found

    def _try(
        self,
        envelope: Envelope,
        cumulative: Floats,
        listed: Floats,
        chosen: Indices,
        centres: NDArray[Any],
        left: Indices,
        k: int,
        rng: np.random.Generator,
    ) -> tuple[Indices, NDArray[np.bool_]]:
        """k proposals for each sample that is left, and which of them are accepted; both of shape [left, k]."""
        whole = listed[left] + envelope.tails[left] * self._preferred.total
        place = rng.random((len(left), k)) * whole[:, None]
        from_list = place < listed[left, None]
        rows = np.repeat(left, from_list.sum(axis=1))
        at = np.searchsorted(cumulative, place[from_list] + cumulative[envelope.begins[rows]], side="right") - 1
        at = np.clip(at, envelope.begins[rows], envelope.ends[rows] - 1)
        proposed = np.empty(place.shape, dtype=np.int64)
        proposed[from_list] = envelope.concepts[at]
        proposed[~from_list] = self._preferred.pick(rng.random(np.count_nonzero(~from_list)))
        # Accepted with probability exp((cosine - needed) / T), that is where the cosine is at least this:
        needed = 1 + self._temperature * np.log1p(-rng.random(place.shape))
        cosines = self._bank.vectors.cosines(centres[left], proposed)
        accepted = cosines >= needed
        # Few of those that are not listed come so far, and only they cost a look at their counts.
        row, column = np.nonzero(accepted & ~from_list)
        short = self._shortfall(envelope, chosen, left[row], proposed[row, column])
        accepted[row, column] = cosines[row, column] >= needed[row, column] + short
        return proposed, accepted

    def _shortfall(self, envelope: Envelope, chosen: Indices, samples: Indices, concepts: Indices) -> Floats:
        """How far the counts of concepts that are not listed stay below their ceiling; infinite for those that are."""
        counts = np.zeros(len(samples), dtype=np.int64)
        barred = np.zeros(len(samples), dtype=bool)
        for place in range(chosen.shape[1]):
            count = self._table.of_pairs(chosen[samples, place], concepts)
            counts += count
            barred |= (count > envelope.thresholds[samples]) | (chosen[samples, place] == concepts)
        return np.where(barred, np.inf, envelope.ceilings[samples] - counts)

    def next_from_all_weights(self, chosen: Indices, rng: np.random.Generator) -> Indices:
        """The same draw by computing every concept's weight; the slow way round."""
        found = np.empty(len(chosen), dtype=np.int64)
        step = max(1, DENSE_AT_ONCE // len(self._bank))
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            weights = weights_of_next(self._bank, part, self._temperature, self._preference)
            for place, row in enumerate(weights, start):
                found[place] = WeightedIndices(row).pick(rng.random(1))[0]
        return found


class WeightedIndices:
    """Indices by their weights."""

    def __init__(self, weights: Floats) -> None:
        self._cumulative = np.cumsum(weights)
        self.total = float(self._cumulative[-1])
        # Rounding must not reach past the last index that has weight.
        self._last = int(np.searchsorted(self._cumulative, self.total, side="left"))

    def pick(self, places: Floats) -> Indices:
        """The index at each place in [0, 1) of the cumulative weights."""
        found = np.searchsorted(self._cumulative, places * self.total, side="right")
        return np.minimum(found, self._last).astype(np.int64)


def _parts(totals: Indices) -> list[slice]:
    """Consecutive samples whose lists are together no longer than `LISTED_AT_ONCE` (one sample at least)."""
    parts, start, held = [], 0, 0
    for place, total in enumerate(totals.tolist()):
        if place > start and held + total > LISTED_AT_ONCE:
            parts.append(slice(start, place))
            start, held = place, 0
        held += total
    return [*parts, slice(start, len(totals))] if len(totals) else []
