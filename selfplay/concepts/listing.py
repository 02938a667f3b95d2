"""A user's list of concepts: one a line, or JSON lines with counts or with whole combinations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfplay.concepts.bank import Combination
from selfplay.seeds.rows import SeedError
from verifiers.untrusted.files import json_object, lines_of

LONGEST = 200
"""Most characters of a concept."""
LONGEST_LINE = 1 << 16
REMEDY = (
    'write {"concept": "modular arithmetic"}, {"concept": "modular arithmetic", "count": 12}, '
    'or {"concepts": ["modular arithmetic", "counting"], "level": "AIME"}'
)
SETS = ("concepts", "foundational_concepts")
"""Columns of whole combinations: ours, and that of released rows."""


@dataclass(slots=True)
class ConceptList:
    """The content of a list."""

    combinations: list[Combination] = field(default_factory=list)
    """Concepts that occur together."""
    counts: dict[str, float] = field(default_factory=dict)
    """Occurrences of concepts that stand alone."""
    shapes: list[tuple[int, str]] = field(default_factory=list)
    """(number of concepts, level) of the combinations that name a level."""


def read_concept_list(path: Path) -> ConceptList:
    """Reads a list: JSON lines when the file ends in `.jsonl`, else one concept a line.

    Blanks around concepts go; one that is named twice counts twice.

    Raises:
        SeedError: a line that is neither, or a file without any.
    """
    found = ConceptList()
    for number, line in lines_of(path, LONGEST_LINE, SeedError):
        where = f"{path}, line {number}"
        if path.suffix == ".jsonl":
            _add(found, _row(line, where), where)
        else:
            _count(found, _concept(_decoded(line, where), where), 1.0)
    if not found.combinations and not found.counts:
        raise SeedError(f"{path}: names no concept; put one on each line")
    return found


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise SeedError(f"{where}: is not UTF-8 ({error})") from error


def _row(line: bytes, where: str) -> dict[str, Any]:
    row = json_object(line, where, SeedError, f"; {REMEDY}")
    if len(row.keys() & {"concept", *SETS}) != 1:
        raise SeedError(f"{where}: needs either `concept` or `concepts`; {REMEDY}")
    return row


def _add(found: ConceptList, row: dict[str, Any], where: str) -> None:
    if "concept" in row:
        count = row.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int | float) or not 0 < count < 1e12:
            raise SeedError(f"{where}: `count` must be a number above 0; {REMEDY}")
        _count(found, _concept(row["concept"], where), float(count))
        return
    concepts, level = next(row[name] for name in SETS if name in row), row.get("level")
    if not isinstance(concepts, list) or not concepts:
        raise SeedError(f"{where}: `concepts` must be a list of texts; {REMEDY}")
    combination = tuple(dict.fromkeys(_concept(concept, where) for concept in concepts))
    found.combinations.append(combination)
    if level is not None:
        if not isinstance(level, str) or not level.strip():
            raise SeedError(f"{where}: `level` must be a text; {REMEDY}")
        found.shapes.append((len(combination), level.strip()))


def _concept(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SeedError(f"{where}: a concept must be a text; {REMEDY}")
    if len(value.strip()) > LONGEST:
        raise SeedError(f"{where}: a concept has more than {LONGEST} characters; name it more shortly")
    return value.strip()


def _count(found: ConceptList, concept: str, count: float) -> None:
    found.counts[concept] = found.counts.get(concept, 0.0) + count
