"""The needs of single stages, by what a recipe says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from selfplay.planning.machine import named
from selfplay.planning.need import Need
from selfplay.planning.plan import outlook
from selfplay.planning.rates import Rates
from selfplay.run.plan import Kind, PlannedStage

RECIPE = Path(__file__).resolve().parents[3] / "configs" / "qwen3-4b.yaml"


def needs(kind: Kind, *overrides: str, number: int = 1, seeds: int = 1000) -> dict[str, Need]:
    recipe = load_recipe(RECIPE, overrides)
    plan = outlook(recipe, named("8x80"), Rates(), seeds, only=PlannedStage(kind, number))
    return {need.what: need for need in plan.needs}


def test_an_e_step_that_learns_nothing_trains_no_q() -> None:
    assert set(needs(Kind.EM)) == {"rationales", "likelihoods", "q", "p"}
    assert set(needs(Kind.EM, "em.e_step=frozen")) == {"rationales", "likelihoods", "p"}
    assert set(needs(Kind.EM, "em.rationales=false")) == {"p"}


def test_soft_assignment_scores_each_rationale_by_both_models() -> None:
    hard, soft = (needs(Kind.EM, f"em.assignment={how}", "em.heldout_pairs=1") for how in ("hard", "soft"))
    assert soft["likelihoods"].tokens == pytest.approx(2 * hard["likelihoods"].tokens, rel=0.05)
    assert soft["rationales"].tokens == hard["rationales"].tokens


def test_steps_that_are_counted_bound_a_training_whatever_its_data() -> None:
    args = "training.rft.args.max_steps"
    few, many = (needs(Kind.SELFPLAY, "training.algorithm=rft", f"{args}={steps}")["rft"] for steps in (10, 20))
    assert many.tokens == pytest.approx(2 * few.tokens, rel=0.01)
    assert needs(Kind.SELFPLAY, "training.algorithm=rft", f"{args}=10", seeds=9000)["rft"].tokens == few.tokens


def test_suites_are_measured_in_their_rounds_alone() -> None:
    suites = "evaluation.suites={names: [aime24], every: 2}"
    assert [set(needs(Kind.EVALUATION, suites, number=number)) for number in (0, 1, 2)] == [
        {"answers", "suites"},
        {"answers"},
        {"answers", "suites"},
    ]


@pytest.mark.parametrize("kind", [Kind.SEEDS, Kind.OWN, Kind.BASE, Kind.TEACHER, Kind.ANNOTATION])
def test_stages_without_a_model_of_this_machine_need_nothing(kind: Kind) -> None:
    assert needs(kind) == {}
