"""The concept bank: names, how often each occurs, how often two occur together, and vectors to compare them by.

From it follows the exact distribution of the next concept, with which every way of drawing must agree. The weight of a
concept that is not chosen yet is exp((its co-occurrences with the chosen, summed, + the cosine of its vector to their
mean vector) / temperature), times a preference that is 1 unless coverage steers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from selfplay.concepts.vectors import Indices, Vectors, rows_as_vectors

Combination = tuple[str, ...]
Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], Mapping[str, Sequence[float]]]
"""Gives each of some concepts a vector."""


@dataclass(frozen=True, slots=True)
class ConceptBank:
    """Concepts in sorted order, and what their combinations say of them; memory is linear in co-occurrences."""

    names: tuple[str, ...]
    frequency: NDArray[np.float64]
    """Combinations with each concept, shape [concepts]; what the first concept is drawn by."""
    together: sparse.csr_array
    """Combinations with both of two concepts, int32, symmetric, zero diagonal, shape [concepts, concepts]."""
    vectors: Vectors
    """Texts of which cosines are taken."""

    def __len__(self) -> int:
        return len(self.names)


def bank_of(
    combinations: Sequence[Combination], counts: Mapping[str, float] | None = None, embed: Embed | None = None
) -> ConceptBank:
    """The bank of combinations, such as those of triples.

    Args:
        combinations: concepts that occur together; one that is named twice in a combination counts once there.
        counts: further concepts, or further occurrences of them, such as a user's list with frequencies.
        embed: gives vectors, all of one length; without it, concepts are compared by what they occur with.

    Raises:
        ValueError: a concept got no vector.
    """
    extra = counts or {}
    names = tuple(sorted({concept for combination in combinations for concept in combination} | set(extra)))
    index = {name: place for place, name in enumerate(names)}
    frequency = np.array([extra.get(name, 0.0) for name in names], dtype=np.float64)
    for combination in combinations:
        for concept in dict.fromkeys(combination):
            frequency[index[concept]] += 1
    together = _together([[index[concept] for concept in dict.fromkeys(c)] for c in combinations], len(names))
    return ConceptBank(names, frequency, together, _vectors(names, embed) if embed else rows_as_vectors(together))


def _vectors(names: Sequence[str], embed: Embed) -> Vectors:
    found = embed(names)
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{len(missing)} concepts have no vector, such as {missing[0]!r}")
    return Vectors(np.array([found[name] for name in names], dtype=np.float32))


def _together(combinations: Iterable[Sequence[int]], count: int) -> sparse.csr_array:
    rows, sizes = [], []
    for combination in combinations:
        rows.append(np.asarray(combination, dtype=np.int64))
        sizes.append(len(combination))
    columns = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    pointers = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    has = sparse.csr_array((np.ones(len(columns), dtype=np.int32), columns, pointers), shape=(len(sizes), count))
    together = (has.T @ has).tocsr()
    together.setdiag(0)
    together.eliminate_zeros()
    together.sort_indices()
    return together


def affinities(bank: ConceptBank, chosen: Indices) -> Floats:
    """Affinity of every concept to each sample's chosen ones.

    Args:
        chosen: shape [samples, m].

    Returns:
        Shape [samples, concepts].
    """
    total = bank.together[chosen[:, 0]]
    for place in range(1, chosen.shape[1]):
        total = total + bank.together[chosen[:, place]]
    cosines = bank.vectors.all_cosines(bank.vectors.centres(chosen))
    exact: Floats = total.toarray() + cosines.astype(np.float64)
    return exact


def weights_of_next(bank: ConceptBank, chosen: Indices, temperature: float, preference: Floats | None = None) -> Floats:
    """Weights of the next concept, the greatest of each sample 1, shape [samples, concepts].

    The greatest affinity is subtracted first, so that no count overflows.
    """
    scaled = affinities(bank, chosen) / temperature
    if preference is not None:
        with np.errstate(divide="ignore"):
            scaled += np.log(preference)
    np.put_along_axis(scaled, chosen, -np.inf, axis=1)
    scaled -= scaled.max(axis=1, keepdims=True)
    return np.exp(scaled, out=scaled)
