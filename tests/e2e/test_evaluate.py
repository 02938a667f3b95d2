"""`selfplay evaluate` and `selfplay compare` as a user runs them, on a tiny model, killed and gone on with.

A default test: three sessions of half a dozen seconds, which are what the promise to go on is about.
"""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import pytest

from selfplay.config.compute import EngineSettings
from selfplay.engines.base import ModelRef
from selfplay.pipeline.evaluate import engine_fault
from tests.docs.pages import pages
from tests.e2e.conftest import command, environment, selfplay
from tests.selfplay.conftest import tiny_model
from tests.selfplay.engines.openai_server import OpenAIServer
from tests.selfplay.evaluation.folders import write_evaluation
from tests.selfplay.evaluation.test_contest_rating import write_contest

__all__ = ["tiny_model"]
pytestmark = pytest.mark.xdist_group("evaluate")

PAGE = pages(*(f"how-to/{name}.md" for name in ("evaluate", "rate", "analyse", "compare")))
COMMANDS = [shlex.split(line)[1:] for line in PAGE.splitlines() if line.startswith("selfplay ")]
HOW = ("samples=4", "sampling.max_new_tokens=20", "engine.shard=8", "compute.workers=1", "bootstrap=500")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("suite") / "sums.jsonl"
    rows = [{"id": f"s{n}", "problem": f"Tom has {n} apples and gets {n}.", "answer": str(2 * n)} for n in range(40)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def arguments(model: str, suite: Path, out: Path) -> list[str]:
    return ["evaluate", model, "--suite", str(suite), "--out", str(out), *HOW]


@pytest.fixture(scope="module")
def whole(tiny_model: ModelRef, suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation that was never interrupted."""
    out = tmp_path_factory.mktemp("whole") / "evaluation"
    done = selfplay(*arguments(tiny_model.path, suite, out))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "4 completions a problem, T 0.6, top_p 0.95, at most 20 tokens" in said
    assert 'prompt: "{problem}\\n\\nReason step by step' in said
    assert "(the default)" in said
    return out


def table(out: Path) -> list[dict[str, Any]]:
    [file] = out.glob("results/*/sums.parquet")
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def test_the_table_and_the_figures_agree(whole: Path) -> None:
    rows = table(whole)
    assert [row["published"] for row in rows] == [f"s{n}" for n in range(40)]
    assert all(
        len(row[name]) == 4 for row in rows for name in ("completions", "passed", "reasons", "tokens", "seconds")
    )
    assert "final answer within" in rows[0]["prompt"]
    figures = json.loads((whole / "figures.json").read_text())["figures"]
    found = {row["metric"]: row for row in figures}
    assert found["avg@4"]["value"] == pytest.approx(fmean(fmean(row["passed"]) for row in rows))
    assert found["pass@4"]["value"] == pytest.approx(fmean(any(row["passed"]) for row in rows))
    assert found["cut share"]["value"] == pytest.approx(fmean(fmean(row["cut"]) for row in rows))
    assert found["tokens"]["value"] == pytest.approx(fmean(fmean(row["tokens"]) for row in rows))
    # The settings lie beside every figure.
    assert all(row["settings"]["sampling"]["temperature"] == 0.6 for row in figures)
    about = json.loads((whole / "evaluation.json").read_text())
    assert about["suites"]["sums"]["problems"] == 40
    assert len(about["suites"]["sums"]["content"]) == 64


def test_killed_in_the_middle_it_goes_on(tiny_model: ModelRef, suite: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    process = subprocess.Popen(
        command(*arguments(tiny_model.path, suite, out)),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(shards := list(out.glob("store/shards/*/*.parquet"))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in shards}
    assert 3 <= len(before) < 20
    assert not list(out.glob("results/*/*.json"))
    done = selfplay(*arguments(tiny_model.path, suite, out))
    assert done.returncode == 0, done.stderr
    # What was finished was not made again, and all is as if nothing had happened.
    assert {file: file.stat().st_mtime_ns for file in before} == before
    without = [{name: value for name, value in row.items() if name != "seconds"} for row in table(out)]
    assert without == [{name: value for name, value in row.items() if name != "seconds"} for row in table(whole)]


def test_an_endpoint_is_measured_and_asked_once(suite: Path, tmp_path: Path) -> None:
    def reply(prompt: str, seed: int) -> str:
        number = int(prompt.split()[2]) if prompt.startswith("Tom") else 0
        return f"It is \\boxed{{{2 * number if seed % 2 else number}}}"

    server, out = OpenAIServer(reply), tmp_path / "evaluation"
    how = ["--served", "small", *HOW, "sampling.top_k=20", "sampling.min_p=0.1", "sampling.system_prompt=Be short."]
    given = [*arguments(server.url, suite, out), *how, "--json"]
    try:
        done = selfplay(*given)
        assert done.returncode == 0, done.stderr
        asked = len(server.requests)
        assert {(body["top_k"], body["min_p"]) for body in server.requests} == {(20, 0.1)}
        assert server.requests[-1]["messages"][0] == {"role": "system", "content": "Be short."}
        figures = {row["metric"]: row["value"] for row in map(json.loads, done.stdout.splitlines())}
        assert 0.2 < figures["avg@4"] < 0.8
        assert figures["pass@4"] > figures["avg@4"]
        again = selfplay(*given)
        assert (again.returncode, again.stdout) == (0, done.stdout)
        # The short question before the work, and nothing else.
        assert len(server.requests) - asked <= 1
    finally:
        server.close()


def test_what_a_model_lacks_is_said_before_it_loads(tiny_model: ModelRef, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    done = selfplay(*arguments(tiny_model.path, suite, out), "sampling.system_prompt=x")
    assert done.returncode == 2, done.stderr
    assert "without a chat template, so that sampling.system_prompt has no place" in done.stderr
    # On a slow machine it also says that it still looks at the model.
    told = [line for line in done.stderr.splitlines() if not line.endswith("  goes on")]
    assert (len(told), told[0]) == (3, f"{tiny_model.path}: getting ready; figures will be in {out}")
    assert not (out / "store" / "shards").exists()
    if find_spec("vllm") is None:
        assert engine_fault(EngineSettings(kind="vllm")).startswith("engine.kind: vLLM cannot be imported here")


@pytest.mark.long
def test_the_commands_of_the_page(tiny_model: ModelRef, suite: Path, tmp_path: Path) -> None:
    """In its order, where there are what they name; only faster."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "policy").symlink_to(tiny_model.path)
    (tmp_path / "sums.jsonl").write_text("".join(suite.read_text().splitlines(keepends=True)[:3]))
    with (tmp_path / "questions.csv").open("w") as file:
        csv.writer(file).writerows([["question", "gold"], ["Tom has 2, and gets 2.", "4"]])
    for name in ("before", "after"):
        write_evaluation(tmp_path / "evaluations" / name, {"model": {"sums": [[True, name == "after"]] * 9}}, samples=2)
    names = ["7/A", "7/B"]
    rated = {"model": {"codeforces": [[False, True], [False, False]]}}
    write_evaluation(tmp_path / "evaluations" / "policy", rated, names=names, samples=2)
    (tmp_path / "standings").mkdir()
    write_contest(tmp_path / "standings", 7, [(1.0, 0.0), (0.0, 0.0)], [1500.0, 1600.0], "ICPC", {"A": None, "B": None})
    (tmp_path / "downloads").mkdir()
    rows = [
        {"id": str(n), "problem": f"Which number is {n} more than the one before {n}?", "answer": "1"}
        for n in range(30)
    ]
    for file in (tmp_path / "downloads" / "aime24.jsonl", tmp_path / "seeds.jsonl"):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "prompts.csv").write_text("problem\nHow many apples are there?\n")
    said = []
    for given in COMMANDS:
        own = ["compute.workers=1", "bootstrap=200"] if given[0] == "evaluate" else []
        place = ["--out", f"own-{len(said)}"] if given[0] == "evaluate" else []
        done = selfplay(*given, *own, *place, cwd=tmp_path)
        assert done.returncode == 0, (given, done.stderr)
        said.append(" ".join(done.stdout.split()))
    assert [given[0] for given in COMMANDS] == ["evaluate", "evaluate", "rate", "analyse", "compare"]
    assert "questions" in said[1]
    assert "the mean over 1 contests" in said[2]
    assert "seeds.jsonl: 30 of 30 problems hold one of aime24" in said[3]
    assert "better by 50.0 points" in said[4]


def test_two_evaluations_are_compared(whole: Path, tmp_path: Path) -> None:
    first = write_evaluation(tmp_path / "first", {"model": {"sums": [[True, False]] * 30}}, samples=2)
    passed = [[True, True]] * 29 + [[False, False]]
    second = write_evaluation(tmp_path / "second", {"model": {"sums": passed}}, samples=2)
    page = tmp_path / "page.html"
    done = selfplay("compare", first, second, "--html", page)
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "better by 46.7 points" in shown
    assert "Went the other way: 0 won, 1 lost" in shown
    assert "model 29.0: wrong" in shown
    assert "model 29.0: wrong" in page.read_text()
    alone = selfplay("compare", whole)
    assert alone.returncode == 2
    assert "a comparison takes two models or more" in alone.stderr
