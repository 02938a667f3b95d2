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
WHOLE_ROWS = 1024
"""Most concepts whose co-occurrence rows are their vectors as they are."""
LEADING = 128
"""Singular directions that are kept of more."""


class Vectors:
    """Unit vectors of concepts; one of length zero stays zero, and its cosines are 0."""

    def __init__(self, embeddings: Floats) -> None:
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        self.unit: Floats = np.divide(embeddings, lengths, out=np.zeros_like(embeddings), where=lengths > 0)

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
        samples, k = candidates.shape
        width = self.unit.shape[1]
        found = np.empty((samples, k), dtype=self.unit.dtype)
        step = max(1, GATHERED_ELEMENTS // (k * width))
        for start in range(0, samples, step):
            part = slice(start, start + step)
            found[part] = np.matmul(self.unit[candidates[part]], centres[part, :, None])[:, :, 0]
        return found

    def all_cosines(self, centres: Floats) -> Floats:
        """Cosine of every concept to each centre, shape [samples, concepts]."""
        cosines: Floats = centres @ self.unit.T
        return cosines


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
    # ARPACK would start from chance, and the vectors differ from run to run.
    start = np.full(together.shape[0], 1 / math.sqrt(together.shape[0]), dtype=np.float32)
    left, values, _ = svds(unit, k=LEADING, v0=start, solver="arpack", return_singular_vectors="u")
    return Vectors(np.ascontiguousarray(left * values, dtype=np.float32))
