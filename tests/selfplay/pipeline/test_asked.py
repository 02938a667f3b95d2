"""Problems of one's own are put to a policy as its run put them, unless a template is given; both are told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfplay.cli.evaluate_view import prompt_lines
from selfplay.config.errors import UserError
from selfplay.config.evaluation import UserSuite
from selfplay.config.load import load_recipe
from selfplay.evaluation.evaluation_folder import EvaluationFolder
from selfplay.pipeline.asked import asked_of
from selfplay.pipeline.policies import run_of
from selfplay.run.files import write_json
from selfplay.run.plan import write_plan
from selfplay.suites.load import Suite, load_suite

SMALL = Path(__file__).parents[2] / "e2e" / "small.yaml"
THEIRS = "Problem: {problem}\nSolution:\n"
OURS = UserSuite(name="x", file="x").solver_template


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    file = tmp_path / "sums.jsonl"
    file.write_text(json.dumps({"problem": "1 + 1?", "answer": "2"}) + "\n")
    return load_suite(UserSuite(name="sums", file=str(file)), None)


def run(path: Path, *overrides: str) -> Path:
    """As much of a run as says how its domains are asked, with a policy that `best` links to."""
    recipe = load_recipe(SMALL, [f"domains.math.solver_template={json.dumps(THEIRS)}", *overrides])
    policy = path / "stages" / "selfplay_1" / "policy"
    policy.mkdir(parents=True)
    write_json(path / "recipe.json", recipe.model_dump(mode="json"))
    write_plan(path, [])
    (path / "best").symlink_to("stages/selfplay_1/policy")
    return path


@pytest.mark.parametrize("place", ["", "best", "stages/selfplay_1/policy"])
def test_a_policy_of_a_run_is_asked_as_its_run_asks(tmp_path: Path, suite: Suite, place: str) -> None:
    made = run(tmp_path / "run")
    assert run_of(str(made / place)) == made
    [asked] = asked_of([suite], str(made / place), None)
    assert asked.solving.solver_template == THEIRS
    assert (asked.prompts, asked.wording) == ((THEIRS,), "the run's")
    assert asked.solving.verifier == "math"


def test_whatever_is_of_no_run_is_asked_as_ever(tmp_path: Path, suite: Suite) -> None:
    made = run(tmp_path / "run")
    (made / "other").mkdir()
    for given in ("Qwen/Qwen3-4B", "http://127.0.0.1:8000/v1", str(tmp_path), str(made / "other")):
        assert run_of(given) is None
        assert asked_of([suite], given, None) == [suite]
    assert (suite.prompts, suite.wording) == ((OURS,), "the default")


def test_a_template_is_a_text_or_a_file(tmp_path: Path, suite: Suite) -> None:
    made, file = str(run(tmp_path / "run")), tmp_path / "template.txt"
    file.write_text("Q: {problem}\n")
    for given, text in (("Solve {problem}", "Solve {problem}"), (str(file), "Q: {problem}\n")):
        [asked] = asked_of([suite], made, given)
        assert (asked.prompts, asked.wording) == ((text,), "--template")


def test_a_template_that_nothing_would_use_is_refused(tmp_path: Path, suite: Suite) -> None:
    (tmp_path / "empty.txt").write_text("Solve it.")
    rows = tmp_path / "programs.jsonl"
    tests = [{"input": None, "expected": "2", "args": [1]}]
    rows.write_text(json.dumps({"problem": "Add one.", "entry_point": "add", "tests": tests}) + "\n")
    functions = load_suite(UserSuite(name="programs", file=str(rows), verifier="code"), None)
    [asked] = asked_of([functions], "x", "{problem} Name it {entry_point}.")
    assert asked.prompts == ("{problem} Name it {entry_point}.",)
    published = Suite("named", suite.problems, suite.solving, "", "", None, "")
    for suites, given, says in (
        ([suite], "Solve it.", "--template Solve it.: is no text with {problem}, and no such file is there"),
        ([suite], str(tmp_path / "empty.txt"), "empty.txt: lacks the field {problem}"),
        ([functions], "Solve {problem}", "--template: programs also has problems that call a function.*{entry_point}"),
        ([published], "Solve {problem}", "--template: is for suites of your own; named has one prompt"),
    ):
        with pytest.raises(UserError) as refused:
            asked_of(suites, "x", given)
        head, _, tail = says.partition(".*")
        assert head in str(refused.value)
        assert tail in str(refused.value)
    assert asked_of([published, suite], "x", "Solve {problem}")[0] == published


def test_of_several_domains_the_one_of_the_verifier_is_asked(tmp_path: Path, suite: Suite) -> None:
    made = str(run(tmp_path / "run"))
    assert asked_of([suite], made, None)[0].prompts == (THEIRS,)
    other = replace(suite, solving=suite.solving.model_copy(update={"verifier": "exact"}))
    with pytest.raises(UserError, match=r"has code and math, which it asks in different words; .* --template"):
        asked_of([other], made, None)


def test_the_closing_view_says_which_prompt_it_was(tmp_path: Path, suite: Suite) -> None:
    asked = asked_of([suite], str(run(tmp_path / "run")), None)
    with EvaluationFolder.open(tmp_path / "evaluation") as folder:
        folder.claim({"seed": 0}, {}, asked, {})
        prompt = folder.about["suites"]["sums"]["prompt"]
        # An evaluation that an earlier version began goes on.
        before = folder.about
        del before["suites"]["sums"]["prompt"]
        write_json(folder.path / "evaluation.json", before)
        folder.claim({"seed": 0}, {}, asked, {})
    assert lines([{"suite": "sums", "prompt": prompt}]) == ['prompt: "Problem: {problem}\\nSolution:\\n" (the run\'s)']
    published = {"by": "as released", "templates": ["{problem}"]}
    assert lines([{"suite": "a", "prompt": prompt}, {"suite": "b", "prompt": published}, {"suite": "all"}]) == [
        'prompt of a: "Problem: {problem}\\nSolution:\\n" (the run\'s)',
        'prompt of b: "{problem}" (as released)',
    ]


def lines(rows: list[dict[str, Any]]) -> list[str]:
    console = Console(width=200, file=io.StringIO())
    for line in prompt_lines(rows):
        console.print(line)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]
