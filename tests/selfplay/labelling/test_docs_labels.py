"""The recipes of docs/explanation/labels.md can be used, and its tables name settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfplay.config.labelling import Labelling
from selfplay.config.load import load_recipe
from selfplay.labelling.difficulty import RULES
from tests.docs.pages import pages

ROOT = Path(__file__).resolve().parents[3]
PAGE = pages("explanation/labels.md")
RECIPES = re.findall(r"^```yaml file=(\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("name", "text"), RECIPES, ids=lambda value: value.partition("\n")[0])
def test_recipes_of_the_page(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(f"extends: {ROOT / 'configs' / 'quickstart.yaml'}\nname: mine\n")
    (tmp_path / name).write_text(text)
    assert load_recipe(tmp_path / name) != load_recipe(tmp_path / "recipe.yaml")


def test_every_block_is_a_recipe() -> None:
    assert PAGE.count("```yaml") == len(RECIPES) >= 4


def test_settings_of_the_page_exist() -> None:
    named = re.findall(r"^\| `(\w+)(?:: \w+)?` \|", PAGE, re.MULTILINE)
    assert {"votes", "verification", "relabelling"} <= set(named)
    assert set(named) <= {*Labelling.model_fields, *RULES}
