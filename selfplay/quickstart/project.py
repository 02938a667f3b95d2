"""A folder to begin in: a recipe with comments, sample problems as CSV, and a verifier of one's own."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Literal, get_args

from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.quickstart import seeds
from verifiers.untrusted.files import read_bytes

Template = Literal["quickstart", "grpo", "dpo", "synthesis", "teacher", "evaluate"]
TEMPLATES: tuple[Template, ...] = get_args(Template)
FOLDER = Path(__file__).parent / "templates"
RECIPE, PROBLEMS, VERIFIER, SCHEMA = "recipe.yaml", "problems.csv", "my_verifier.py", "recipe.schema.json"
COMMANDS = {"synthesis": "synthesize {} --until labelling"}
"""The command that a template's recipe is for, where it is not `run`."""
SAMPLES = 3000
"""Problems of the sample, enough for a tiny model not to learn them by heart."""
ALONE = ("problem", "answer", "solution")
ANNOTATED = (*ALONE, "concepts", "level", "rationale")


def write_project(template: Template, folder: Path) -> list[Path]:
    """Writes the files of a template into a folder, which may be there already.

    Returns:
        The files, the recipe first.

    Raises:
        UserError: a file of one of these names is there, or the folder cannot be written.
    """
    columns = ANNOTATED if template in ("quickstart", "synthesis") else ALONE
    contents = {
        RECIPE: read_bytes(FOLDER / f"{template}.yaml"),
        PROBLEMS: sample(columns).encode(),
        VERIFIER: read_bytes(FOLDER / VERIFIER),
        SCHEMA: recipe_schema().encode(),
    }
    if there := [name for name in contents if (folder / name).exists()]:
        raise UserError(f"{folder}: has a file {there[0]} already, which is not written over; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    return [folder / name for name in contents]


def recipe_schema() -> str:
    """The JSON schema of recipes, by which editors complete and check them."""
    return json.dumps(Recipe.model_json_schema(), indent=1, sort_keys=True) + "\n"


def sample(columns: tuple[str, ...]) -> str:
    """Word problems as CSV, with these columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for problem in seeds.generate("math", SAMPLES, 0, slip_rate=0.0):
        values = {name: getattr(problem, name) for name in columns}
        if "concepts" in values:
            values["concepts"] = "; ".join(problem.concepts)
        writer.writerow(values[name] for name in columns)
    return text.getvalue()
