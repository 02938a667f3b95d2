"""The shipped recipes fit on the machines that they name, and what they say of it is what the plan says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from selfplay.config.section import PretrainedModel
from selfplay.config.seeds import FileSeeds
from selfplay.planning.machine import named, of_nodes
from selfplay.planning.plan import outlook
from selfplay.planning.rates import Rates
from selfplay.planning.remedies import demand_fit
from selfplay.planning.view import MARK, note_of, write_note

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
RECIPES = sorted(CONFIGS.glob("*.yaml"))
QWEN = [file for file in RECIPES if file.stem.startswith("qwen")]


@pytest.mark.parametrize("file", QWEN, ids=lambda file: file.stem)
def test_what_a_recipe_says_of_its_plan_is_what_the_plan_says(file: Path) -> None:
    """Its own command, with `--note`, mends it: `selfplay plan FILE --gpus 8x80 --seeds 15587 --note`."""
    (line,) = [line for line in file.read_text().splitlines() if line.startswith(MARK)]
    found = re.match(rf"{MARK}(--(gpus|nodes) (\S+)) --seeds (\d+):", line)
    assert found is not None
    machine = named(found[3]) if found[2] == "gpus" else of_nodes(found[3])
    recipe = load_recipe(file)
    assert recipe.compute.executor == ("local" if machine.nodes == 1 else "ray")
    plan = outlook(recipe, machine, Rates(), int(found[4]))
    demand_fit(plan)
    assert line == note_of(plan, found[1], int(found[4]))


@pytest.mark.parametrize("file", QWEN, ids=lambda file: file.stem)
def test_real_models_are_served_by_vllm(file: Path) -> None:
    recipe = load_recipe(file)
    assert isinstance(recipe.model, PretrainedModel)
    assert recipe.engine.kind == "vllm"


@pytest.mark.parametrize("file", QWEN, ids=lambda file: file.stem)
def test_real_models_are_kept_from_their_benchmarks_and_labelled_by_more_than_themselves(file: Path) -> None:
    recipe = load_recipe(file)
    assert {"aime24", "aime25", "hmmt25", "math500"} <= set(recipe.curation.benchmarks)
    policy, larger = recipe.labelling.labellers["policy"], recipe.labelling.labellers["larger"]
    alone, together = policy.samples * policy.weight, larger.samples * larger.weight
    assert alone / (alone + together) < recipe.labelling.min_agreement <= together / (alone + together)
    for domain in recipe.domains.values():
        assert isinstance(domain.seeds, FileSeeds)
        assert domain.seeds.heldout is None or "problems-" in str(domain.seeds.heldout), "a tenth of what is given"


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_shipped_recipe_is_planned(file: Path) -> None:
    plan = outlook(load_recipe(file), of_nodes("2x8x80") if file.stem.endswith("2x8") else named("8x80"), Rates())
    demand_fit(plan)
    assert plan.needs


@pytest.mark.parametrize("algorithm", ["grpo", "dpo", "rft"])
def test_the_other_rules_fit_too(algorithm: str) -> None:
    recipe = load_recipe(CONFIGS / "qwen3-4b.yaml", [f"training.algorithm={algorithm}"])
    demand_fit(outlook(recipe, named("8x80"), Rates()))


def test_a_note_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("# First.\n# Second.\nname: x\n\n# Later.\nseed: 1\n")
    write_note(file, MARK + "one")
    write_note(file, MARK + "two")
    assert file.read_text() == f"# First.\n# Second.\n{MARK}two\nname: x\n\n# Later.\nseed: 1\n"
