"""A run directory with nothing but a recipe, for the tests of tracking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfplay.config.recipe import Recipe
from selfplay.run.files import write_json
from tests.selfplay.plans import put_plan


def recipe(mode: str, system: bool = True, group: str | None = None, tags: tuple[str, ...] = (), **more: Any) -> Recipe:
    """A recipe whose W&B has that mode."""
    wandb = {"mode": mode, "project": "a-project", "system": system, "group": group, "tags": list(tags)}
    return Recipe.model_validate(
        {
            "name": "tiny",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
            "tracking": {"wandb": wandb, **more},
        }
    )


def claimed(run_path: Path, settings: Recipe) -> Recipe:
    """Writes the recipe where a run keeps it."""
    write_json(run_path / "recipe.json", settings.model_dump(mode="json"))
    put_plan(run_path)
    return settings
