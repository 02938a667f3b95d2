"""Every `selfplay ...` line of the pages is one: its command, its options, its recipe and the settings it overrides."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import typer
import yaml

from selfplay.cli.app import app
from selfplay.config.errors import UserError
from selfplay.config.load import load_recipe
from selfplay.config.values.places import shipped_recipes
from tests.docs.pages import DOCS, ROOT, prose

PAGES = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "examples/README.md", "CONTRIBUTING.md"))]
RECIPE = re.compile(r"^[ ]*```yaml[^\n]*\n(.*?)^[ ]*```$", re.DOTALL | re.MULTILINE)
SCHEMA: dict[str, Any] = json.loads((ROOT / "configs" / "recipe.schema.json").read_text(encoding="utf-8"))
BLOCK = re.compile(r"^[ ]*```(?:sh|bash|console)?[^\n]*\n(.*?)^[ ]*```$", re.DOTALL | re.MULTILINE)
IN_LINE = re.compile(r"`(selfplay [^`]+)`")
ASSIGNMENT = re.compile(r"[a-z]\w*(\.[\w-]+)*=.*", re.DOTALL)
PLACEHOLDER = re.compile(r"=|\.\.\.")
TAKES_RECIPE = ("run", "check", "synthesize", "plan", "scale")
EVERYWHERE = {"--help", "--version", "--install-completion", "--show-completion"}


def lines(text: str) -> Iterator[list[str]]:
    """The words of each command, of blocks and of sentences, behind `selfplay`."""
    blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    for line in [*blocks, *(" ".join(found.split()) for found in IN_LINE.findall(prose(text)))]:
        for part in re.split(r"&&| \| |;|>", line):
            name, _, rest = part.strip().removeprefix("$ ").partition(" ")
            if name == "selfplay" and not rest.startswith("COMMAND"):
                yield shlex.split(rest, comments=True)


@cache
def command_of(names: tuple[str, ...]) -> tuple[Any, int]:
    """The innermost command of these words, and how many of them name it."""
    command: Any = typer.main.get_command(app)
    for used, name in enumerate(names):
        if not hasattr(command, "commands") or name.startswith("-"):
            return command, used
        command = command.commands[name]
    return command, len(names)


@cache
def unknown_settings(recipe: str, overrides: tuple[str, ...]) -> list[str]:
    """What the recipe is refused for, where it is for a name that no recipe has."""
    try:
        load_recipe(shipped_recipes().get(recipe, shipped_recipes()["quickstart"]), overrides)
    except UserError as error:
        return [line for line in str(error).splitlines() if "is not a setting" in line]
    return []


@cache
def section(name: str) -> Any:
    """What judges a section of a recipe."""
    return jsonschema_rs.Draft202012Validator({"$defs": SCHEMA["$defs"], **SCHEMA["properties"][name]})


def test_sections_of_recipes_have_fields_that_there_are() -> None:
    """But for domains, of which pages show parts that others complete."""
    judged, faults = 0, []
    for page in PAGES:
        for block in RECIPE.findall(page.read_text(encoding="utf-8")):
            content = yaml.safe_load(textwrap.dedent(block))
            if not content.keys() <= SCHEMA["properties"].keys() | {"extends"}:
                continue  # no recipe
            for name in content.keys() - {"extends", "domains"}:
                judged += 1
                faults += [
                    f"{page.name}: {name}: {fault.message}" for fault in section(name).iter_errors(content[name])
                ]
    assert faults == []
    assert judged > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_options_recipes_and_settings_are_known(page: Path) -> None:
    shipped = shipped_recipes()
    for words in lines(page.read_text(encoding="utf-8")):
        command, used = command_of(tuple(words[:2]))
        rest = words[used:]
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | EVERYWHERE
        options = {
            name.split("=")[0].strip("[],") for word in rest for name in word.split("|") if name.startswith("--")
        }
        assert options <= known, words
        if command.name not in TAKES_RECIPE:
            continue
        recipe = next((word for word in rest if not word.startswith(("-", "["))), "RECIPE")
        assert recipe in shipped or recipe.endswith(".yaml") or recipe.isupper() or PLACEHOLDER.search(recipe), words
        overrides = tuple(word for word in rest if ASSIGNMENT.fullmatch(word) and word != "a.b.c=value")
        assert unknown_settings(recipe, overrides) == [], words


@pytest.mark.parametrize("slip", ["training.grpo.arg.max_steps=3", "domains.math.sed.train=x.csv", "domain.math=1"])
def test_a_slip_would_be_found(slip: str) -> None:
    assert len(unknown_settings("quickstart", (slip,))) == 1
    assert unknown_settings("quickstart", ("training.grpo.args.max_steps=3",)) == []
