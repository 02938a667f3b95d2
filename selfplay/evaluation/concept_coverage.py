"""Which concepts data sets are made of: how many, how evenly they are used, and which share of another set's each has.

Concepts are compared as they are written, but for case and blanks: who names them decides how finely they are cut, so
that shares say something only of sets whose concepts one annotator named.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfplay.run.analysis import ConceptFigures

Floats = NDArray[np.float64]
Named = Sequence[Sequence[str]]
"""The concepts of each text of a set."""


@dataclass(frozen=True, slots=True)
class ConceptCoverage:
    """Sets side by side."""

    figures: list[ConceptFigures]
    covered: Floats
    """Share of the distinct concepts of each set that another has, too, [set, other]; nan where a set names none."""


def concept_coverage(sets: Sequence[Named]) -> ConceptCoverage:
    """The concepts of each set, and how far another covers them.

    Args:
        sets: for each set, the concepts of its texts; a text may have none.
    """
    uses = [_uses(named) for named in sets]
    covered = np.full((len(sets), len(sets)), math.nan)
    for one, other in itertools.product(range(len(sets)), repeat=2):
        if uses[one] and uses[other]:
            covered[one, other] = len(uses[one].keys() & uses[other].keys()) / len(uses[one])
    return ConceptCoverage([_figures(*pair) for pair in zip(sets, uses, strict=True)], covered)


def _uses(named: Named) -> Counter[str]:
    """How many texts have each concept."""
    return Counter(concept for concepts in named for concept in set(map(_plain, concepts)) if concept)


def _plain(concept: str) -> str:
    return " ".join(concept.casefold().split())


def _figures(named: Named, uses: Counter[str]) -> ConceptFigures:
    total = uses.total()
    entropy = -math.fsum(count / total * math.log(count / total) for count in uses.values())
    return ConceptFigures(
        named=sum(bool(one) for one in named),
        distinct=len(uses),
        effective=math.exp(entropy) if uses else 0.0,
        once=sum(count == 1 for count in uses.values()) / len(uses) if uses else 0.0,
    )
