"""`selfplay check`: everything about a recipe that can be found out before anything expensive."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from selfplay.cli.shared import Overrides, RecipeFile, load_recipe_file, show
from selfplay.config.recipe import Recipe
from selfplay.pipeline.stages import stage_table


def check(recipe: RecipeFile, overrides: Overrides = None) -> None:
    """Validate a recipe, show its plan, and try its rewards on known answers; loads no weights."""
    loaded = load_recipe_file(recipe, overrides)
    from selfplay import pipeline

    show(plan_view(loaded))
    for finding in pipeline.check(loaded):
        typer.echo(f"ok  {finding.name}: {finding.detail}")


def plan_view(recipe: Recipe) -> Table:
    """A table of the stages."""
    table = Table(title=Text(f"{recipe.name}, seed {recipe.seed}"), title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", style="bold")
    table.add_column("what it does")
    for spec in stage_table(recipe).values():
        table.add_row(spec.name, Text(spec.planned.line))
    return table
