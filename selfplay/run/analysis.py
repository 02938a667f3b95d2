"""`RUN/analysis.json`: analyses of a run that were made beside it, and that its report shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from selfplay.run.place import inside
from selfplay.run.shapes import Count, Number, Shape, read_as

KEPT = "analysis.json"
Pair = Annotated[list[Number | None], Field(min_length=2, max_length=2)]
"""Of the first set in the other, and of the other in the first."""


class ConceptFigures(Shape):
    """The concepts of a set."""

    named: Count
    """Texts with any."""
    distinct: Count
    effective: Number
    """exp of the entropy of their uses: as many concepts, all used alike, would be as varied; 0 without any."""
    once: Number
    """Share of the distinct ones that a single text has; 0 without any."""


class SetFigures(Shape):
    """A set of texts."""

    texts: Count
    words: Number
    """Mean number of words."""
    distinct_2: Number
    """Share of its bigrams that are distinct."""
    vendi: Number
    """Effective number of different texts among those sampled (Friedman and Dieng, 2023, definition 3.1)."""
    sampled: Count
    nearest: Number | None
    """Mean cosine of a text with its nearest neighbour among those sampled; None for one alone."""
    nearly_the_same: Number
    """Share of texts whose nearest neighbour has a cosine of 0.9 or more."""


class _Set(SetFigures):
    name: str
    place: Annotated[list[Number], Field(min_length=2, max_length=2)]
    concepts: ConceptFigures


class _SetPair(Shape):
    first: str
    other: str
    apart: Number
    overlap: Pair
    covered: Pair


class _Leaks(Shape):
    name: str
    suite: str
    count: Count


class _Distribution(Shape):
    vectors: str
    sets: list[_Set]
    pairs: list[_SetPair]
    leaks: list[_Leaks]


class _Band(Shape):
    weak: str
    problems: Count
    agrees: Count
    disagrees: Count
    labelled: Count
    contradicted: Count
    judged: Count
    ill_posed: Count
    doubtful: Count
    tokens: Number | None


class _Doubtful(Shape):
    problem: str
    why: list[str]


class _Difficulty(Shape):
    weak: str
    strong: str
    rows: list[_Band]
    doubtful: list[_Doubtful]


class Analysis(Shape):
    """All that has been analysed so far."""

    remedy: ClassVar[str] = "delete it and analyse again"

    distribution: _Distribution | None = None
    difficulty: _Difficulty | None = None


def read_analysis(run: Path) -> dict[str, Any]:
    """The analyses of a run; empty where there are none. Raises RunError where the file is damaged."""
    file = inside(run, KEPT)
    return read_as(file, Analysis) if file.exists() else {}
