"""The commands of the tutorials for GPUs, run on a CPU: tiny models stand in for those of the hub, files for suites."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from selfplay.quickstart import seeds
from tests.docs.pages import pages
from tests.docs.test_tutorials import BLOCK, commands, dotted
from tests.e2e.conftest import ROOT, SMALL, selfplay
from tests.selfplay.engines.openai_server import openai_server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("tutorials_for_gpus")]
SHORT = {"temperature": 1.0, "max_new_tokens": 40}
MEASURED = {"problems": 4, "samples": 2, "temperatures": [0.6], "max_new_tokens": 16, "bootstrap": 200}
STEPS = {"max_steps": 2, "save_steps": 1, "per_device_train_batch_size": 8}
ONE_GPU = {
    "training": {"sampling": SHORT, "grpo": {"args": STEPS}},
    "evaluation": MEASURED,
}
WORDING: dict[str, Any] = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())["domains"]["math"]
LEARNT = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1, "learning_rate": 4.0e-3}
FIT = LEARNT | {"max_steps": 60, "save_steps": 50, "warmup_steps": 2}
EM = LEARNT | {"max_steps": 2, "learning_rate": 5.0e-4}
VOTES = {"samples": 2, "sampling": SHORT}
EIGHT_GPUS = {
    "compute": {"device": "cpu", "workers": 1, "sharding": "none"},
    "domains": {"math": {name: text for name, text in WORDING.items() if name.endswith("_template")}},
    "cold_start": {"prompt_model_args": FIT, "rationale_model_args": FIT},
    "em": {"rounds": 1, "pairs": 24, "candidates": 2, "heldout_pairs": 6, "e_step_args": EM, "m_step_args": EM},
    "synthesis": {"prompts": 96},
    "curation": {"near_duplicate_jaccard": 0.95, "decontamination_spares_seed_wording": True},
    "labelling": {"labellers": {"policy": VOTES, "larger": VOTES}, "min_agreement": 0.3, "drop": []},
    "training": {"valid": [], "sampling": SHORT, "dpo": {"min_agreement": 0.0, "args": STEPS}},
    "evaluation": MEASURED,
}
PROBLEMS = seeds.generate("math", 320, 0)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base of a small run, which can write what it was taught, with a chat template that adds nothing."""
    run = tmp_path_factory.mktemp("stand-in") / "run"
    done = selfplay("run", SMALL, "--until", "base", "--run-dir", run)
    assert done.returncode == 0, done.stderr
    model = run / "stages" / "base" / "model"
    (model / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    return model


def in_order(page: str, cwd: Path, smaller: dict[str, Sequence[str]]) -> Iterator[tuple[list[str], str]]:
    """Runs the page's commands, with settings for some, and gives each with what it said."""
    for given in commands(pages(f"tutorials/{page}.md")):
        done = selfplay(*given, *smaller.get(given[0], ()), cwd=cwd)
        assert done.returncode == 0, (given, done.stdout, done.stderr)
        yield given, " ".join((done.stdout + done.stderr).split())


def write_problems(file: Path, problems: Sequence[Any]) -> None:
    """Problems with their answers, as people have them."""
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("problem", "answer"), *((one.problem, one.answer) for one in problems)])


def write_files_of(page: str, folder: Path) -> None:
    """The files that a page shows."""
    for _, what, block in BLOCK.findall(pages(f"tutorials/{page}.md")):
        if what.startswith("file="):
            (folder / what.removeprefix("file=")).write_text(block)


def test_one_gpu(stand_in: Path, tmp_path: Path) -> None:
    """From the doctor to the comparison."""
    write_files_of("one-gpu", tmp_path)
    write_problems(tmp_path / "problems.csv", PROBLEMS[:60])
    downloaded = tmp_path / "downloaded"
    downloaded.mkdir()
    for suite in ("aime25", "math500"):
        write_problems(downloaded / f"{suite}.csv", PROBLEMS[100:103])
    instead = ("engine={kind: transformers}", "compute.workers=1")
    of_run = (f"model.name={stand_in}", *instead, *dotted(ONE_GPU))
    measured = (*instead, "--data", str(downloaded), "--incomplete", "samples=2", "sampling.max_new_tokens=16")
    smaller = {"check": of_run, "run": of_run, "evaluate": measured}
    said = {given[0]: words for given, words in in_order("one-gpu", tmp_path, smaller)}
    assert set(said) >= {"doctor", "plan", "check", "run", "status", "rollouts", "evaluate", "compare"}
    assert "60 right answers pass" in said["check"]
    assert "round-1 against base" in said["compare"]
    assert (tmp_path / "runs/my-grpo/best/model.safetensors").exists()


def answer(prompt: str, seed: int) -> str:
    """What an annotator says of a problem of these: its own concepts and rationale; it answers a first call, too."""
    one = next((one for one in PROBLEMS if one.problem in prompt), None)
    if one is None:
        return "Yes."
    if "<concepts>" in prompt:
        return f"<!-- BEGIN RATIONALE -->{one.rationale}<!-- END RATIONALE -->"
    return json.dumps(one.concepts)


def test_eight_gpus(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From bare problems to a policy, in the pieces of the page."""
    monkeypatch.setenv("TEACHER_KEY", "a-key")
    write_files_of("eight-gpus", tmp_path)
    write_problems(tmp_path / "problems.csv", PROBLEMS)
    write_problems(tmp_path / "fifty.csv", PROBLEMS[:50])
    names = [f"{which}.name={stand_in}" for which in ("model", "generator", "labelling.labellers.larger.engine")]
    away = [f"curation.benchmarks.{name}=null" for name in ("aime24", "aime25", "hmmt25", "math500")]
    of_run = ("engine={kind: transformers}", *names, *away, *dotted(EIGHT_GPUS))
    with openai_server(answer, key="a-key") as server:
        at = [f"cold_start.annotators.{name}.engine.endpoint.base_url={server.url}" for name in ("teacher", "second")]
        few = ("cold_start.annotation.fewest_concepts=1", "engine={kind: transformers}", *names, *away)
        smaller = {"synthesize": (*at, *few), "check": of_run, "run": of_run}
        said = list(in_order("eight-gpus", tmp_path, smaller))
    # Problems of one grammar share their wording with the held-out ones, as which most are left out.
    assert len(pq.read_table(tmp_path / "runs/annotate/stages/annotation/math-train.parquet")) > 50
    assert [given[0] for given, _ in said] == ["synthesize"] * 2 + ["recipes", "plan", "plan", "check"] + [
        *("run", "run", "prompts", "run")
    ]
    assert (tmp_path / "runs/mine/best/model.safetensors").exists()
