"""`selfplay init`, `recipes`, `schema` and `import-gguf`: what one begins with."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Template(StrEnum):
    """Projects that `init` writes, those of `quickstart.project`, which is loaded only for them."""

    quickstart = "quickstart"
    grpo = "grpo"
    dpo = "dpo"
    synthesis = "synthesis"
    teacher = "teacher"
    evaluate = "evaluate"


class Dtype(StrEnum):
    """Number formats of weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"
    float16 = "float16"


def import_gguf(
    file: Annotated[Path, typer.Argument(metavar="FILE.gguf", help="Weights in the format of llama.cpp.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, for `model.name` in a recipe.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.bfloat16,
) -> None:
    """Turn a GGUF file into a model folder with safetensors, which can be trained."""
    from selfplay.engines.gguf_import import import_gguf as write_folder

    typer.echo(str(write_folder(file, folder, dtype.value)))


def init(
    template: Annotated[Template, typer.Argument(help="What the recipe is for.")] = Template.grpo,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; default here.")] = Path(),
) -> None:
    """Write a recipe with comments, sample problems as CSV, and a verifier of your own, to begin with."""
    from selfplay.quickstart.project import COMMANDS, write_project

    files = write_project(template.value, folder)
    for file in files:
        typer.echo(file)
    recipe = shlex.quote(str(files[0]))
    command = COMMANDS.get(template.value, "run {}").format(recipe)
    typer.echo(f"next: selfplay check {recipe} && selfplay {command}")


def recipes() -> None:
    """List the shipped recipes, which `selfplay run NAME` takes by name."""
    from selfplay.config.values.places import RECIPES, described, shipped_recipes

    found = shipped_recipes()
    width = max(map(len, found), default=0)
    for name, file in found.items():
        typer.echo(f"{name:<{width}}  {described(file)}")
    typer.echo(f"They are in {RECIPES}.")


def schema() -> None:
    """Print the JSON schema of recipes, by which editors complete and check them."""
    from selfplay.quickstart.project import recipe_schema

    typer.echo(recipe_schema(), nl=False)


def show_version(wanted: bool) -> None:
    """Prints the version and ends the command, if that was asked for."""
    if wanted:
        from selfplay import __version__

        typer.echo(__version__)
        raise typer.Exit
