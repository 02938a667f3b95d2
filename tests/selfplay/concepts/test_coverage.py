"""What became of each concept, and how the sampler is steered by it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfplay.concepts.bank import bank_of
from selfplay.concepts.choice import choice_files, choice_of
from selfplay.concepts.coverage import (
    PRIOR,
    ConceptUse,
    CoverageSteering,
    combinations_tried,
    concept_uses,
    earlier_uses,
)
from selfplay.concepts.sampler import FEW, ConceptSampler, plan
from selfplay.config.recipe import Recipe
from selfplay.config.synthesis import Coverage
from selfplay.run.files import RunError, write_json
from selfplay.run.records import LabelledTask, Prompt, Seed
from selfplay.run.tables import write_table
from tests.selfplay.plans import put_plan
from verifiers.model import Task

SEEDS = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c")]


def prompt(number: int, concepts: tuple[str, ...], dropped: str = "", domain: str = "math") -> Prompt:
    return Prompt(str(number), domain, concepts, "easy", "z", f"problem {number}", "", dropped, "m", 0.8, 0)


def task(number: int, dropped: str = "") -> LabelledTask:
    return LabelledTask(f"t{number}", str(number), "math", Task("x", "1"), 1.0, 0.5, dropped, None)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A run whose concept a did badly, and whose concept b did well."""
    run = tmp_path / "earlier"
    made = [
        prompt(1, ("a", "b")),
        prompt(2, ("a", "c"), "parse: no problem block"),
        prompt(3, ("a", "d")),
        prompt(4, ("b", "c")),
        prompt(5, ("b", "c")),
        prompt(6, ("x", "y"), domain="code"),
    ]
    curated = [made[0], prompt(3, ("a", "d"), "too short"), made[3], made[4]]
    write_json(run / "recipe.json", {"name": "earlier"})
    put_plan(run)
    write_table(run / "stages/synthesis/prompts.parquet", Prompt, made)
    write_table(run / "stages/curation/prompts.parquet", Prompt, curated)
    write_table(run / "stages/labelling/tasks.parquet", LabelledTask, [task(1, "label: tie"), task(4), task(5)])
    return run


def test_uses_are_counted_stage_by_stage(earlier: Path) -> None:
    assert concept_uses(earlier, "math") == [
        ConceptUse("a", 3, 2, 1, 0),
        ConceptUse("b", 3, 3, 3, 2),
        ConceptUse("c", 3, 2, 2, 2),
        ConceptUse("d", 1, 1, 0, 0),
    ]
    assert combinations_tried(earlier, "math") == {("a", "b"), ("a", "c"), ("a", "d"), ("b", "c")}


def test_a_run_that_is_not_that_far_tells_what_it_knows(earlier: Path) -> None:
    (earlier / "stages/labelling/tasks.parquet").unlink()
    assert [use.survived for use in concept_uses(earlier, "math")] == [1, 3, 2, 0]
    (earlier / "stages/curation/prompts.parquet").unlink()
    assert [use.survived for use in concept_uses(earlier, "math")] == [2, 3, 2, 1]
    (earlier / "stages/synthesis/prompts.parquet").unlink()
    assert concept_uses(earlier, "math") == []


def second_round(run: Path) -> None:
    """Prompts of a second round, of which nothing is labelled yet."""
    made = [prompt(11, ("c", "e")), prompt(12, ("a", "e"), "parse: no problem block"), prompt(13, ("b", "e"))]
    write_table(run / "stages/synthesis_2/prompts.parquet", Prompt, made)
    write_table(run / "stages/curation_2/prompts.parquet", Prompt, [made[0], prompt(13, ("b", "e"), "too short")])


def test_uses_of_all_rounds_are_summed(earlier: Path) -> None:
    second_round(earlier)
    assert concept_uses(earlier, "math") == [
        ConceptUse("a", 4, 2, 1, 0),
        ConceptUse("b", 4, 4, 3, 2),
        ConceptUse("c", 4, 3, 3, 2),
        ConceptUse("d", 1, 1, 0, 0),
        ConceptUse("e", 3, 2, 1, None),
    ]
    assert concept_uses(earlier, "math", 2)[1:] == [
        ConceptUse("b", 1, 1, 0, None),
        ConceptUse("c", 1, 1, 1, None),
        ConceptUse("e", 3, 2, 1, None),
    ]
    assert ("a", "e") in combinations_tried(earlier, "math")
    with pytest.raises(RunError, match="has made no prompts for it"):
        concept_uses(earlier, "math", 3)
    write_table(earlier / "stages/labelling_2/tasks.parquet", LabelledTask, [task(11)])
    assert concept_uses(earlier, "math")[2] == ConceptUse("c", 4, 3, 3, 3)


def test_the_newest_labels_count(earlier: Path) -> None:
    tasks = [task(1), task(4), task(5, "label: tie")]
    write_table(earlier / "stages/relabelling_2/tasks.parquet", LabelledTask, tasks)
    assert [use.labelled for use in concept_uses(earlier, "math")] == [1, 2, 1, 0]


def test_a_round_survives_as_far_as_it_has_come(earlier: Path) -> None:
    """Else the concepts of a round that is not labelled yet would look barren to a later run."""
    second_round(earlier)
    names = ("a", "b", "c", "d", "e")
    steering = CoverageSteering(names, Coverage(prefer="yield", runs=("earlier",)), earlier_uses(earlier, "math"))
    used, survived = np.array([4.0, 4, 4, 1, 3]), np.array([0.0, 2, 3, 0, 1])
    share = survived.sum() / used.sum()
    assert steering.preference() == pytest.approx((survived + PRIOR * share) / (used + PRIOR) / share)


