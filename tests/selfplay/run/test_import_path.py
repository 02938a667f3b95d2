"""A verifier of one's own is found where the run found it, from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from selfplay.run.directory import RunDirectory
from selfplay.run.files import write_json
from selfplay.run.import_path import find_verifier
from verifiers.registry import UnknownVerifier, find

SMALL = Path(__file__).parents[2] / "e2e" / "small.yaml"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose recipe has a rule beside it, looked at by a process that has not read the recipe."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "rule_beside_it.py").write_text("def short(task, completion):\n    return len(completion) < 9\n")
    (project / "recipe.yaml").write_text(f"extends: {SMALL}\n")
    monkeypatch.delitem(sys.modules, "rule_beside_it", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with RunDirectory.open(tmp_path / "run", load_recipe(project / "recipe.yaml")) as made:
        made.claim([])
    sys.path[:] = [path for path in sys.path if path != str(project)]
    return tmp_path / "run"


def test_a_rule_beside_the_recipe_of_a_run_is_found(run: Path) -> None:
    with pytest.raises(UnknownVerifier, match="No module named 'rule_beside_it'"):
        find_verifier("rule_beside_it:short", None)
    find_verifier("rule_beside_it:short", run)
    assert find("rule_beside_it:short").__name__ == "short"
    assert sys.path[-1] == str(run.parent / "project"), "no other folder of the run's is looked into"


def test_whatever_is_nowhere_says_where_it_was_looked_for(run: Path) -> None:
    with pytest.raises(UnknownVerifier) as refused:
        find_verifier("rule_of_nobody:short", run)
    assert "No module named 'rule_of_nobody'; looked in " in str(refused.value)
    assert f"{run.parent / 'project'} and among installed packages" in str(refused.value)
    with pytest.raises(UnknownVerifier, match="did you mean short"):
        find_verifier("rule_beside_it:shrt", run)


def test_a_module_that_is_here_leaves_the_folders_of_a_run_alone(run: Path) -> None:
    before = list(sys.path)
    for name in ("math", "verifiers.rules.text:ExactVerifier"):
        find_verifier(name, run)
    for folders in ([3], "x", None):
        write_json(run / "import_path.json", {"folders": folders})
        with pytest.raises(UnknownVerifier, match="looked in"):
            find_verifier("rule_beside_it:short", run)
    assert sys.path == before
