"""Every example of the pages on verifiers runs as it stands, in the order of the pages."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from selfplay.config.domains import Domain
from tests.docs.pages import pages
from tests.e2e.conftest import environment
from tests.verifiers.judge.judge_server import judge_server
from verifiers.model import Task
from verifiers.registry import load, offers

WRITTEN = ("write-a-verifier", "test-a-verifier", "compose-verifiers")
SHIPPED = pages("reference/verifiers.md")
PAGE = pages(*(f"how-to/{name}.md" for name in WRITTEN)) + "\n" + SHIPPED
BLOCK = re.compile(r"^([ ]*)```(\w+)[ ]?([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(language, what, dedent(text)) for _, language, what, text in BLOCK.findall(PAGE)]


def blocks(language: str, what: str = "") -> list[str]:
    return [text for kind, told, text in BLOCKS if kind == language and told == what]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the pages."""
    made = tmp_path_factory.mktemp("docs")
    for _, what, text in BLOCKS:
        if what.startswith("file="):
            (made / what.removeprefix("file=")).write_text(text)
    return made


def run(folder: Path, arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(), **variables}
    env["PYTHONPATH"] += os.pathsep + str(folder)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def commands(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("selfplay ")]


def test_every_block_is_of_a_known_kind() -> None:
    """A block that no test runs would rot."""
    known = {
        ("python", "run"),
        ("yaml", "recipe"),
        ("yaml", "params=composite"),
        ("sh", ""),
        ("sh", "fake-endpoint"),
        ("toml", ""),
        ("text", ""),
    }
    assert {(kind, what) for kind, what, _ in BLOCKS if not what.startswith("file=")} == known
    assert PAGE.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("snippet", blocks("python", "run"))
def test_snippets_print_what_they_say(folder: Path, snippet: str) -> None:
    done = run(folder, ["-c", snippet])
    assert done.returncode == 0, done.stderr
    promised = [line.rpartition("  # ")[2] for line in snippet.splitlines() if line.startswith("print(")]
    assert done.stdout.splitlines() == promised


@pytest.mark.parametrize("arguments", [line for text in blocks("sh") for line in commands(text)], ids=" ".join)
def test_commands_pass(folder: Path, arguments: list[str]) -> None:
    done = run(folder, ["-m", "selfplay", *arguments])
    assert done.returncode == 0, done.stdout + done.stderr
    assert " conforms; " in done.stdout
    if "--json" in arguments:
        assert json.loads((folder / arguments[-1]).read_text())["passed"] is True


def test_the_shown_output_is_what_is_printed(folder: Path) -> None:
    done = run(folder, ["-m", "selfplay", *commands(blocks("sh")[0])[0], "--huge", "5000"])
    printed = [" ".join(re.findall(r"[\w:()]+", line)) for line in done.stdout.splitlines()]
    for line in blocks("text")[0].splitlines():
        words = " ".join(re.findall(r"[\w:()]+", line))
        assert not words or words in printed, line


def test_the_judge_is_tested_against_an_endpoint(folder: Path) -> None:
    [arguments] = commands(blocks("sh", "fake-endpoint")[0])
    with judge_server() as server:
        given = [text.replace("http://127.0.0.1:8000/v1", server.url()) for text in arguments]
        done = run(folder, ["-m", "selfplay", *given, "--huge", "5000"], JUDGE_KEY="a-key")
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.authorization == "Bearer a-key"


def test_the_decorated_function_works_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    rule = load("named_rules:at-most-words", {"words": 3})
    assert [rule.verify(Task(), text).passed for text in ("one two three", "one two three four")] == [True, False]
    assert getattr(rule, "judges") == "form"  # noqa: B009 - no part of the protocol


def test_the_entry_point_is_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tomllib

    points = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]["selfplay.verifiers"]
    info = folder / "house_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-rules\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[selfplay.verifiers]\n{lines}")
    monkeypatch.syspath_prepend(str(folder))
    assert {offer.name: offer.source for offer in offers()}["last_word"] == "house-rules 1.0"
    assert load("last_word").verify(Task(answer="yes"), "yes").passed is True


def test_the_recipe_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    [settings] = yaml.safe_load(blocks("yaml", "recipe")[0])["domains"].values()
    known: Any = Domain.model_fields
    assert set(settings) <= set(known)
    rule = load(settings["verifier"], settings["verifier_params"])
    assert rule.verify(Task(answer="yes"), "YES").passed is True


def test_the_composite_is_made() -> None:
    gate = load("composite", yaml.safe_load(blocks("yaml", "params=composite")[0]))
    right = r"<think>half</think>\boxed{1/2}"
    assert gate.verify(Task(answer="0.5"), right).reward == 1.0
    loose = gate.verify(Task(answer="0.5"), "it is 0.5")
    assert (loose.reward, loose.passed) == (pytest.approx(0.8), True)
    gate.close()


def test_every_shipped_verifier_stands_on_the_page() -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        shipped = {offer.name for offer in offers() if offer.source == "built in"}
    table = set(re.findall(r"^\| `(\w+)` \|", SHIPPED, re.MULTILINE))
    assert table == shipped
