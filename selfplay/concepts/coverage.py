"""What became of each concept, and what that says of which to draw next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfplay.concepts.bank import Combination
from selfplay.records import LabelledTask, Prompt, read_columns
from selfplay.synthesis_settings import Coverage

PRIOR = 4.0
"""Prompts of average yield that every concept is credited with, so that one lucky prompt says little."""


@dataclass(frozen=True, slots=True)
class ConceptUse:
    """What became of the prompts that a concept was asked for in."""

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


def concept_uses(run: Path, domain: str) -> list[ConceptUse]:
    """The use of every concept of a domain in a run, by name; none before its synthesis has ended.

    Raises:
        RecordError: a table is damaged.
    """
    made = _read(run, "synthesis", domain)
    if made is None:
        return []
    curated = _read(run, "curation", domain)
    labelled = _labelled(run, curated)
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
        for concept in sorted(used)
    ]


def combinations_tried(run: Path, domain: str) -> set[Combination]:
    """The combinations that prompts of a domain were written for."""
    return {row.concepts for row in _read(run, "synthesis", domain) or ()}


class CoverageSteering:
    """Prefers concepts that were used little, or that did well, as the recipe says.

    With u_i uses of concept i so far (earlier runs' and this one's) and s_i surviving prompts of earlier runs:
    `rare` is ((1 + mean u) / (1 + u_i)) ** strength, `yield` is (y_i / y) ** strength with
    y_i = (s_i + PRIOR y) / (u_i + PRIOR) and y the share of all earlier prompts that survived.
    """

    def __init__(self, names: Sequence[str], settings: Coverage, earlier: Iterable[ConceptUse]) -> None:
        self._settings = settings
        uses = {use.concept: (use.used, use.survived) for use in _joined(earlier)}
        found = np.array([uses.get(name, (0, 0)) for name in names], dtype=np.float64).reshape(-1, 2)
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


def _joined(uses: Iterable[ConceptUse]) -> list[ConceptUse]:
    used: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for use in uses:
        used[use.concept] += use.used
        survived[use.concept] += use.survived
    return [ConceptUse(concept, used[concept], survived[concept], None, None) for concept in used]


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    concepts: Combination
    kept: bool


def _read(run: Path, stage: str, domain: str) -> list[_Row] | None:
    file = run / "stages" / stage / "prompts.parquet"
    if not file.exists():
        return None
    rows = []
    for table in read_columns(file, Prompt, ["id", "domain", "concepts", "dropped"]):
        columns = (table[name].to_pylist() for name in ("id", "domain", "concepts", "dropped"))
        rows += [_Row(i, tuple(c), not dropped) for i, d, c, dropped in zip(*columns, strict=True) if d == domain]
    return rows


def _labelled(run: Path, curated: list[_Row] | None) -> list[_Row] | None:
    file = run / "stages" / "labelling" / "tasks.parquet"
    if curated is None or not file.exists():
        return None
    left: set[str] = set()
    for table in read_columns(file, LabelledTask, ["prompt_id", "dropped"]):
        pairs = zip(table["prompt_id"].to_pylist(), table["dropped"].to_pylist(), strict=True)
        left |= {prompt for prompt, dropped in pairs if not dropped}
    return [_Row(row.id, row.concepts, row.id in left) for row in curated]


def _of_kept(rows: Iterable[_Row]) -> Counter[str]:
    return Counter(concept for row in rows if row.kept for concept in row.concepts)
