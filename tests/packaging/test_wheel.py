"""The wheel holds all of the three packages, and works in an environment where nothing of the checkout is found."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Environment

PACKAGES = ("selfplay", "verifiers", "sandbox")
KINDS = ("*.py", "*.j2", "*.yaml", "*.toml", "*.cpp", "py.typed")
VERDICT = """
import json
from verifiers.model import Task
from verifiers.registry import load
math = load("math", {"workers": 1})
found = [math.verify(Task(answer="(x+1)^2"), text).passed for text in (r"\\boxed{x^2+2x+1}", r"\\boxed{x^2+1}")]
math.close()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_module_and_every_template_is_in_the_wheel(names: set[str]) -> None:
    ours = {
        str(file.relative_to(ROOT)) for package in PACKAGES for kind in KINDS for file in (ROOT / package).rglob(kind)
    }
    recipes = {str(file.relative_to(ROOT / "configs")) for file in (ROOT / "configs").rglob("*") if file.is_file()}
    ours |= {f"selfplay/recipes/{name}" for name in recipes}
    assert any(name.endswith(".j2") for name in ours)
    assert {name for name in names if ".dist-info/" not in name} == ours


def test_types_are_offered_by_every_package_that_is_ours_alone(names: set[str]) -> None:
    typed = {name.removesuffix("/py.typed") for name in names if name.endswith("py.typed")}
    rooms = {name.removesuffix("/__init__.py") for name in names if name.endswith("__init__.py")}
    tops = {"selfplay", *(room for room in rooms if room.count("/") == 1 and not room.startswith("selfplay/"))}
    assert tops <= typed
    assert not {"verifiers", "sandbox"} & typed


def test_no_file_is_one_that_another_distribution_of_these_names_owns(names: set[str]) -> None:
    assert not {f"{package}/__init__.py" for package in ("verifiers", "sandbox")} & names


def test_the_command_and_a_verifier_work_where_only_the_wheel_is(
    wheel: Path, make_environment: Callable[[], Environment]
) -> None:
    environment = make_environment()
    environment.pip("install", "--quiet", "--no-deps", "--ignore-installed", wheel)
    where = environment.run(
        "import selfplay, verifiers.model, sandbox.model as s; print(selfplay.__file__, s.__file__)"
    )
    assert all(path.startswith(str(environment.site)) for path in where.stdout.split()), where
    help_text = environment.run("from selfplay.cli.app import main; main()", "--help")
    assert help_text.returncode == 0, help_text.stderr
    assert "sandbox" in help_text.stdout
    verdict = environment.run(VERDICT)
    assert json.loads(verdict.stdout or "null") == [True, False], verdict.stderr


@pytest.mark.long
def test_a_project_begins_where_only_the_wheel_is(
    wheel: Path, make_environment: Callable[[], Environment], tmp_path: Path
) -> None:
    """Templates and shipped recipes, with their seeds, are found in the installed package."""
    environment = make_environment()
    environment.pip("install", "--quiet", "--no-deps", "--ignore-installed", wheel)

    def selfplay(*arguments: str) -> str:
        done = environment.run("from selfplay.cli.app import main; main()", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = selfplay("recipes")
    assert f"They are in {environment.site / 'selfplay' / 'recipes'}." in listed
    assert "quickstart " in listed
    selfplay("init", "quickstart", str(tmp_path / "mine"))
    assert "right answers pass" in selfplay("check", str(tmp_path / "mine" / "recipe.yaml"))
    seeds = (
        "from selfplay.config.load import load_recipe; print(load_recipe('qwen3-4b').domains['math'].seeds.train.path)"
    )
    assert environment.run(seeds).stdout.strip() == str(environment.site / "selfplay/recipes/seeds/math.jsonl")
