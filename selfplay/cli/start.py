"""`selfplay init`, `selfplay recipes` and `selfplay schema`: what one begins with."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from selfplay.quickstart.project import COMMANDS, Template, write_project


def init(
    template: Annotated[Template, typer.Argument(help="What the recipe is for.")] = "grpo",
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; default here.")] = Path(),
) -> None:
    """Write a recipe with comments, sample problems as CSV, and a verifier of your own, to begin with."""
    files = write_project(template, folder)
    for file in files:
        typer.echo(file)
    recipe = shlex.quote(str(files[0]))
    typer.echo(f"next: selfplay check {recipe} && selfplay {COMMANDS.get(template, 'run')} {recipe}")


def recipes() -> None:
    """List the shipped recipes, which `selfplay run NAME` takes by name."""
    from selfplay.config.shipped import RECIPES, described, shipped_recipes

    found = shipped_recipes()
    width = max(map(len, found), default=0)
    for name, file in found.items():
        typer.echo(f"{name:<{width}}  {described(file)}")
    typer.echo(f"They are in {RECIPES}.")


def schema() -> None:
    """Print the JSON schema of recipes, by which editors complete and check them."""
    from selfplay.config.recipe import Recipe

    typer.echo(json.dumps(Recipe.model_json_schema(), indent=2))


def show_version(wanted: bool) -> None:
    """Prints the version and ends the command, if that was asked for."""
    if wanted:
        from selfplay import __version__

        typer.echo(__version__)
        raise typer.Exit
