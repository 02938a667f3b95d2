"""The recipes of the pages on training are ones that load, on top of the recipe for tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from tests.docs.pages import pages

ROOT = Path(__file__).resolve().parents[3]
PAGE = pages(*(f"how-to/{name}.md" for name in ("grpo", "dpo-and-rft", "rounds", "teacher")))
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_is_a_recipe(block: str, tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").touch()
    file = tmp_path / "recipe.yaml"
    # What labels an answer by vote compares by the math verifier; the page's examples are of one domain or of both.
    only_math = "domains: {code: null}\n" if "algorithm: sft" in block else ""
    prompts = "synthesis: {prompts: 96}\n" if only_math else ""
    file.write_text(f"extends: {ROOT / 'tests' / 'e2e' / 'small.yaml'}\n{only_math}{prompts}{block}")
    assert load_recipe(file).training


def test_the_page_shows_every_rule() -> None:
    assert {"grpo", "dpo", "rft", "sft"} <= {
        name for block in BLOCKS for name in re.findall(r"algorithm: (\w+)", block)
    }
