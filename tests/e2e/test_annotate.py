"""From problems to triples by the command line, as docs/how-to/annotate.md tells it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from selfplay.config.load import load_recipe
from tests.docs.pages import pages
from tests.e2e.conftest import ROOT, command, environment, products
from tests.selfplay.engines.openai_server import OpenAIServer, openai_server
from tests.selfplay.in_process import InProcess
from tests.selfplay.synthesis.annotators import QUICK, annotate, annotator, problem, recipe_file, teach

PAGE = pages("how-to/annotate.md")
COMMANDS = re.findall(r"^selfplay .*$", PAGE, re.M)
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
KEY = "sk-live/0123456789-abcdef"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server(five_concepts, key=KEY) as server:
        yield server


def five_concepts(prompt: str, seed: int) -> str:
    """What the example's annotators answer: one answer in eight cannot be used."""
    if seed % 8 == 0:
        return "I am sorry."
    return teach(prompt, seed).replace('"sums"', '"sums", "parity", "order"')


def run(line: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of this checkout with the key in its environment."""
    keyed = environment() | {"TEACHER_KEY": KEY}
    return subprocess.run(line, cwd=cwd, env=keyed, capture_output=True, text=True, timeout=300, check=False)


def as_told(line: str, cwd: Path, server: OpenAIServer, *more: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the page, against the test's server."""
    words = line.replace("$PWD", str(cwd)).split()
    assert words[0] == "selfplay"
    if words[1] != "status":  # The page's recipes want vLLM and benchmarks of the hub, which are not here.
        away = (f"curation.benchmarks.{name}=null" for name in ("aime24", "aime25", "hmmt25", "math500"))
        more = (*more, "engine={kind: transformers}", *away)
    if "configs/annotate-example.yaml" in words:
        for name in ("teacher", "second"):
            engine = f"cold_start.annotators.{name}.engine"
            more = (*more, f"{engine}.endpoint.base_url={server.url}", f"{engine}.endpoint.pause_s=0.01")
        more = (*more, "cold_start.annotation.pause_s=0.01")
    done = run(command(*words[1:], *more), cwd)
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def leaks(folder: Path) -> list[str]:
    """Files that hold the key."""
    return [str(file) for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


@pytest.mark.long
def test_the_commands_of_the_page(server: OpenAIServer, tmp_path: Path) -> None:
    """In order: a check, a budget that is too small, one that is raised, the state, and the triples as seeds."""
    check, first, reuse, raised, status = COMMANDS
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    done = as_told(check, tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert f"ok  cold_start.annotators.teacher.engine: Qwen/Qwen2.5-72B-Instruct at {server.url} answers" in done.stdout

    done = as_told(first, tmp_path, server, "cold_start.annotation.budget.cost=0.001")
    assert done.returncode == 4
    assert "0.001 are spent" in done.stderr
    assert "with a higher cold_start.annotation.budget.cost; nothing is asked or paid for twice" in done.stderr
    done = as_told(raised, tmp_path, server)
    assert done.returncode == 0, done.stderr
    assert "14 triples" in done.stdout
    bodies = [json.dumps(body) for body in server.requests if "Reply with" not in json.dumps(body)]
    assert len(bodies) == len(set(bodies))
    assert "annotation" in as_told(status, tmp_path, server).stdout

    stage = tmp_path / "runs" / "annotate-example" / "stages" / "annotation"
    triples = pq.read_table(stage / "math-train.parquet").to_pylist()
    assert [len(row["concepts"]) for row in triples] == [5] * 8
    assert all(row["rationale"].startswith("Start from concept") for row in triples)
    assert pq.read_table(stage / "code-train.parquet").num_rows == 6
    done = as_told(reuse, tmp_path, server, "--until", "seeds")
    assert done.returncode == 0, done.stderr
    taken = pq.read_table(tmp_path / "runs" / "qwen3-4b" / "stages" / "seeds" / "math-train.parquet").to_pylist()
    assert [row | {"source": ""} for row in taken] == [row | {"source": ""} for row in triples]
    assert leaks(tmp_path) == []


def test_the_recipes_of_the_page_load(tmp_path: Path) -> None:
    seeds, cold_start, domains = EXAMPLES
    for name in ("chemistry", "chemistry-heldout"):
        (tmp_path / f"{name}.jsonl").write_text("")
    whole = {"name": "page", "model": {"kind": "scratch"}} | cold_start | domains
    (tmp_path / "page.yaml").write_text(yaml.safe_dump(whole))
    recipe = load_recipe(tmp_path / "page.yaml")
    assert set(recipe.cold_start.annotators) == {"teacher", "small"}
    (tmp_path / "page.yaml").write_text(yaml.safe_dump(whole | {"domains": {"math": seeds}}))
    loaded: Any = load_recipe(tmp_path / "page.yaml").domains["math"].seeds
    assert (loaded.kind, loaded.fields) == ("dataset", {"problem": "question"})


@pytest.mark.long
def test_an_interrupt_and_a_kill_in_the_middle_change_no_table(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests hang from a certain one on, so that each stop falls into the middle of the work."""
    server.reply = lambda prompt, seed: "..." if seed % 3 == 0 else teach(prompt, seed)
    settings = annotator(server.url, endpoint={"api_key_env": "TEACHER_KEY"})
    rows = [problem(n) | {"solution": f"It is {n + 2}."} for n in range(40)]
    recipe = recipe_file(tmp_path, {"a": settings, "b": settings}, rows)
    line = command("synthesize", recipe, "--until", "annotation", "--run-dir", tmp_path / "run")

    for number, how in enumerate((signal.SIGINT, signal.SIGKILL), 1):
        most = 30 * number
        server.fault_of = lambda body, most=most: "hang" if server.answered >= most else ""
        process = subprocess.Popen(
            line, env=environment() | {"TEACHER_KEY": KEY}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        deadline = time.monotonic() + 120
        while server.answered < most:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert process.returncode == 130
            assert "the same command continues" in errors
        server.hold.set()

    server.fault_of = lambda body: ""
    done = run(line, tmp_path)
    assert done.returncode == 0, done.stderr
    asked = server.answered - 2 * 3  # without the questions before each session
    monkeypatch.setenv("TEACHER_KEY", KEY)
    annotate(tmp_path / "unbroken", recipe, InProcess())
    assert products(tmp_path / "run") == products(tmp_path / "unbroken")
    # Only what was under way at one of the two stops, at both annotators, may have been asked again.
    unbroken = server.answered - 2 * 3 - asked
    assert unbroken <= asked <= unbroken + 2 * 2 * QUICK["concurrency"]
    assert leaks(tmp_path) == []


@pytest.mark.long
def test_models_learn_from_the_triples(server: OpenAIServer, tmp_path: Path) -> None:
    """The quickstart's problems, stripped of concepts and rationales, all the way to p and q."""
    from selfplay.quickstart import seeds

    rows = [
        {"problem": p.problem, "answer": p.answer, "solution": p.solution, "level": p.level}
        for p in seeds.generate("math", 120, 0)
        if not p.slipped
    ]
    small: dict[str, Any] = {"max_steps": 4, "per_device_train_batch_size": 4}
    recipe = recipe_file(
        tmp_path,
        {"a": annotator(server.url, endpoint={"api_key_env": "TEACHER_KEY"})},
        rows[:-6],
        rows[-6:],
        annotation={"concepts": 5},
        model={"kind": "scratch", "hidden_size": 32, "layers": 1, "vocabulary": 400, "args": small},
        em={"heldout_pairs": 4, "bound_samples": 2, "sampling": {"max_new_tokens": 16}, "rounds": 1},
        evaluation={"problems": 4},
    )
    settings = yaml.safe_load(recipe.read_text())
    settings["cold_start"] |= {"prompt_model_args": small, "rationale_model_args": small}
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False))
    folder = tmp_path / "run"
    done = run(command("synthesize", recipe, "--until", "cold_start", "--run-dir", folder), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cold_start is done" in done.stdout
    triples = pq.read_table(folder / "stages" / "annotation" / "math-train.parquet").to_pylist()
    examples = pq.read_table(folder / "stages" / "cold_start" / "prompt-model-examples.parquet").to_pylist()
    assert len(triples) == len(examples) > 15
    assert all(triple["rationale"] in str(example) for triple, example in zip(triples, examples, strict=True))
    for model in ("prompt-model", "rationale-model"):
        assert (folder / "stages" / "cold_start" / model / "model.safetensors").exists()
    assert leaks(tmp_path) == []
