"""The README's code and commands run as they stand, in its order."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from selfplay.config.load import load_recipe
from tests.e2e.conftest import ROOT, environment, selfplay
from verifiers.untrusted.yaml_text import parse_yaml

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()]
SMALL = {"quickstart": None, "my-project/recipe.yaml": ("model.args.max_steps=8", "training.grpo.args.max_steps=2")}
"""Runs, with what makes them small; the quickstart is run by the small runs of other tests."""


def test_the_verifier_in_ten_lines_works(tmp_path: Path) -> None:
    module = next(block for block in BLOCKS if "my_rules.py" in block)
    (tmp_path / "my_rules.py").write_text(module)
    rows = [{"completion": "it is 4", "answer": "4"}, {"completion": "word " * 60 + "4", "answer": "4"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = selfplay("verify", "--verifier", "my_rules:short_and_right", "rows.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["passed"] for line in done.stdout.splitlines()] == [True, False]


def test_the_library_use_works() -> None:
    snippet = next(block for block in BLOCKS if "MathVerifier()" in block)
    done = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, cwd=ROOT, env=environment(), check=True
    )
    assert done.stdout.strip() == "True"


@pytest.mark.long
def test_its_commands_run_in_order(tmp_path: Path, needs_sandbox: None) -> None:
    for line in SHELL:
        command = shlex.split(line)
        assert command[0] == "selfplay"
        small = SMALL[command[2]] if command[1] == "run" else ()
        if small is not None:
            done = selfplay(*command[1:], *small, cwd=tmp_path)
            assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (tmp_path / "runs" / "my-grpo" / "report.html").exists()


def test_the_recipe_in_ten_lines_is_one(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(name: my-grpo\n.*?)```", README, re.S)
    assert parse_yaml(text)[0]["training"]["pool"] == {"arm": "external"}
    (tmp_path / "problems.csv").write_text("problem,answer\nWhat is 1 + 1?,2\n")
    (tmp_path / "r.yaml").write_text(text)
    assert text.count("\n") <= 12
    assert not load_recipe(tmp_path / "r.yaml").synthesises


def test_the_first_command_comes_within_two_screens() -> None:
    assert README[: README.index("selfplay run")].count("\n") <= 2 * 40


def test_every_command_named_exists() -> None:
    listed = selfplay("--help").stdout
    for verb in ("run", "synthesize", "check", "status", "report", "verify", "init", "recipes", "schema"):
        assert f"selfplay {verb}" in README
        assert f" {verb} " in listed


def test_every_page_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README) + re.findall(r"`(docs/[\w/-]+\.md)`", README)
    assert {link for link in links if not (ROOT / link).exists()} == set()
