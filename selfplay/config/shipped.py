"""The recipes that come with this project, in a checkout and in a wheel alike."""

from __future__ import annotations

from pathlib import Path

from verifiers.untrusted.files import read_text

RECIPES = (Path(__file__).resolve().parents[1] / "recipes").resolve()
"""In a checkout this is `configs/`, to which `selfplay/recipes` is a link."""


def shipped_recipes() -> dict[str, Path]:
    """The files of the shipped recipes, by name."""
    return {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}


def described(file: Path) -> str:
    """The first sentence of a recipe's comments."""
    lines = read_text(file).splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    told = (line for line in comments if not line.startswith("yaml-language-server"))
    return next(told, "").split(": `")[0].rstrip(".:")


def recipe_file(path: Path) -> Path:
    """The file of a recipe that is named by its path or, where nothing bears that name, as one of those shipped."""
    if path.suffix or len(path.parts) != 1 or path.is_file():
        return path
    return shipped_recipes().get(path.name, path)
