"""What the commands share: their arguments, their exit codes, and how they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from selfplay.config import Recipe

FAILED, UNUSABLE, SPENT = 1, 2, 3
"""Exit codes: something went wrong, what was asked for cannot be done, a budget is spent."""

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as configs/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[a.b.c=value]...", help="Settings that replace those of the recipe.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def load_recipe_file(recipe: Path, overrides: list[str] | None) -> Recipe:
    """The recipe with its overrides; a wrong one is refused."""
    from selfplay.recipe_file import RecipeError, load_recipe

    try:
        return load_recipe(recipe, overrides or [])
    except RecipeError as error:
        refuse(str(error))


def show(renderable: Any) -> None:
    """Prints what rich can render."""
    from rich.console import Console

    Console().print(renderable)


def refuse(message: str, code: int = UNUSABLE) -> NoReturn:
    """Says one sentence and ends."""
    typer.echo(message, err=True)
    raise SystemExit(code)
