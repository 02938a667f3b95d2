"""`selfplay check`: everything about a recipe that can be found out before anything expensive."""

from __future__ import annotations

import typer

from selfplay.cli.shared import Overrides, RecipeFile, load_recipe_file, show


def check(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Validate a recipe, show its plan, and try its rewards on known answers; loads no weights."""
    loaded = load_recipe_file(recipe, overrides)
    from selfplay import pipeline
    from selfplay.cli.views import plan_view

    show(plan_view(loaded))
    for finding in pipeline.check(loaded):
        typer.echo(f"ok  {finding.name}: {finding.detail}")
