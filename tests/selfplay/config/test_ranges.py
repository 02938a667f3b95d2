"""Every number of the schema: what no run could use is refused when the recipe is read, in one sentence."""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from selfplay.config.load import RecipeError, recipe_of
from selfplay.config.recipe import Recipe

VALUES = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "1e308": 1e308,
    "huge": 10**5000,
    "-huge": -(10**400),
    "true": True,
    "text": "1",
}
NEGATIVE = {"EMStop.min_gain", "EM.min_reward"}
"""May be below 0: a gain in nats, and a log-likelihood."""
NEEDED: dict[str, dict[str, Any]] = {
    "Annotator": {"engine": {"kind": "local", "name": "m"}},
    "PromptJudge": {"engine": {"kind": "local", "name": "m"}},
    "PromptSolver": {"engine": {"kind": "local", "name": "m"}},
    "Teacher": {"engine": {"kind": "local", "name": "m"}},
    "OpenAIEngine": {"kind": "openai", "model": "m", "endpoint": {"base_url": "http://127.0.0.1/v1"}},
    "Endpoint": {"base_url": "http://127.0.0.1/v1"},
    "ScratchModel": {"kind": "scratch"},
    "Judging": {"judges": {"a": {"engine": {"kind": "local", "name": "m"}}}},
    "Solving": {"solvers": {"a": {"engine": {"kind": "local", "name": "m"}}}},
    "QuickstartSeeds": {"kind": "quickstart", "grammar": "math"},
    "ProceduralSeeds": {"kind": "reasoning_gym"},
}


def flat(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in typing.get_args(annotation):
        yield from flat(inner)


def sections(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for kind in flat(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from sections(kind, seen)


LEAVES = [
    (section, name)
    for section in sections(Recipe, set())
    for name, field in section.model_fields.items()
    if {int, float} & {kind for kind in flat(field.annotation) if kind in (int, float)}
]


def test_there_are_many_numbers() -> None:
    assert len(LEAVES) > 100
    assert len({section for section, _ in LEAVES}) > 30


@pytest.mark.parametrize("name", VALUES)
def test_a_number_is_usable_or_refused(name: str) -> None:
    """By section, which is where the bounds stand."""
    value, wrong = VALUES[name], []
    for section, field in LEAVES:
        kinds = (
            set(flat(section.model_fields[field].annotation))
            if False
            else list(flat(section.model_fields[field].annotation))
        )
        whole = int in kinds and float not in kinds
        given = [value] if any(typing.get_origin(kind) is tuple for kind in kinds) else value
        try:
            made = section.model_validate(NEEDED.get(section.__name__, {}) | {field: given})
        except ValueError:
            continue
        found = getattr(made, field)
        found = found[0] if isinstance(found, tuple) else found
        where = f"{section.__name__}.{field}"
        if found is None or bool in kinds:
            continue
        if isinstance(found, bool) or not abs(found) <= 1e15 or (whole and not isinstance(found, int)):
            wrong.append(where)
        if found < 0 and where not in NEGATIVE:
            wrong.append(where)
    assert wrong == []


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize(
    "place",
    ["seed", "em.rounds", "em.stop.min_gain", "training.sampling.temperature", "evaluation.temperatures.0",
     "synthesis.prompts", "synthesis.prompts.m", "training.grpo.args.learning_rate", "engine.args.x",
     "domains.m.verifier_params.deep.x", "training.lora.r"],
)  # fmt: skip
def test_a_recipe_says_it_in_one_sentence(place: str, value: Any) -> None:
    nested: Any = value
    for part in reversed(place.split(".")[1:]):
        nested = [nested] if part == "0" else {part: nested}
    settings = {
        "name": "r",
        "model": {"kind": "scratch"},
        "domains": {"m": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
    }
    top = place.split(".", maxsplit=1)[0]
    if top == "domains":
        settings["domains"]["m"] |= nested["m"]  # type: ignore[index]
    else:
        settings[top] = nested
    try:
        recipe = recipe_of(settings)
    except RecipeError as error:
        said = str(error)
    else:
        said = "the recipe: can be written, " + json.dumps(recipe.model_dump(mode="json"), allow_nan=False)[:9]
    assert said.startswith("the recipe: ")
    assert len(said) < 1000


def test_lines_of_recipes_name_the_number(tmp_path: Path) -> None:
    from selfplay.config.load import load_recipe

    (tmp_path / "r.yaml").write_text(
        "name: r\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: quickstart, grammar: math}}}\n"
        "training:\n  sampling:\n    temperature: .nan\n"
    )
    with pytest.raises(RecipeError, match=r"r.yaml, line 6: training.sampling.temperature: holds nan, but numbers"):
        load_recipe(tmp_path / "r.yaml")
