"""An upper bound of the next concept's weights that is cheap to draw from: rejecting from it is exact.

Of a sample's chosen concepts c_1 .. c_m let n_i be the summed co-occurrences of concept i, and t a threshold. Where the
cosine is replaced by its bound 1,

- concepts that occur with some c_j more than t times are listed, each with its own n_i;
- all others have n_i <= m t, so that exp((m t + 1) / T) bounds each of them, and they need not be looked at.

t is chosen so that the bound of the others stays about as small as the greatest weight. Popular concepts occur with
thousands of others, of which few matter: this is why a draw costs so much less than all weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.counts import CountTable
from selfplay.concepts.vectors import Indices

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Bounds for a batch of samples; masses are relative to each sample's own scale."""

    concepts: Indices
    """Listed concepts, sample after sample."""
    begins: Indices
    """Where each sample's list begins, shape [samples]."""
    ends: Indices
    """Where it ends."""
    masses: Floats
    """Bound of each listed concept's weight."""
    thresholds: Indices
    """t of each sample: concepts above it are listed."""
    ceilings: Indices
    """m t."""
    tails: Floats
    """Bound of the weight of each concept that is not listed, preferences left out, shape [samples]."""


def lists_of(
    table: CountTable, chosen: Indices, temperature: float, concepts: int
) -> tuple[Indices, NDArray[Any], NDArray[Any]]:
    """The thresholds, and how long each chosen concept's list is.

    Returns:
        t of each sample, shape [samples]; lengths, shape [samples, m]; their sums, shape [samples].
    """
    m = chosen.shape[1]
    lead = table.greatest_not_chosen(chosen) - 1 - temperature * math.log(concepts)
    thresholds = np.maximum(0, np.floor(lead / m)).astype(np.int64)
    lengths = table.lengths_above(chosen.ravel(), np.repeat(thresholds, m)).reshape(chosen.shape)
    return thresholds, lengths, lengths.sum(axis=1)


def envelope_of(
    table: CountTable,
    chosen: Indices,
    thresholds: Indices,
    lengths: Indices,
    temperature: float,
    preference: Floats,
) -> Envelope:
    """The envelope of a batch; see `lists_of` for the thresholds and lengths."""
    samples, m = chosen.shape
    owners, concepts, counts = _listed(table, chosen, thresholds, lengths)
    sizes = np.bincount(owners, minlength=samples)
    ends = np.cumsum(sizes)
    begins = ends - sizes
    greatest = np.zeros(samples, dtype=np.int64)
    filled = sizes > 0
    if len(counts):
        greatest[filled] = np.maximum.reduceat(counts, begins[filled])
    ceilings = thresholds * m
    scale = np.maximum(greatest, ceilings)
    masses = np.exp((counts - scale[owners]) / temperature) * preference[concepts]
    tails = np.exp((ceilings - scale) / temperature)
    return Envelope(concepts, begins, ends, masses, thresholds, ceilings, tails)


def _listed(
    table: CountTable, chosen: Indices, thresholds: Indices, lengths: Indices
) -> tuple[Indices, Indices, Indices]:
    """Samples, concepts and summed counts of all that is listed, sample after sample, each concept once."""
    samples, m = chosen.shape
    owners = np.repeat(np.arange(samples), lengths.sum(axis=1))
    others, counts = table.most_frequent(chosen.ravel(), lengths.ravel())
    if m == 1 or not len(others):
        return owners, others, counts
    width = int(others.max()) + 1
    pairs, first = np.unique(owners * width + others, return_index=True)
    owners, others = pairs // width, others[first]
    outside = (others[:, None] != chosen[owners]).all(axis=1)
    owners, others = owners[outside], others[outside]
    counts = sum((table.of_pairs(chosen[owners, place], others) for place in range(m)), np.zeros(len(owners), np.int64))
    return owners, others, counts
