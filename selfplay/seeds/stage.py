"""The seeds stage: problems to start from, of whichever source, as one table a domain and split."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from selfplay.config.domains import Domain
from selfplay.config.recipe import Recipe
from selfplay.config.rows import DatasetRows, FileRows, RowField
from selfplay.config.seeds import DatasetSeeds, FileSeeds, ProceduralSeeds, QuickstartSeeds, UserSeeds
from selfplay.quickstart import procedural, seeds
from selfplay.quickstart.seed_problem import SeedProblem, Split
from selfplay.run.directory import Stage
from selfplay.run.files import contents_hash
from selfplay.run.records import Seed
from selfplay.run.results import SeedsResult
from selfplay.run.seeding import content_id, derive
from selfplay.seeds.rows import SeedError, files_of, rows_of
from verifiers.model import Task, Test
from verifiers.programs.task_rows import read_task

Decontaminate = Callable[[Mapping[Split, list[Seed]]], Mapping[Split, list[Seed]]]
SPLITS: tuple[Split, ...] = ("train", "dev", "heldout")
UNANSWERED = ("", "; or set seeds.answers to optional")
"""The remedy for problems without answers, elsewhere and among those for training."""
ANNOTATIONS = frozenset(("concepts", "rationale"))
_ALONE = ", or set training.pool.arm to external, which trains on the problems as they are"
REMEDY = {
    "problem": "",
    "level": f"; or set seeds.level for all problems that name none{_ALONE}",
    "rationale": f"; or name annotators in cold_start.annotators, which write it{_ALONE}",
    "concepts": f"; or name annotators in cold_start.annotators, which find them{_ALONE}",
}


def seeds_stage(stage: Stage, recipe: Recipe, lacking: Collection[str], without_leaks: Decontaminate) -> SeedsResult:
    """Writes the seeds of every domain and split.

    Args:
        lacking: fields that they may lack; see `load_seeds`.
        without_leaks: leaves out a domain's seeds that hold a problem that must stay unseen; those that are generated
            are apart by construction.
    """
    counts, lost = {}, {}
    for name, domain in recipe.domains.items():
        given = {split: load_seeds(recipe.seed, name, domain, split, lacking) for split in SPLITS}
        left = without_leaks(given) if isinstance(domain.seeds, UserSeeds) else given
        for split in SPLITS:
            stage.write(f"{name}-{split}", Seed, left[split])
            counts[f"{name}-{split}"] = len(left[split])
            lost[f"{name}-{split}"] = len(given[split]) - len(left[split])
    return SeedsResult(problems=counts, contaminated={name: count for name, count in lost.items() if count} or None)


def may_lack(recipe: Recipe) -> frozenset[str]:
    """The fields that seeds need not have: annotators write them, or nothing is synthesised from them."""
    if not recipe.synthesises:
        return ANNOTATIONS | {"level"}
    return ANNOTATIONS if recipe.cold_start.annotators else frozenset()


def load_seeds(seed: int, name: str, domain: Domain, split: Split, lacking: Collection[str] = ()) -> list[Seed]:
    """The seeds of one domain and split.

    Args:
        seed: the run's, for problems that are generated.
        split: which of its problems.
        lacking: fields of `may_lack`, without which the user's problems are whole.

    Raises:
        SeedError: the user's problems have a bad row, or an optional package is missing.
    """
    source = domain.seeds
    if isinstance(source, FileSeeds | DatasetSeeds):
        return _users(name, domain, source, split, lacking)
    count = getattr(source, split)
    return [_row(problem, name, split, source.kind) for problem in _generate(seed, name, source, count, split)]


def _users(
    name: str, domain: Domain, source: FileSeeds | DatasetSeeds, split: Split, lacking: Collection[str]
) -> list[Seed]:
    divided = isinstance(source, FileSeeds) and source.heldout is None and split != "dev"
    rows = source.rows("train" if divided else split)
    if rows is None:
        return []
    optional = split == "train" and source.answers == "optional"
    reader = _SeedReader(name, domain, split, lacking, source.level, optional)
    needed: dict[Sequence[RowField], str] = {("problem",): ""}
    if not optional:
        needed["answer", "tests"] = UNANSWERED[split == "train"]
    found = _each_once((where, reader.seed(where, row, rows)) for where, row in rows_of(rows, needed=needed))
    if not isinstance(source, FileSeeds) or not divided:
        return found
    ids = sorted({seed.id for seed in found})
    held = set(ids[: math.ceil(source.heldout_share * len(ids))])
    return [seed for seed in found if (seed.id in held) is (split == "heldout")]


def _each_once(read: Iterable[tuple[str, Seed]]) -> list[Seed]:
    """The seeds; a problem that comes twice would count twice, or with two answers."""
    places: dict[str, str] = {}
    found = []
    for where, seed in read:
        if seed.id in places:
            raise SeedError(
                f"{where}: has the problem of {places[seed.id]} again: {seed.problem[:80]!r}; keep one of them"
            )
        places[seed.id] = where
        found.append(seed)
    return found


def external_problems(
    name: str, domain: Domain, rows: FileRows | DatasetRows, answers: Literal["required", "optional"]
) -> list[Seed]:
    """External problems of a domain; concepts, level and rationale may be missing.

    Args:
        answers: whether each problem must have an answer or tests.

    Raises:
        SeedError: the file or a row of it cannot be used.
    """
    reader = _SeedReader(name, domain, "train", ANNOTATIONS, "external", answers == "optional")
    return [reader.seed(where, row, rows) for where, row in rows_of(rows)]


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
    users = [one for one in sources if isinstance(one, FileSeeds | DatasetSeeds)]
    return contents_hash(files_of(one.rows(split) for one in users for split in ("train", "dev", "heldout")))


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


class _SeedReader:
    """Makes seeds of rows; every complaint says where."""

    def __init__(
        self, name: str, domain: Domain, split: Split, lacking: Collection[str], level: str | None, unanswered: bool
    ) -> None:
        self._name, self._domain, self._split = name, domain, split
        # No model learns from the rationale of a held-out problem, so that none is needed.
        self._lacking = {*lacking, "rationale"} if split != "train" else set(lacking)
        self._level, self._unanswered = level, unanswered

    def seed(self, where: str, row: dict[str, Any], rows: FileRows | DatasetRows) -> Seed:
        """The seed of a row."""
        level = self._text(where, "level", row.get("level", self._level))
        rationale = self._text(where, "rationale", row.get("rationale"))
        self._text(where, "problem", row.get("problem"))
        task = self._task(where, row, rows)
        return Seed(
            id=content_id("seed", self._name, task.problem),
            domain=self._name,
            split=self._split,
            source=str(row.get("source", rows.name if isinstance(rows, DatasetRows) else "file")),
            concepts=self._concepts(where, row.get("concepts")),
            level=level,
            rationale=rationale,
            task=task,
            solution=str(row.get("solution", "")),
            solution_is_right=True if row.get("solution") else None,
        )

    def _text(self, where: str, field: str, value: Any) -> str:
        if field in self._lacking and value is None:
            return ""
        # An empty rationale is none; a level or a problem is something else than nothing.
        if not isinstance(value, str) or not (value.strip() or (field == "rationale" and field in self._lacking)):
            found = "" if value is None else f", not {'empty' if isinstance(value, str) else type(value).__name__}"
            raise SeedError(f"{where}: `{field}` must be a text{found}{REMEDY[field]}")
        return value

    def _concepts(self, where: str, value: Any) -> tuple[str, ...]:
        optional = "concepts" in self._lacking
        concepts = [] if value is None and optional else value
        whole = isinstance(concepts, list) and all(isinstance(c, str) and c.strip() for c in concepts)
        if not whole or not (concepts or optional):
            raise SeedError(
                f'{where}: `concepts` must be a list of texts, such as ["modular arithmetic", "counting"]'
                + REMEDY["concepts"]
            )
        return tuple(concepts)

    def _task(self, where: str, row: dict[str, Any], rows: FileRows | DatasetRows) -> Task:
        programs = self._domain.runs_programs
        # Elsewhere a column of that name is about something else, such as the language that the problem is written in.
        named = dict(row) if programs or row.get("tests") else {name: row.get(name) for name in ("problem", "answer")}
        if isinstance(answer := named.get("answer"), str) and not answer.strip():
            named["answer"] = None

        def fault(field: str, what: str) -> SeedError:
            column = {str(ours): theirs for ours, theirs in rows.fields.items()}.get(field)
            return SeedError(f"{where}: `{field}`{f' (column {column!r})' if column else ''} {what}")

        task = read_task(named, fault, programs)
        if task.answer is None and not task.tests and not self._unanswered:
            remedy = UNANSWERED[self._split == "train"]
            raise SeedError(f"{where}: needs `answer` or `tests`, and both are empty; fill one of them in{remedy}")
        return task
