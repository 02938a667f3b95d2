"""The concepts, sizes and levels that a domain's new prompts are made of: its seeds', or as the recipe says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfplay.concepts.bank import Combination, Embed, bank_of
from selfplay.concepts.coverage import CoverageSteering, combinations_tried, earlier_uses
from selfplay.concepts.listing import ConceptList, read_concept_list
from selfplay.concepts.sampler import ConceptSampler, shapes_of
from selfplay.config.recipe import Recipe
from selfplay.run.directory import read_run
from selfplay.run.files import contents_hash
from selfplay.run.records import Seed
from selfplay.watching.rounds import prompt_rounds, table_file


@dataclass(frozen=True, slots=True)
class CombinationSource:
    """The concepts from which combinations are drawn."""

    sampler: ConceptSampler
    shapes: list[tuple[int, str]]
    """(number of concepts, level), drawn uniformly."""


def choice_of(
    recipe: Recipe, domain: str, seeds: Sequence[Seed], reserved: Iterable[Combination], embed: Embed | None
) -> CombinationSource:
    """The concepts from which a domain's combinations are drawn.

    Args:
        reserved: combinations that are never drawn.
        embed: gives vectors, where the recipe wants embeddings.

    Raises:
        SeedError: the recipe's list of concepts cannot be used.
        RunError: an earlier run is none.
        RecordError: a table of an earlier run is damaged.
    """
    settings = recipe.synthesis
    seeded = [(seed.concepts, seed.level) for seed in seeds if seed.concepts]
    own = settings.concepts.get(domain)
    listed = ConceptList([concepts for concepts, _ in seeded])
    if own is not None and own.file is not None:
        listed = read_concept_list(Path(own.file))
    bank = bank_of(listed.combinations, listed.counts, embed)
    shapes = listed.shapes or shapes_of(seeded)
    if own is not None:
        shapes = [(own.size or size, level) for size, level in shapes]
        shapes = [(size, level) for size, _ in shapes for level in own.levels] if own.levels else shapes
    taken, steering = set(reserved), None
    if settings.coverage is not None:
        runs = earlier_runs(recipe)
        uses = [use for run in runs for use in earlier_uses(run, domain)]
        steering = CoverageSteering(bank.names, settings.coverage, uses)
        taken |= {combination for run in runs for combination in combinations_tried(run, domain)}
    return CombinationSource(ConceptSampler(bank, settings.concept_temperature, taken, steering), shapes)


def earlier_runs(recipe: Recipe) -> list[Path]:
    """The runs whose prompts count for coverage. Raises RunError where there is no run."""
    runs = [Path(run) for run in recipe.synthesis.coverage.runs] if recipe.synthesis.coverage else []
    for run in runs:
        read_run(run)
    return runs


def choice_files(recipe: Recipe) -> str:
    """A hash of the files outside of the run that the choice reads; empty where it reads none."""
    files = [Path(own.file) for own in recipe.synthesis.concepts.values() if own.file is not None]
    for run in earlier_runs(recipe):
        for own in prompt_rounds(run):
            files += [table_file(run, stage, "prompts") for stage in (own.synthesis, own.curation)]
            files += [table_file(run, own.labelled, "tasks")] if own.labelled else []
    return contents_hash(files) if files else ""
