"""How varied a set of texts is, and how far sets lie apart, by the words of each text (TF-IDF, which needs no model) or
by a sentence model.

Means alone say little: two sets with the same mean may be one sentence each, or all of mathematics. So within each set
there are the Vendi score, distances to the nearest neighbour, and distinct n-grams, and between sets their overlap.
"""

from __future__ import annotations

import itertools
import math
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfplay.curation.decontamination import plain_words
from selfplay.evaluation.sentence_vectors import Embed
from selfplay.run.analysis import SetFigures
from selfplay.synthesis.measures import distinct_n

Floats = NDArray[np.float64]
SAMPLE = 1000
"""Texts of a set that are compared with one another, drawn at random from larger ones."""
ALIKE = 0.9
"""Cosine from which on two texts are nearly the same."""


@dataclass(frozen=True, slots=True)
class SetComparison:
    """Sets side by side."""

    figures: list[SetFigures]
    apart: Floats
    """1 - cosine of the sets' mean vectors over all of their texts, [sets, sets]."""
    overlap: Floats
    """Share of the texts sampled of each set that have one nearly the same anywhere in another, [set, other]; 1 with
    itself."""


def compared_sets(sets: Sequence[Sequence[str]], seed: int = 0, embed: Embed | None = None) -> SetComparison:
    """The figures of each set, and between all.

    Args:
        sets: texts, at least one a set.
        seed: of the samples.
        embed: what makes vectors of length 1; None takes TF-IDF over all texts.
    """
    vectors = (embed or tf_idf)([text for texts in sets for text in texts])
    bounds = itertools.pairwise(itertools.accumulate(map(len, sets), initial=0))
    parts = [vectors[start:end] for start, end in bounds]
    samples = [part[_places(part.shape[0], seed)] for part in parts]
    figures = [_figures(texts, sample) for texts, sample in zip(sets, samples, strict=True)]
    means = np.array([np.asarray(part.mean(axis=0)).ravel() for part in parts])
    lengths = np.linalg.norm(means, axis=1)
    lengths[lengths == 0] = 1.0
    apart = 1.0 - (means @ means.T) / np.outer(lengths, lengths)
    np.fill_diagonal(apart, 0.0)
    overlap = np.eye(len(parts))
    for one, other in itertools.permutations(range(len(parts)), 2):
        overlap[one, other] = (_largest_cosines(samples[one], parts[other]) >= ALIKE).mean()
    return SetComparison(figures, np.clip(apart, 0.0, None), overlap)


def _largest_cosines(texts: Any, others: Any) -> Floats:
    """The cosine of each text with what is nearest to it among many others, of which some are compared at a time."""
    starts = range(0, others.shape[0], SAMPLE)
    found = [cosines(texts, others[start : start + SAMPLE]).max(axis=1) for start in starts]
    return np.asarray(np.max(found, axis=0), dtype=np.float64)


def cosines(first: Any, second: Any) -> Floats:
    """The cosine of each vector with each other one, [first, second]; all of length 1, dense or sparse."""
    found = first @ second.T
    return np.asarray(found.todense() if hasattr(found, "todense") else found, dtype=np.float64)


def vendi_score(similarities: Floats) -> float:
    """exp of the Shannon entropy of the eigenvalues of K / n; n where all texts differ wholly, 1 where all are one.

    Args:
        similarities: K, [n, n], with 1 on its diagonal.
    """
    values = np.linalg.eigvalsh(similarities / len(similarities))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def placed_in_two_dimensions(distances: Floats) -> Floats:
    """Points [n, 2] whose distances are as near to those given as two dimensions allow (classical scaling, Torgerson
    1952): the two largest eigenvectors of the squared distances, centred twice."""
    count = len(distances)
    centre = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-0.5 * centre @ (distances**2) @ centre)
    largest = np.argsort(values)[::-1][:2]
    points = vectors[:, largest] * np.sqrt(np.clip(values[largest], 0.0, None))
    return points if points.shape[1] == 2 else np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _figures(texts: Sequence[str], vectors: Any) -> SetFigures:
    similarities = cosines(vectors, vectors)
    np.fill_diagonal(similarities, 1.0)
    vendi = vendi_score(similarities)
    np.fill_diagonal(similarities, -1.0)
    nearest = similarities.max(axis=1)
    return SetFigures(
        texts=len(texts),
        words=sum(len(plain_words(text)) for text in texts) / len(texts),
        distinct_2=distinct_n(texts, 2),
        vendi=vendi,
        sampled=vectors.shape[0],
        nearest=float(nearest.mean()) if len(nearest) > 1 else None,
        nearly_the_same=float((nearest >= ALIKE).mean()),
    )


def _places(count: int, seed: int) -> list[int]:
    """The places of the texts of a set that are sampled."""
    return list(range(count)) if count <= SAMPLE else random.Random(seed).sample(range(count), SAMPLE)


def tf_idf(texts: Sequence[str]) -> Any:
    """Vectors of length 1, sparse [texts, words], of weights (1 + log count) x (1 + log((1 + texts) / (1 + those with
    the word)))."""
    from scipy.sparse import csr_array

    counts = [Counter(plain_words(text)) for text in texts]
    places = {word: place for place, word in enumerate(sorted({word for one in counts for word in one}))}
    holding = Counter(word for one in counts for word in one)
    # Arrays of machine numbers, since large sets have millions of weights.
    data, rows, columns = array("d"), array("q"), array("q")
    for row, one in enumerate(counts):
        weights = {
            word: (1 + math.log(count)) * (math.log((1 + len(texts)) / (1 + holding[word])) + 1)
            for word, count in one.items()
        }
        length = math.sqrt(math.fsum(weight * weight for weight in weights.values())) or 1.0
        for word, weight in weights.items():
            data.append(weight / length)
            rows.append(row)
            columns.append(places[word])
    return csr_array((data, (rows, columns)), shape=(len(texts), max(1, len(places))))
