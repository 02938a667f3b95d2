"""The exact distribution of the next concept: what every way of drawing must agree with.

The weight of a concept that is not chosen yet is exp((its co-occurrences with the chosen, summed, + the cosine of its
vector to the mean vector of the chosen) / temperature), times a preference that is 1 unless coverage steers it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.bank import ConceptBank
from selfplay.concepts.vectors import Indices

Floats = NDArray[np.float64]


def affinities(bank: ConceptBank, chosen: Indices) -> Floats:
    """Affinity of every concept to each sample's chosen ones.

    Args:
        bank: the concepts.
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
