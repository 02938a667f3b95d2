"""Each stage is told of in one line, whatever the recipe."""

from __future__ import annotations

import pytest

from selfplay.config.load import load_recipe
from selfplay.config.values.places import shipped_recipes
from selfplay.pipeline.lines import line_of
from selfplay.planning.stages import stages_of
from selfplay.run.plan import Kind


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_stage_of_every_shipped_recipe_has_a_line(name: str) -> None:
    recipe = load_recipe(name)
    for stage in stages_of(recipe):
        line = line_of(recipe, stage.kind)
        assert line, stage
        assert "\n" not in line


@pytest.mark.parametrize(
    ("kind", "override", "told"),
    [
        (Kind.COLD_START, "cold_start.enabled=false", "none: p and q are the generator as it is"),
        (Kind.COLD_START, "em.rationales=false", "without rationales"),
        (Kind.EM, "em.e_step=frozen", "rationales of q, which is frozen"),
        (Kind.EM, "em.e_step=annotated", "the seeds' own rationales"),
        (Kind.EM, "em.rationale_weight=0.5", "0.5 log p(z|c)"),
        (Kind.SYNTHESIS, "synthesis.passes=3", "in each of 3 passes"),
        (Kind.CURATION, "curation.drop=[proof]", "drop proof"),
        (Kind.LABELLING, "labelling.verification={}", "a second look"),
        (Kind.SELECTION, "training.selection={problems: 50, patience: 2}", "2 rounds without a better one end the run"),
        (Kind.SELFPLAY, "training.rewards=shuffled", "control: shuffled rewards"),
        (Kind.SELFPLAY, "training.algorithm=continued_sft", "continued_sft on the seeds' solutions"),
        (Kind.RELABELLING, "labelling.relabelling={votes: all}", "all labels are voted on again"),
        (Kind.FEEDBACK, "training.pool.each_round=resynthesise", "nothing"),
    ],
)
def test_a_setting_shows_in_the_line_of_its_stage(kind: Kind, override: str, told: str) -> None:
    dev = [f"domains.{name}.seeds.dev=100" for name in load_recipe("quickstart").domains]
    assert told in line_of(load_recipe("quickstart", [override, *dev]), kind)
