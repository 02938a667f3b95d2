"""Contamination of data sets: which of their problems hold one of a suite, as decontamination finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay.config.curation import Curation
from selfplay.curation.decontamination import LeakIndex, common_order
from selfplay.evaluation.diversity import cosines, tf_idf
from selfplay.evaluation.sentence_vectors import Embed
from selfplay.suites.load import Suite

ROWS = 512
"""Texts that are compared with a suite at a time."""


@dataclass(frozen=True, slots=True)
class Contaminated:
    """A text that holds a problem of a suite."""

    place: int
    """Of the text, from 0."""
    suite: str
    published: str
    """The name of the problem in its suite."""
    in_order: float
    """Share of the shorter one's words that stand in the other in the same order."""
    text: str
    problem: str


def contaminated(texts: Sequence[str], suites: Sequence[Suite], settings: Curation) -> list[Contaminated]:
    """The texts that hold a problem of a suite; each suite is looked for by itself, so that one hides no other.

    Args:
        texts: problems of a data set.
        suites: named ones, or one's own.
        settings: how long a run of words counts, how alike texts must be, and which share of a problem's characters.
    """
    found = []
    for suite in suites:
        by_name = {one.source: one.problem for one in suite.problems}
        index = LeakIndex({suite.name: by_name}, settings)
        for place, text in enumerate(texts):
            leak = index.find(text)
            if leak is not None:
                problem = by_name[leak.item]
                found.append(Contaminated(place, suite.name, leak.item, common_order(text, problem), text, problem))
    return found


@dataclass(frozen=True, slots=True)
class NearProblem:
    """The problem of a suite that lies nearest to a text."""

    place: int
    """Of the text, from 0."""
    suite: str
    published: str
    cosine: float
    in_order: float
    """As of `Contaminated`."""
    text: str
    problem: str


def near_problems(
    texts: Sequence[str], suites: Sequence[Suite], least: float, embed: Embed | None
) -> list[NearProblem]:
    """The texts whose nearest problem of a suite has at least this cosine, the nearest first.

    Args:
        texts: problems of a data set.
        suites: named ones, or one's own.
        least: cosine from which on they count.
        embed: what makes vectors of length 1; None takes TF-IDF over the texts and the suite.
    """
    found = []
    for suite in suites:
        vectors = (embed or tf_idf)([*texts, *(one.problem for one in suite.problems)])
        for start in range(0, len(texts), ROWS):
            end = min(start + ROWS, len(texts))
            block = cosines(vectors[start:end], vectors[len(texts) :])
            for place, nearest in enumerate(block.argmax(axis=1), start):
                cosine = float(block[place - start, nearest])
                if cosine >= least:
                    one = suite.problems[int(nearest)]
                    order = common_order(texts[place], one.problem)
                    found.append(NearProblem(place, suite.name, one.source, cosine, order, texts[place], one.problem))
    return sorted(found, key=lambda one: (-one.cosine, one.suite, one.place))
