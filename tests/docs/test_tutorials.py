"""What the tutorials show can be done: recipes are read, plans are made; long: they run, where they take no GPU."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.pipeline import load_recipe
from selfplay.quickstart.project import write_project
from tests.docs.pages import ROOT, pages
from tests.e2e.conftest import selfplay

BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LOOP = yaml.safe_load((ROOT / "tests/e2e/small.yaml").read_text())
SMALLER = ("model.args.max_steps=8", "model.hidden_size=32", "evaluation.problems=4", "training.grpo.args.max_steps=2")


def dotted(settings: dict[str, Any], at: str = "") -> list[str]:
    """Settings as a command line has them."""
    return [
        line
        for name, value in settings.items()
        for line in (
            dotted(value, f"{at}{name}.") if isinstance(value, dict) and value else [f"{at}{name}={json.dumps(value)}"]
        )
    ]


OF_LOOP = tuple(dotted({name: value for name, value in LOOP.items() if name not in ("extends", "name")}))


def commands(text: str, told: str | None = None) -> list[list[str]]:
    """The commands of a page's `sh` blocks; of those alone that are told so."""
    lines = [
        line
        for kind, what, block in BLOCK.findall(text)
        if kind == "sh"
        for line in block.splitlines()
        if told is None or what == told
    ]
    return [shlex.split(line)[1:] for line in lines if line.startswith("selfplay ")]


def overlay(settings: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Settings, with others laid over them."""
    both = {
        name: overlay(settings[name], more[name])
        for name in settings.keys() & more.keys()
        if isinstance(settings[name], dict) and isinstance(more[name], dict) and "kind" not in more[name]
    }
    return settings | more | both


@pytest.mark.parametrize(
    ("page", "of", "gpus", "says"),
    [
        ("one-gpu", "recipe", "1x80", ["at most 36.3 of 76.1 GiB", "about 8\nhours"]),
        ("eight-gpus", "qwen3-4b", "8x80", ["about 703 hours"]),
    ],
)
def test_the_plans_for_gpus_say_what_the_pages_show(
    page: str, of: str, gpus: str, says: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They need no GPU, and so are run as they stand."""
    text = pages(f"tutorials/{page}.md")
    assert all(figure in text for figure in says)
    for kind, what, block in BLOCK.findall(text):
        if (kind, what) == ("yaml", "file=recipe.yaml"):
            (tmp_path / "recipe.yaml").write_text(block)
            (tmp_path / "problems.csv").write_text("problem,answer\nWhat is 1 + 1?,2\n")
    monkeypatch.chdir(tmp_path)
    plans = [given for given in commands(text) if given[0] == "plan"]
    first, *others = [CliRunner().invoke(app, given) for given in plans]
    assert (of in plans[0][1], plans[0][3], first.exit_code) == (True, gpus, 0), first.output
    assert all(one.exit_code == 0 for one in others)
    told = [float(number) for number in re.findall(r"\d+\.\d+|\d+", first.output.replace(",", ""))]
    for figure in re.findall(r"\d+\.\d|(?<=about )\d+", " ".join(says)):
        digits = len(figure.partition(".")[2])
        assert any(round(number, digits) == float(figure) for number in told), (figure, told)


def test_the_recipe_for_one_gpu_is_one(tmp_path: Path) -> None:
    [text] = [block for kind, what, block in BLOCK.findall(pages("tutorials/one-gpu.md")) if what == "file=recipe.yaml"]
    (tmp_path / "problems.csv").write_text("problem,answer\nWhat is 1 + 1?,2\n")
    (tmp_path / "recipe.yaml").write_text(text)
    args = load_recipe(tmp_path / "recipe.yaml").training.grpo.args
    assert args["per_device_train_batch_size"] * args["gradient_accumulation_steps"] == 64


def test_the_recipes_for_eight_gpus_load(tmp_path: Path) -> None:
    """One makes triples of bare problems, the other trains on them; both stand on shipped ones."""
    triples = tmp_path / "runs" / "annotate" / "stages" / "annotation"
    triples.mkdir(parents=True)
    for file in (tmp_path / "problems.csv", triples / "math-train.parquet", triples / "math-heldout.parquet"):
        file.touch()
    for _, what, text in BLOCK.findall(pages("tutorials/eight-gpus.md")):
        if what.startswith("file="):
            (tmp_path / what.removeprefix("file=")).write_text(text)
    annotate: Any = load_recipe(tmp_path / "annotate.yaml")
    mine: Any = load_recipe(tmp_path / "mine.yaml")
    assert (list(annotate.domains), annotate.domains["math"].seeds.level) == (["math"], "competition")
    assert mine.domains["math"].seeds.train.path == str(triples / "math-train.parquet")
    assert mine.training.algorithm == "dpo"


def test_the_change_to_ones_own_problems_fits_the_recipe_that_is_written(tmp_path: Path) -> None:
    write_project("grpo", tmp_path)
    [text] = [block for _, what, block in BLOCK.findall(pages("tutorials/own-problems.md")) if what == "overlay"]
    changed = overlay(yaml.safe_load((tmp_path / "recipe.yaml").read_text()), yaml.safe_load(text))
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(changed))
    recipe = load_recipe(tmp_path / "changed.yaml")
    assert recipe.domains["math"].verifier == "math"
    assert recipe.training.grpo.args["max_steps"] == 30, "what was not said stays"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "smaller"), [("own-problems", SMALLER), ("own-verifier", SMALLER), ("whole-loop", OF_LOOP)]
)
def test_every_command_runs_in_an_empty_folder(name: str, smaller: tuple[str, ...], tmp_path: Path) -> None:
    """As they stand, but for the size of what is trained."""
    text = pages(f"tutorials/{name}.md")
    for _, what, block in BLOCK.findall(text):
        if what.startswith("file="):
            (tmp_path / what.removeprefix("file=")).write_text(block)
    for given in commands(text, "run"):
        done = selfplay(*given, *(smaller if given[0] == "run" else ()), cwd=tmp_path)
        assert done.returncode == 0, (given, done.stderr)