def test_preferences_are_as_their_formulas_say() -> None:
    uses = [ConceptUse("a", 6, 0, None, None), ConceptUse("b", 2, 2, None, None)]
    names = ("a", "b", "new")
    used, survived, share = np.array([6.0, 2.0, 0.0]), np.array([0.0, 2.0, 0.0]), 2 / 8
    rare = (1 + used.mean()) / (1 + used)
    yields = (survived + PRIOR * share) / (used + PRIOR) / share
    runs = ("earlier",)
    for prefer, expected in (("rare", rare), ("yield", yields), ("both", rare * yields)):
        steering = CoverageSteering(names, Coverage(prefer=prefer, strength=0.5, runs=runs), uses)  # type: ignore[arg-type]
        assert steering.preference() == pytest.approx(expected**0.5)
    assert yields[2] == pytest.approx(1.0), "a concept nobody knows is taken to be average"
    steering = CoverageSteering(names, Coverage(), uses)
    before = steering.preference()
    steering.use(np.array([1, 2]))
    assert (steering.preference()[[1, 2]] / steering.preference()[0] < before[[1, 2]] / before[0]).all()


def test_yield_needs_earlier_runs() -> None:
    with pytest.raises(ValueError, match="name runs"):
        Coverage(prefer="yield")


@pytest.mark.parametrize("concepts", [40, FEW + 100], ids=["one by one", "side by side"])
def test_steering_spreads_the_use_of_concepts(concepts: int) -> None:
    rng = random.Random(0)
    names = [f"c{number:04d}" for number in range(concepts)]
    weights = [1 / (rank + 1) for rank in range(concepts)]
    seeds = [tuple(dict.fromkeys(rng.choices(names, weights, k=3))) for _ in range(3 * concepts)]
    bank = bank_of(seeds, dict.fromkeys(names, 1.0))

    def share_of_unused(steering: CoverageSteering | None) -> float:
        sampler = ConceptSampler(bank, 1.0, steering=steering)
        drawn = plan(sampler, [(3, "easy")], 2 * concepts, random.Random(1))
        used = Counter(concept for combination, _ in drawn for concept in combination)
        return 1 - len(used) / concepts

    plain = share_of_unused(None)
    steered = share_of_unused(CoverageSteering(bank.names, Coverage(strength=2.0), []))
    assert steered < 0.7 * plain


def recipe(tmp_path: Path, **synthesis: Any) -> Recipe:
    seeds = {"kind": "quickstart", "grammar": "math"}
    return Recipe.model_validate(
        {"name": "r", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": seeds}}, "synthesis": synthesis}
    )


def seed(concepts: tuple[str, ...], level: str) -> Seed:
    return Seed("".join(concepts), "math", "train", "s", concepts, level, "z", Task("x", "1"), "", None)


def test_the_choice_is_the_seeds_own_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    seeds = [seed(("a", "b"), "easy"), seed(("a", "b", "c"), "hard"), seed((), "unknown")]
    plain = choice_of(recipe(tmp_path), "math", seeds, [], None)
    assert plain.sampler.bank.names == ("a", "b", "c")
    assert plain.shapes == [(2, "easy"), (3, "hard")]
    (tmp_path / "own.txt").write_text("red\ngreen\nblue\n")
    own = {"math": {"file": str(tmp_path / "own.txt"), "size": 2, "levels": ["AMC12", "AIME"]}}
    chosen = choice_of(recipe(tmp_path, concepts=own), "math", seeds, [], None)
    assert chosen.sampler.bank.names == ("blue", "green", "red")
    assert set(chosen.shapes) == {(2, "AMC12"), (2, "AIME")}
    drawn = plan(chosen.sampler, chosen.shapes, 3, random.Random(0))
    assert {c for c, _ in drawn} == {("blue", "green"), ("blue", "red"), ("green", "red")}
    (tmp_path / "triples.jsonl").write_text('{"concepts": ["red", "blue"], "level": "HMMT"}\n')
    triples = choice_of(
        recipe(tmp_path, concepts={"math": {"file": str(tmp_path / "triples.jsonl")}}), "math", seeds, [], None
    )
    assert triples.shapes == [(2, "HMMT")]


def test_combinations_of_earlier_runs_are_not_drawn_again(earlier: Path, tmp_path: Path) -> None:
    seeds = [seed(concepts, "easy") for concepts in SEEDS]
    chosen = choice_of(recipe(tmp_path, coverage={"runs": [str(earlier)]}), "math", seeds, [], None)
    drawn = plan(chosen.sampler, chosen.shapes, 2, random.Random(0))
    assert {combination for combination, _ in drawn} == {("b", "d"), ("c", "d")}


def test_what_is_read_of_other_files_is_part_of_the_inputs(earlier: Path, tmp_path: Path) -> None:
    assert choice_files(recipe(tmp_path)) == ""
    settings = recipe(tmp_path, coverage={"runs": [str(earlier)]})
    before = choice_files(settings)
    write_table(earlier / "stages/labelling/tasks.parquet", LabelledTask, [])
    assert choice_files(settings) != before
    before = choice_files(settings)
    second_round(earlier)
    assert choice_files(settings) != before
    with pytest.raises(RunError, match="is not a run directory"):
        choice_files(recipe(tmp_path, coverage={"runs": [str(tmp_path / "nowhere")]}))
