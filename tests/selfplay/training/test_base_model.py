"""Which model the policy, the prompt model and the rationale model start from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.training.base_model import base_model, generator_model, texts_of

DOMAIN = {
    "seeds": {"kind": "quickstart", "grammar": "math"},
    "solver_template": "Q: {problem}\nA:",
    "rationale_template": "{concepts}|{level}|{problem}",
}


def recipe(**settings: Any) -> Recipe:
    return Recipe.model_validate({"name": "r", "model": {"kind": "scratch"}, "domains": {"math": DOMAIN}} | settings)


class Named:
    """Knows every model by its name."""

    def ref(self, settings: Any) -> ModelRef:
        return ModelRef.local(Path("/models") / settings.name, settings.name, settings.dtype, chat=True)


def test_a_base_by_name_is_read_without_its_chat_template(tmp_path: Path) -> None:
    settings = recipe(model={"kind": "pretrained", "name": "small"}, generator={"kind": "pretrained", "name": "writer"})
    base = base_model(SimpleNamespace(folder=tmp_path), settings, Named())  # type: ignore[arg-type]
    assert (base.path, base.chat) == ("/models/small", False)
    generator = generator_model(base, settings, Named())  # type: ignore[arg-type]
    assert (generator.path, generator.chat) == ("/models/writer", False)
    assert generator_model(base, recipe(), Named()) is base  # type: ignore[arg-type]


def test_the_tokenizer_learns_from_what_all_models_will_read_and_write() -> None:
    task = SimpleNamespace(problem="2 + 2?", entry_point=None, language="python")
    seed = SimpleNamespace(
        domain="math",
        problem=task.problem,
        task=task,
        solution=" 4",
        concepts=("sums",),
        level="easy",
        rationale=" why",
    )
    solved, explained = texts_of(recipe(), [seed])  # type: ignore[list-item]
    assert solved == "Q: 2 + 2?\nA: 4"
    assert explained.endswith("|easy|2 + 2? why")
