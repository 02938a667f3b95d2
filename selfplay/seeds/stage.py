"""The seeds stage: problems to start from, of whichever source, as one table a domain and split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from selfplay.config.recipe import Domain, Recipe
from selfplay.config.seeds import DatasetSeeds, FileSeeds, ProceduralSeeds, QuickstartSeeds, UserSeeds
from selfplay.quickstart import procedural, seeds
from selfplay.quickstart.seed_problem import SeedProblem, Split
from selfplay.run.directory import Stage
from selfplay.run.files import contents_hash
from selfplay.run.records import Seed
from selfplay.run.results import SeedsResult
from selfplay.run.seeding import content_id, derive
from selfplay.seeds.rows import SeedError, dataset_rows, file_rows, files_of
from verifiers.model import Task, Test
from verifiers.programs.task_rows import read_task

SPLITS: tuple[Split, ...] = ("train", "dev", "heldout")
REMEDY = {
    "problem": "",
    "level": "; or set seeds.level for all problems that name none",
    "rationale": "; or name annotators in cold_start.annotators, which write it",
    "concepts": "; or name annotators in cold_start.annotators, which find them",
}


def seeds_stage(stage: Stage, recipe: Recipe, unannotated: bool) -> SeedsResult:
    """Writes the seeds of every domain and split; `unannotated` ones may lack concepts and rationales."""
    counts = {}
    for name, domain in recipe.domains.items():
        for split in SPLITS:
            rows = load_seeds(recipe.seed, name, domain, split, unannotated)
            stage.write(f"{name}-{split}", Seed, rows)
            counts[f"{name}-{split}"] = len(rows)
    return SeedsResult(problems=counts)


def may_be_unannotated(recipe: Recipe) -> bool:
    """Whether seeds need no concepts and rationales: annotators write them, or nothing is synthesised."""
    return bool(recipe.cold_start.annotators) or not recipe.synthesises


def load_seeds(seed: int, name: str, domain: Domain, split: Split, unannotated: bool = False) -> list[Seed]:
    """The seeds of one domain and split.

    Args:
        seed: the run's, for problems that are generated.
        name: the domain's.
        domain: its settings.
        split: which of its problems.
        unannotated: whether concepts and rationales may be missing, as annotators will write them or nobody needs them.

    Raises:
        SeedError: the user's problems have a bad row, or an optional package is missing.
    """
    source = domain.seeds
    if isinstance(source, UserSeeds):
        place = getattr(source, split)
        if place is None:
            return []
        rows = dataset_rows(source, place) if isinstance(source, DatasetSeeds) else file_rows(Path(place), source)
        return [_seed_of(row, where, name, domain, split, source, unannotated) for where, row in rows]
    count = getattr(source, split)
    return [_row(problem, name, split, source.kind) for problem in _generate(seed, name, source, count, split)]


def external_problems(name: str, domain: Domain, path: str, answers: Literal["required", "optional"]) -> list[Seed]:
    """Problems of a domain from one file; concepts, level and rationale may be missing.

    Args:
        name: the domain's.
        domain: its settings.
        path: of the file.
        answers: whether each problem must have an answer or tests.

    Raises:
        SeedError: the file or a row of it cannot be used.
    """
    source = FileSeeds(kind="file", train=path, heldout=path, level="external", answers=answers)
    rows = file_rows(Path(path), source)
    return [_seed_of(row, where, name, domain, "train", source, True) for where, row in rows]


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
    sources = [domain.seeds for domain in recipe.domains.values()]
    return contents_hash(file for one in sources if isinstance(one, UserSeeds) for file in files_of(one))


def _row(problem: SeedProblem, domain: str, split: str, source: str) -> Seed:
    return Seed(
        id=content_id("seed", domain, problem.problem),
        domain=domain,
        split=split,
        source=source,
        concepts=problem.concepts,
        level=problem.level,
        rationale=problem.rationale,
        task=Task(problem.problem, problem.answer, tuple(Test(i, o) for i, o in problem.tests)),
        solution=problem.solution,
        solution_is_right=not problem.slipped,
    )


def _seed_of(
    row: dict[str, Any], where: str, name: str, domain: Domain, split: str, settings: UserSeeds, unannotated: bool
) -> Seed:
    level = row.get("level", settings.level)
    # No model learns from the rationale of a held-out problem, so that none is needed.
    unneeded = unannotated or split != "train"
    rationale = row.get("rationale", "" if unneeded else None)
    texts = {"problem": row.get("problem"), "level": level, "rationale": rationale}
    for field, value in texts.items():
        if not isinstance(value, str) or not (value.strip() or (unneeded and field == "rationale")):
            raise SeedError(f"{where}: `{field}` must be a text{REMEDY[field]}")
    concepts = row.get("concepts", [] if unannotated else None)
    whole = isinstance(concepts, list) and all(isinstance(c, str) and c.strip() for c in concepts)
    if not whole or not (concepts or unannotated):
        raise SeedError(
            f'{where}: `concepts` must be a list of texts, such as ["modular arithmetic", "counting"]'
            + REMEDY["concepts"]
        )
    # Elsewhere a column of that name is about something else, such as the language that the problem is written in.
    named = row if domain.runs_programs or row.get("tests") else {name: row.get(name) for name in ("problem", "answer")}
    task = read_task(named, lambda field, fault: SeedError(f"{where}: `{field}` {fault}"), domain.runs_programs)
    if task.answer is None and not task.tests and (split != "train" or settings.answers == "required"):
        remedy = "; or set seeds.answers to optional" if split == "train" else ""
        raise SeedError(f"{where}: needs `answer` or `tests`{remedy}")
    return Seed(
        id=content_id("seed", name, task.problem),
        domain=name,
        split=split,
        source=str(row.get("source", settings.source_name)),
        concepts=tuple(concepts or ()),
        level=str(level),
        rationale=str(texts["rationale"]),
        task=task,
        solution=str(row.get("solution", "")),
        solution_is_right=True if row.get("solution") else None,
    )
