"""An upper bound of the next concept's weights that is cheap to draw from: rejecting from it is exact.

Of a sample's chosen concepts c_1 .. c_m let n_i be the summed co-occurrences of concept i, and t a threshold:

- concepts that occur with some c_j more than t times are listed, each with its own n_i and with the cosine replaced by
  its bound 1 (or with its own cosine, where the list is short);
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
from selfplay.concepts.vectors import Indices, Vectors

Floats = NDArray[np.float64]

SHORT_LIST = 24
"""Longest list of concepts whose own cosines are used in place of the bound 1."""
COLD = 0.5
"""Temperature above which the bound 1 is good enough."""


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
    exact: NDArray[np.bool_]
    """Whether the bound of a listed concept is its weight."""
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
        t of each sample, shape [samples]; lengths, shape [samples, m]; starts are the table's.
    """
    m = chosen.shape[1]
    lead = table.greatest_not_chosen(chosen) - 1 - temperature * math.log(concepts)
    thresholds = np.maximum(0, np.floor(lead / m)).astype(np.int64)
    lengths = table.lengths_above(chosen.ravel(), np.repeat(thresholds, m)).reshape(chosen.shape)
    return thresholds, lengths, lengths.sum(axis=1)


def envelope_of(
    table: CountTable,
    vectors: Vectors,
    chosen: Indices,
    centres: NDArray[Any],
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
    cosines = np.ones(len(concepts))
    exact = np.zeros(len(concepts), dtype=bool)
    if temperature < COLD:
        short = np.flatnonzero(filled & (sizes <= SHORT_LIST))
        exact, cosines = _own_cosines(vectors, centres, concepts, short, begins, sizes, cosines)
    masses = np.exp((counts - scale[owners] + cosines - 1) / temperature) * preference[concepts]
    tails = np.exp((ceilings - scale) / temperature)
    return Envelope(concepts, begins, ends, masses, exact, thresholds, ceilings, tails)


def _listed(
    table: CountTable, chosen: Indices, thresholds: Indices, lengths: Indices
) -> tuple[Indices, Indices, Indices]:
    """Samples, concepts and summed counts of all that is listed, sample after sample, each concept once."""
    samples, m = chosen.shape
    owners = np.repeat(np.arange(samples), lengths.sum(axis=1))
    others, counts = table.most_frequent(chosen.ravel(), lengths.ravel())
    if m == 1:
        return owners, others, counts
    owners, others, counts = _merged(owners, others, counts)
    outside = np.ones(len(others), dtype=bool)
    for place in range(m):
        outside &= others != chosen[owners, place]
    owners, others, counts = owners[outside], others[outside], counts[outside]
    # Above a threshold of 0 nothing was left out of the sums.
    partial = np.flatnonzero(thresholds[owners] > 0)
    if len(partial):
        whole = np.zeros(len(partial), dtype=np.int64)
        for place in range(m):
            whole += table.of_pairs(chosen[owners[partial], place], others[partial])
        counts[partial] = whole
    return owners, others, counts


def _merged(owners: Indices, others: Indices, counts: Indices) -> tuple[Indices, Indices, Indices]:
    """Sums the counts of equal (owner, other) pairs; sorts them."""
    if not len(owners):
        return owners, others, counts
    width = int(others.max()).bit_length()
    depth = int(counts.max()).bit_length()
    if int(owners[-1]).bit_length() + width + depth < 63:
        # Pair and count in one number sort several times faster than an argsort of the pairs.
        packed = np.sort(((owners << width | others) << depth) | counts)
        pairs, counts = packed >> depth, packed & ((1 << depth) - 1)
    else:
        pairs = owners << width | others
        order = np.argsort(pairs)
        pairs, counts = pairs[order], counts[order]
    first = np.concatenate([[True], pairs[1:] != pairs[:-1]])
    pairs = pairs[first]
    return pairs >> width, pairs & ((1 << width) - 1), np.add.reduceat(counts, np.flatnonzero(first))


def _own_cosines(
    vectors: Vectors,
    centres: NDArray[Any],
    concepts: Indices,
    short: Indices,
    begins: Indices,
    sizes: Indices,
    cosines: Floats,
) -> tuple[NDArray[np.bool_], Floats]:
    exact = np.zeros(len(concepts), dtype=bool)
    if not len(short):
        return exact, cosines
    longest = int(sizes[short].max())
    at = begins[short][:, None] + np.arange(longest)
    inside = np.arange(longest) < sizes[short][:, None]
    candidates = concepts[np.where(inside, at, begins[short][:, None])]
    found = vectors.cosines(centres[short], candidates)
    exact[at[inside]] = True
    cosines[at[inside]] = found[inside]
    return exact, cosines
