"""The seeds stage: problems to start from, of whichever source, as one table a domain and split."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from selfplay.config import Domain, FileSeeds, ProceduralSeeds, QuickstartSeeds, Recipe
from selfplay.quickstart import procedural, seeds
from selfplay.quickstart.seed_problem import SeedProblem, Split
from selfplay.records import Seed, TestCase
from selfplay.run import Stage
from selfplay.seeding import content_id, derive

SPLITS: tuple[Split, ...] = ("train", "dev", "heldout")


class SeedError(ValueError):
    """Seed problems that cannot be used; the message names file, line, field and remedy."""


def seeds_stage(stage: Stage, recipe: Recipe) -> dict[str, Any]:
    """Writes the seeds of every domain and split."""
    counts = {}
    for name, domain in recipe.domains.items():
        for split in SPLITS:
            rows = load_seeds(recipe.seed, name, domain, split)
            stage.write(f"{name}-{split}", Seed, rows)
            counts[f"{name}-{split}"] = len(rows)
    return counts


def load_seeds(seed: int, name: str, domain: Domain, split: Split) -> list[Seed]:
    """The seeds of one domain and split.

    Raises:
        SeedError: a file of the user's has a bad row, or an optional package is missing.
    """
    source = domain.seeds
    if isinstance(source, FileSeeds):
        path = getattr(source, split)
        return [] if path is None else read_seed_file(Path(path), name, split)
    count = getattr(source, split)
    return [_row(problem, name, split, source.kind) for problem in _generate(seed, name, source, count, split)]


def _generate(
    seed: int, name: str, source: QuickstartSeeds | ProceduralSeeds, count: int, split: Split
) -> list[SeedProblem]:
    if count == 0:
        return []
    own = derive(seed, "seeds", name, split)
    try:
        if isinstance(source, QuickstartSeeds):
            return seeds.generate(source.grammar, count, own, split, source.slip_rate)
        return procedural.generate(count, own, split)
    except (ValueError, ImportError) as error:
        raise SeedError(f"domains.{name}.seeds.{split}: {error}") from error


def seed_files(recipe: Recipe) -> str:
    """A hash of the contents of the seed files that a recipe names."""
    digest = hashlib.sha256()
    for domain in recipe.domains.values():
        if isinstance(domain.seeds, FileSeeds):
            for split in SPLITS:
                path = getattr(domain.seeds, split)
                digest.update(b"" if path is None else Path(path).read_bytes())
    return digest.hexdigest()


def _row(problem: SeedProblem, domain: str, split: str, source: str) -> Seed:
    return Seed(
        id=content_id("seed", domain, problem.problem),
        domain=domain,
        split=split,
        source=source,
        concepts=problem.concepts,
        level=problem.level,
        rationale=problem.rationale,
        problem=problem.problem,
        answer=problem.answer,
        tests=tuple(TestCase(i, o) for i, o in problem.tests),
        solution=problem.solution,
        solution_is_right=not problem.slipped,
    )


def read_seed_file(path: Path, domain: str, split: str) -> list[Seed]:
    """Reads JSON lines with problem, concepts, level, rationale, and answer or tests; solution is optional.

    Raises:
        SeedError: a row that lacks a field, or has one of the wrong type.
    """
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                rows.append(_seed_of(line, f"{path}, line {number}", domain, split))
    return rows


def _seed_of(line: bytes, where: str, domain: str, split: str) -> Seed:
    try:
        row = json.loads(line.decode("utf-8"))
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise SeedError(f"{where}: is not JSON in UTF-8 ({error})") from error
    if not isinstance(row, dict):
        raise SeedError(f"{where}: is not a JSON object")
    for field in ("problem", "level", "rationale"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise SeedError(f"{where}: `{field}` must be a text; annotation of bare problems is not there yet")
    concepts = row.get("concepts")
    if not isinstance(concepts, list) or not concepts or not all(isinstance(c, str) and c.strip() for c in concepts):
        raise SeedError(f'{where}: `concepts` must be a list of texts, such as ["modular arithmetic", "counting"]')
    answer = row.get("answer")
    if answer is not None and not isinstance(answer, str | int | float):
        raise SeedError(f"{where}: `answer` must be a text or a number")
    tests = row.get("tests", [])
    whole = isinstance(tests, list) and all(
        isinstance(t, dict) and isinstance(t.get("input"), str) and isinstance(t.get("output"), str) for t in tests
    )
    if not whole:
        raise SeedError(f'{where}: `tests` must be a list of {{"input": text, "output": text}}')
    if answer is None and not tests:
        raise SeedError(f"{where}: needs `answer` or `tests`")
    return Seed(
        id=content_id("seed", domain, row["problem"]),
        domain=domain,
        split=split,
        source=str(row.get("source", "file")),
        concepts=tuple(concepts),
        level=row["level"],
        rationale=row["rationale"],
        problem=row["problem"],
        answer=None if answer is None else str(answer),
        tests=tuple(TestCase(t["input"], t["output"]) for t in tests),
        solution=str(row.get("solution", "")),
        solution_is_right=True if row.get("solution") else None,
    )
