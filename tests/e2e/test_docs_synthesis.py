"""The recipes and commands of docs/how-to/new-prompts.md, curate.md and export.md, in its order, on a small run."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run as subprocess_run
from typing import Any

import pytest

from selfplay.config.load import load_recipe
from selfplay.preflight.prompts import check_prompts
from selfplay.preflight.recipe import Finding, check_endpoints, prompt_engines
from tests.docs.pages import pages
from tests.e2e.conftest import SMALL, environment, selfplay
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.export.test_hub import Hub

pytestmark = pytest.mark.xdist_group("small_run")

PAGE = pages("how-to/new-prompts.md", "how-to/curate.md", "how-to/export.md")
BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(PAGE)


def commands(what: str = "") -> list[list[str]]:
    lines = [line for kind, told, text in BLOCKS if (kind, told) == ("sh", what) for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("selfplay ")]


RUNS = [command for command in commands() if command[0] == "run"]
EXPORTS = [command for command in commands() if command[0] == "export"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """The files of the page, beside a recipe and a finished run of it."""
    made = tmp_path_factory.mktemp("docs")
    (made / "recipe.yaml").write_text(f"extends: {SMALL}\nname: mine\n")
    for _, what, text in BLOCKS:
        if what.startswith("file="):
            (made / what.removeprefix("file=")).write_text(text)
    for name in ("mine", "volume", "curated"):
        (made / "runs").mkdir(exist_ok=True)
        (made / "runs" / name).symlink_to(finished)
    return made


def test_every_block_is_of_a_known_kind() -> None:
    """A block that no test runs would rot."""
    known = {("yaml", "file"), ("jsonl", "file"), ("sh", ""), ("sh", "hub"), ("python", "")}
    # Run by tests/selfplay/export/test_bridges.py.
    known |= {("sh", "evaluation"), ("python", "inspect")}
    assert {(kind, what.partition("=")[0]) for kind, what, _ in BLOCKS} == known
    assert PAGE.count("```") == 2 * len(BLOCKS)
    assert {command[0] for command in commands()} == {"check", "run", "prompts", "export"}


def test_the_recipes_are_read_and_what_they_name_is_there(folder: Path) -> None:
    found: list[Finding] = []
    for file in sorted(folder.glob("*.yaml")):
        found += check_prompts(load_recipe(file))
    assert {finding.name for finding in found} == {"concepts: math", "coverage", "benchmark: mine"}
    named = prompt_engines(load_recipe(folder / "judged.yaml"))
    assert {one.field for one in named} == {"curation.judging.judges.strict", "curation.solving.solvers.quick"}


def test_the_judges_of_the_page_are_asked_before_a_run(folder: Path) -> None:
    server = OpenAIServer()
    try:
        text = (folder / "judged.yaml").read_text().replace("http://127.0.0.1:8000/v1", server.url)
        (folder / "judged-here.yaml").write_text(text)
        found = check_endpoints(prompt_engines(load_recipe(folder / "judged-here.yaml")))
    finally:
        server.close()
    (folder / "judged-here.yaml").unlink()
    assert [finding.name for finding in found] == ["curation.judging.judges.strict", "curation.solving.solvers.quick"]
    assert all(" answers" in finding.detail for finding in found)


def test_prompts_can_be_looked_up(folder: Path) -> None:
    rows = [json.loads(line) for line in done(folder, ["prompts", "runs/mine", "--limit", "0", "--json"]).splitlines()]
    assert len(rows) == 192
    lost = [row for row in rows if row["dropped"]]
    for command in commands():
        if command[0] == "prompts":
            printed = done(folder, [lost[0]["id"] if part == "PROMPT_ID" else part for part in command])
            if "--concepts" in command:
                assert re.search(r"^(math|code) +used \d+ +parsed \d+ +kept \d+ +labelled \d+ ", printed, re.M)
            elif "--id" in command:
                assert json.loads(printed)["dropped"] == lost[0]["dropped"]
            elif "--reason" in command:
                reasons = [json.loads(line)["dropped"] for line in printed.splitlines()]
                assert all(reason.startswith("near duplicate (of ") for reason in reasons)
            else:
                assert printed.count("lost in") == printed.count(" round 1 ") == min(20, len(lost))
    assert "is not a run directory" in refused(folder, ["prompts", "nowhere"])
    assert "the run's domains are code, math" in refused(folder, ["prompts", "runs/mine", "--domain", "chemistry"])
    assert "--round 2: runs/mine has made no prompts for it; it has for 1" in refused(
        folder, ["prompts", "runs/mine", "--round", "2"]
    )
    assert "has no prompt 'none'" in refused(folder, ["prompts", "runs/mine", "--id", "none"])


def test_exports_load_as_the_page_says(folder: Path) -> None:
    for command in EXPORTS:
        printed = done(folder, command)
        assert printed.splitlines()[-1] == command[command.index("--to") + 1]
    # That for inspect-ai, which is an extra, has a test of its own.
    shown = "\n".join(text for kind, _, text in BLOCKS if kind == "python" and "inspect_ai" not in text)
    shown += "print(len(prompts), prompts.column_names[:3], sft.column_names)\n"
    shown += "print(rows.column_names[:3], verified([r'\\boxed{1}'], ['1'])); verifier.close()"
    loaded = subprocess_run(
        [sys.executable, "-c", shown], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    assert re.search(r"^\d+ \['id', 'parents', 'domain'\] \['prompt', 'completion'\]$", loaded.stdout, re.M)
    assert loaded.stdout.splitlines()[-1] == "['prompt', 'answer', 'tests'] [1.0]"
    assert "use" in refused(folder, EXPORTS[0]), "a folder that is in use is never overwritten"
    assert "the layouts are" in refused(folder, [*EXPORTS[0][:-1], "new", "--layout", "prompt"])


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


def test_the_hub_takes_it(folder: Path, hub: Hub) -> None:
    [command] = commands("hub")
    variables: dict[str, Any] = environment() | {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_own", "HF_HUB_OFFLINE": "0"}
    pushed = subprocess_run(
        [sys.executable, "-m", "selfplay", *command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert pushed.stdout.splitlines()[-1] == f"{hub.url}/datasets/you/mine"
    assert b"license: apache-2.0" in hub.files["README.md"]


@pytest.mark.long
@pytest.mark.parametrize("command", RUNS, ids=" ".join)
def test_the_runs_of_the_page(folder: Path, finished: Path, command: list[str]) -> None:
    where = folder / command[command.index("--run-dir") + 1]
    where.unlink()
    done(folder, [*command, "--reuse", str(finished)])
    rows = [json.loads(line) for line in done(folder, ["prompts", str(where), "--limit", "0", "--json"]).splitlines()]
    assert {row["stage"] for row in rows} <= {"synthesis", "curation"}
    if command[1] == "volume.yaml":
        assert len(rows) == 3 * 2 * 40


def done(folder: Path, arguments: list[str]) -> str:
    """What a command prints that ends well."""
    ended = selfplay(*arguments, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def refused(folder: Path, arguments: list[str]) -> str:
    """The one sentence of a command that refuses."""
    ended = selfplay(*arguments, cwd=folder)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr
