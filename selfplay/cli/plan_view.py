"""The plan that `selfplay check` shows: the stages of a recipe in order, and the work of each."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from selfplay.config.recipe import Recipe
from selfplay.pipeline.stages import stage_table


def plan_view(recipe: Recipe) -> Table:
    """A table of the stages."""
    table = Table(title=Text(f"{recipe.name}, seed {recipe.seed}"), title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", style="bold")
    table.add_column("what it does")
    for spec in stage_table(recipe).values():
        table.add_row(spec.name, Text(spec.planned.line))
    return table
