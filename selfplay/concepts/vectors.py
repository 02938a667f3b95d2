"""Vectors of concepts, and the cosine between a concept and the mean of those chosen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

Indices = NDArray[np.int64]
Floats = NDArray[Any]

GATHERED_ELEMENTS = 1 << 20
"""Most vector components that are copied together at once: what stays in a processor's cache."""
WIDE = 64
"""Components above which axes are turned."""
WHOLE_ROWS = 1024
"""Most concepts whose co-occurrence rows are their vectors as they are."""
LEADING = 128
"""Singular directions that are kept of more."""


class Vectors:
    """Unit vectors of concepts; one of length zero stays zero, and its cosines are 0.

    Their axes are turned so that the first few hold most of them, which leaves cosines as they are: by these few and
    the length of the rest, most candidates are told to be below a bound, at a fraction of the memory that is read.
    """

    def __init__(self, embeddings: Floats) -> None:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        unit: Floats = np.divide(embeddings, lengths, out=np.zeros_like(embeddings), where=lengths > 0)
        self.unit, head = _turned(unit) if unit.shape[1] >= WIDE else (unit, unit.shape[1])
        self._head = np.ascontiguousarray(self.unit[:, :head])
        self._rest = np.linalg.norm(self.unit[:, head:], axis=1)

    def centres(self, chosen: Indices) -> Floats:
        """Directions of the mean vectors of chosen concepts, shape [samples, m]; shape [samples, components]."""
        total = self.unit[chosen[:, 0]]
        for place in range(1, chosen.shape[1]):
            total = total + self.unit[chosen[:, place]]
        lengths = np.linalg.norm(total, axis=1, keepdims=True)
        directions: Floats = np.divide(total, lengths, out=np.zeros_like(total), where=lengths > 0)
        return directions

    def cosines(self, centres: Floats, candidates: Indices) -> Floats:
        """Cosine of each sample's candidates, shape [samples, k], to its centre; same shape."""
        return _products(self.unit, centres, candidates)

    def cosines_from(self, centres: Floats, candidates: Indices, least: Floats) -> Floats:
        """The same, but -inf where the cosine is below `least`, which has the same shape, and some that are not."""
        head = self._head.shape[1]
        most = _products(self._head, np.ascontiguousarray(centres[:, :head]), candidates)
        if head == self.unit.shape[1]:
            return np.where(most >= least, most, -np.inf)
        most += self._rest[candidates] * np.linalg.norm(centres[:, head:], axis=1)[:, None]
        # A hair more, so that rounding settles none that the whole product would not.
        rows, columns = np.nonzero(most + 1e-5 >= least)
        found = np.full(candidates.shape, -np.inf, dtype=self.unit.dtype)
        step = max(1, GATHERED_ELEMENTS // self.unit.shape[1])
        for start in range(0, len(rows), step):
            row, column = rows[start : start + step], columns[start : start + step]
            both = np.take(self.unit, candidates[row, column], axis=0, mode="clip")
            both *= np.take(centres, row, axis=0, mode="clip")
            found[row, column] = both.sum(axis=1)
        found[found < least] = -np.inf
        return found

    def all_cosines(self, centres: Floats) -> Floats:
        """Cosine of every concept to each centre, shape [samples, concepts]."""
        cosines: Floats = centres @ self.unit.T
        return cosines


def _turned(unit: Floats) -> tuple[Floats, int]:
    """The vectors along their principal axes, and how many of these hold half of their squared lengths."""
    energies, axes = np.linalg.eigh((unit.T @ unit).astype(np.float64))
    held = np.cumsum(energies[::-1])
    head = int(np.searchsorted(held, 0.5 * held[-1])) + 1
    return unit @ axes[:, ::-1].astype(unit.dtype), min(-(-head // 16) * 16, unit.shape[1])


def _products(vectors: Floats, centres: Floats, candidates: Indices) -> Floats:
    """Scalar products of each sample's candidates with its centre; a cacheful is gathered at a time."""
    samples, k = candidates.shape
    width = vectors.shape[1]
    found = np.empty((samples, k), dtype=vectors.dtype)
    step = max(1, GATHERED_ELEMENTS // (k * width))
    buffer = np.empty((min(step, samples) * k, width), dtype=vectors.dtype)
    for start in range(0, samples, step):
        part = candidates[start : start + step]
        gathered = buffer[: part.size]
        np.take(vectors, part.ravel(), axis=0, out=gathered, mode="clip")
        found[start : start + step] = np.matmul(
            gathered.reshape(*part.shape, width), centres[start : start + step, :, None]
        )[:, :, 0]
    return found


def rows_as_vectors(together: sparse.csr_array) -> Vectors:
    """Vectors without embeddings: concepts are alike that occur with the same others.

    Rows of the co-occurrence matrix; of a large one, its rows along `LEADING` singular directions.
    """
    if together.shape[0] <= WHOLE_ROWS:
        return Vectors(together.toarray().astype(np.float64))
    if not together.nnz:
        return Vectors(np.zeros((together.shape[0], 1), dtype=np.float32))
    lengths = np.sqrt(together.multiply(together).sum(axis=1, dtype=np.float64))
    unit = together.astype(np.float32)
    unit.data /= np.repeat(lengths, np.diff(unit.indptr)).astype(np.float32)
    start = np.full(together.shape[0], 1 / math.sqrt(together.shape[0]), dtype=np.float32)
    left, values, _ = svds(unit, k=LEADING, v0=start, solver="arpack", return_singular_vectors="u")
    return Vectors(np.ascontiguousarray(left * values, dtype=np.float32))
