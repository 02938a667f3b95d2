"""Recipes of labels that cannot work are refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from selfplay.config.labelling import Labelling
from selfplay.config.recipe import Recipe

OTHER = {"engine": {"kind": "local", "name": "org/large"}}
FAR = {"engine": {"kind": "openai", "model": "m", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}}}
CODE = {"seeds": {"kind": "file", "train": "a", "heldout": "b"}, "verifier": "code"}


def recipe(labelling: dict[str, Any], domain: dict[str, Any] | None = None, **more: Any) -> Recipe:
    seeds = {"seeds": {"kind": "quickstart", "grammar": "math"}}
    whole = {"name": "r", "model": {"kind": "scratch"}, "domains": {"d": domain or seeds}, "labelling": labelling}
    return Recipe.model_validate(whole | more)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"drop": ["at_least_half_solved"]}, "the policy labels its own prompts"),
        ({"drop": ["above_half_solved"], "labellers": {"me": {}}}, "the policy labels its own prompts"),
        ({"drop": ["at_least_half_solved"], "difficulty": {}}, "the policy labels its own prompts"),
        ({"drop": ["at_least_half_solved"], "labellers": {"big": OTHER}}, "set difficulty"),
        ({"band": {"low": 0.1, "high": 0.4}}, "raise band.high or lower min_agreement"),
        ({"band": {"low": 0.6, "high": 0.4}}, "low, 0.6, is above high, 0.4"),
        ({"labellers": {"me": {"samples": 1}}}, "one vote agrees with itself"),
        ({"min_tests": 5}, "only 4 tests"),
        ({"inputs": "generated", "min_tests": 3, "test_writer": {"kinds": ["edge_case"]}}, "only 1 tests"),
        ({"votes": "likelihood", "labellers": {"big": OTHER, "far": FAR}}, "which labellers.far does not give"),
        ({"verification": {"template": "{problem}"}}, "template lacks the field {solution}"),
        ({"test_writer": {"template": "{problem}"}}, "template lacks the field {kind}"),
    ],
)
def test_what_cannot_work(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        recipe(settings)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"drop": ["always_solved"], "band": {"low": 0.5, "high": 0.9}},
        {"drop": ["at_least_half_solved"], "min_agreement": 0.25},
        {"drop": ["at_least_half_solved"], "labellers": {"big": OTHER}, "difficulty": {"rollouts": 8}},
        {"drop": ["at_least_half_solved"], "labellers": {"big": OTHER, "me": {}}, "difficulty": {}},
        {"drop": ["at_least_half_solved"], "votes": "likelihood"},
        {"band": {"high": 0.4}, "votes": "likelihood", "min_agreement": 0.75},
        {"drop": ["above_half_solved"], "verification": {}},
        {"drop": ["above_half_solved"], "labellers": {"me": {"weight": 2.0}, "big": OTHER}},
        {"votes": "likelihood", "labellers": {"big": OTHER, "me": {"engine": {"kind": "policy"}}}},
        {"inputs": "generated", "min_tests": 4},
    ],
)
def test_what_can(settings: dict[str, Any]) -> None:
    assert isinstance(recipe(settings).labelling, Labelling)


def test_programs_of_the_users_own_seeds_need_inputs() -> None:
    with pytest.raises(ValidationError, match=r"or labelling\.inputs to generated"):
        recipe({}, CODE)
    assert recipe({"inputs": "generated"}, CODE).labelling.inputs == "generated"
    assert recipe({}, CODE | {"shared_input_format": True}).labelling.inputs == "seeds"
