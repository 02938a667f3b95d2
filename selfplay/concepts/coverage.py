"""The fate of each concept, and what that says of which to draw next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.bank import Combination
from selfplay.config.synthesis import Coverage
from selfplay.run.records import LabelledTask, Prompt
from selfplay.run.tables import read_values
from selfplay.watching.rounds import PromptRound, prompt_rounds, table_file

PRIOR = 4.0
"""Prompts of average yield that every concept is credited with, so that one lucky prompt says little."""


@dataclass(frozen=True, slots=True)
class ConceptUse:
    """The fate of the prompts that a concept was asked for in."""

    concept: str
    used: int
    """Prompts that were written for it, well formed or not."""
    parsed: int
    """Those that are well formed."""
    kept: int | None
    """Those that curation left; None where it has not ended."""
    labelled: int | None
    """Those that labelling left; None where it has not ended."""

    @property
    def survived(self) -> int:
        """Prompts that passed all stages that have ended."""
        return next(count for count in (self.labelled, self.kept, self.parsed) if count is not None)


def concept_uses(run: Path, domain: str, number: int | None = None) -> list[ConceptUse]:
    """The use of every concept of a domain in a run, by name; none before its synthesis has ended.

    Args:
        number: only prompts made for this round; None for all rounds together.

    Raises:
        RunError: the run has made no prompts for that round.
        RecordError: a table is damaged.
    """
    found: dict[str, ConceptUse] = {}
    for own in prompt_rounds(run, number):
        for use in _uses_of(run, own, domain):
            found[use.concept] = _sum(found[use.concept], use) if use.concept in found else use
    return [found[concept] for concept in sorted(found)]


def earlier_uses(run: Path, domain: str) -> list[ConceptUse]:
    """The uses in each round apart: a round may have come further than the next, and prompts survive as far as theirs.

    Raises:
        RecordError: a table is damaged.
    """
    return [use for own in prompt_rounds(run) for use in _uses_of(run, own, domain)]


def combinations_tried(run: Path, domain: str) -> set[Combination]:
    """The combinations that prompts of a domain were written for, in any round."""
    return {row.concepts for own in prompt_rounds(run) for row in _read(run, own.synthesis, domain) or ()}


def _uses_of(run: Path, own: PromptRound, domain: str) -> list[ConceptUse]:
    made = _read(run, own.synthesis, domain) or []
    curated = _read(run, own.curation, domain)
    labelled = _labelled(run, own, curated)
    used = Counter(concept for row in made for concept in row.concepts)
    parsed = _of_kept(made)
    kept = None if curated is None else _of_kept(curated)
    tasks = None if labelled is None else _of_kept(labelled)
    return [
        ConceptUse(
            concept,
            used[concept],
            parsed[concept],
            None if kept is None else kept[concept],
            None if tasks is None else tasks[concept],
        )
        for concept in used
    ]


def _sum(one: ConceptUse, other: ConceptUse) -> ConceptUse:
    """Both together; what one round does not know yet, it does not add to."""

    def total(first: int | None, second: int | None) -> int | None:
        return None if first is None and second is None else (first or 0) + (second or 0)

    return ConceptUse(
        one.concept,
        one.used + other.used,
        one.parsed + other.parsed,
        total(one.kept, other.kept),
        total(one.labelled, other.labelled),
    )


class CoverageSteering:
    """Prefers concepts that were used little, or that did well, as the recipe says.

    With u_i uses of concept i so far (earlier runs' and this one's) and s_i surviving prompts of earlier runs:
    `rare` is ((1 + mean u) / (1 + u_i)) ** strength, `yield` is (y_i / y) ** strength with
    y_i = (s_i + PRIOR y) / (u_i + PRIOR) and y the share of all earlier prompts that survived.
    """

    def __init__(self, names: Sequence[str], settings: Coverage, earlier: Iterable[ConceptUse]) -> None:
        self._settings = settings
        uses, survivals = Counter[str](), Counter[str]()
        for use in earlier:
            uses[use.concept] += use.used
            survivals[use.concept] += use.survived
        found = np.array([(uses[name], survivals[name]) for name in names], dtype=np.float64).reshape(-1, 2)
        self._used = found[:, 0].copy()
        used, survived = found[:, 0].sum(), found[:, 1].sum()
        share = survived / used if used else 0.0
        yields = (found[:, 1] + PRIOR * share) / (found[:, 0] + PRIOR)
        self._yield = yields / share if share > 0 else np.ones(len(names))

    def preference(self) -> NDArray[np.float64]:
        """A factor of each concept's weights, shape [concepts]; all above 0."""
        rare = (1 + self._used.mean()) / (1 + self._used)
        chosen = {"rare": rare, "yield": self._yield, "both": rare * self._yield}[self._settings.prefer]
        factors: NDArray[np.float64] = np.maximum(chosen, 1e-12) ** self._settings.strength
        return factors

    def use(self, places: NDArray[np.int64]) -> None:
        """Counts a new combination."""
        self._used[places] += 1


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    concepts: Combination
    kept: bool


def _read(run: Path, stage: str, domain: str) -> list[_Row] | None:
    file = table_file(run, stage, "prompts")
    if not file.exists():
        return None
    rows = read_values(file, Prompt, ("id", "domain", "concepts", "dropped"))
    return [_Row(i, tuple(concepts), not dropped) for i, of, concepts, dropped in rows if of == domain]


def _labelled(run: Path, own: PromptRound, curated: list[_Row] | None) -> list[_Row] | None:
    if curated is None or own.labelled is None:
        return None
    tasks = read_values(table_file(run, own.labelled, "tasks"), LabelledTask, ("prompt_id", "dropped"))
    left = {prompt for prompt, dropped in tasks if not dropped}
    return [_Row(row.id, row.concepts, row.id in left) for row in curated]


def _of_kept(rows: Iterable[_Row]) -> Counter[str]:
    return Counter(concept for row in rows if row.kept for concept in row.concepts)
