"""What the commands share: arguments, exit codes, how they refuse, and how a run is stopped from outside."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from selfplay.config.recipe import Recipe

FAILED, UNUSABLE, SPENT = 1, 2, 3
"""Exit codes: something went wrong, what was asked for cannot be done, a budget is spent."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes, as shells have them for SIGINT and SIGTERM."""

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as configs/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[a.b.c=value]...", help="Settings that replace those of the recipe.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def load_recipe_file(recipe: Path, overrides: list[str] | None) -> Recipe:
    """The recipe with its overrides; a wrong one is refused."""
    from selfplay.config.load import RecipeError, load_recipe

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


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they kill."""


def stop_on_sigterm() -> None:
    """Has SIGTERM end a run in order, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(signum: int, frame: FrameType | None) -> None:
    # A second one, while the first is being obeyed, changes nothing.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
