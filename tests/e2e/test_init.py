"""`selfplay init`: what it writes passes `selfplay check`, and runs with the verifier that it wrote."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import jsonschema_rs
import pytest

from selfplay.cli import start
from selfplay.config.values.places import RECIPES, shipped_recipes
from selfplay.pipeline import check, load_recipe
from selfplay.quickstart.project import FOLDER, TEMPLATES, Template, recipe_schema, write_project
from selfplay.run.records import Rollout
from selfplay.run.tables import read_table
from tests.e2e.conftest import selfplay
from verifiers.model import Task
from verifiers.plugins.guard import MAX_REASON
from verifiers.untrusted.yaml_text import parse_yaml

SMALLER = ("model.args.max_steps=8", "model.hidden_size=32", "evaluation.problems=4", "evaluation.samples=1")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_written_recipe_passes_the_check(template: Template, tmp_path: Path) -> None:
    files = write_project(template, tmp_path / "mine")
    assert [file.name for file in files] == ["recipe.yaml", "problems.csv", "my_verifier.py", "recipe.schema.json"]
    [finding] = [one for one in check(files[0]) if one.name == "rewards: math"]
    assert "right answers pass" in finding.detail
    recipe = load_recipe(files[0])
    assert recipe.curation.decontamination_spares_seed_wording, "else nearly all of the sample problems are left out"
    seeds = recipe.domains["math"].seeds
    assert seeds.model_dump()["train"]["path"] == str(tmp_path / "mine" / "problems.csv")


def test_the_written_verifier_is_really_used(tmp_path: Path) -> None:
    """One that passes nothing is found out; the project may lie in a folder with a blank in its name."""
    made = selfplay("init", "grpo", "my project", cwd=tmp_path)
    assert made.stdout.splitlines()[-1] == (
        "next: selfplay check 'my project/recipe.yaml' && selfplay run 'my project/recipe.yaml'"
    )
    (tmp_path / "my project" / "my_verifier.py").write_text(
        "def right(task, completion, most_words):\n    return False\n"
    )
    refused = selfplay("check", "my project/recipe.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "a right answer is judged wrong" in refused.stderr


@pytest.mark.parametrize(
    ("completion", "passed"),
    [
        ("so $\\boxed{95}$.", True),
        ("\\boxed{95}", True),
        ("<think>9</think> It is 95.\n", True),
        ("<think>It is 95", False),
        ("so 9.5", False),
        ("\U000e0100" * 600, False),
    ],
)
def test_the_written_verifier_reads_answers_as_models_write_them(completion: str, passed: bool) -> None:
    verdict = runpy.run_path(str(FOLDER / "my_verifier.py"))["right"](Task(answer="95"), completion)
    assert verdict.passed is passed
    assert len(verdict.reason) <= MAX_REASON


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "problems.csv").write_text("mine")
    refused = selfplay("init", cwd=tmp_path)
    assert refused.returncode == 2
    assert "has a file problems.csv already" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["problems.csv"]
    assert "is not one of" in selfplay("init", "nonsense", cwd=tmp_path).stderr


def test_the_grpo_recipe_runs_to_its_end(tmp_path: Path) -> None:
    """Smaller than it is written, since what it learns is not the point here."""
    smaller = ("training.grpo.args.max_steps=2", "training.grpo.args.per_device_train_batch_size=8")
    assert selfplay("init", "grpo", cwd=tmp_path).returncode == 0
    done = selfplay("run", "recipe.yaml", *SMALLER, *smaller, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "were left out" not in done.stdout + done.stderr, "the problems that it trains on are all there"
    run = tmp_path / "runs" / "my-grpo"
    assert json.loads((run / "summary.json").read_text())["gains"]
    assert (run / "report.html").exists()
    [rollout, *_] = read_table(run / "stages" / "selfplay_1" / "rollouts.parquet", Rollout)
    assert rollout.reason.startswith("ends in ") or rollout.reason.endswith(" words")


def test_shipped_recipes_have_names_and_sentences(tmp_path: Path) -> None:
    listed = selfplay("recipes", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in listed[:-1]] == list(shipped_recipes())
    assert all(len(line.split()) > 5 for line in listed[:-1])
    assert selfplay("plan", "quickstart", "--gpus", "1x24", cwd=tmp_path).returncode == 0
    assert "`selfplay recipes` lists" in selfplay("check", "quickstar", cwd=tmp_path).stderr


def test_the_version(tmp_path: Path) -> None:
    assert selfplay("--version", cwd=tmp_path).stdout == "0.1.0\n"


def test_a_verifier_that_raises_on_every_call_is_found_out(tmp_path: Path) -> None:
    """Before a run, with the line of the recipe and that of the verifier."""
    recipe, _, verifier, _ = write_project("grpo", tmp_path)
    verifier.write_text("def right(task, completion, most_words):\n    return 1 / 0\n")
    refused = selfplay("check", recipe, cwd=tmp_path)
    assert refused.returncode == 2
    assert "could judge none of 3 completions" in refused.stderr
    assert f"({verifier}, line 2)" in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith(f"{recipe}, line ")
    assert refused.stderr.startswith("checking: "), "a sign of life, since it may take a minute"


def test_recipes_name_the_schema_and_editors_find_it() -> None:
    """Their first line is for the YAML server; `selfplay schema > configs/recipe.schema.json` renews the file."""
    for recipe in (*RECIPES.glob("*.yaml"), *FOLDER.glob("*.yaml")):
        assert recipe.read_text().startswith("# yaml-language-server: $schema=recipe.schema.json\n"), recipe
    assert (RECIPES / "recipe.schema.json").read_text() == recipe_schema()


WHOLE = [file for file in sorted(RECIPES.glob("*.yaml")) if "\nextends: " not in file.read_text()]


@pytest.mark.parametrize("recipe", [*WHOLE, FOLDER / "grpo.yaml"], ids=lambda file: file.stem)
def test_whole_recipes_fit_the_schema(recipe: Path) -> None:
    validator = jsonschema_rs.Draft202012Validator(json.loads(recipe_schema()))
    content, _ = parse_yaml(recipe.read_text())
    assert [error.message for error in validator.iter_errors(content)] == []
    assert not validator.is_valid(content | {"sead": 1})


def test_init_names_every_template() -> None:
    assert {template.value for template in start.Template} == set(TEMPLATES)
