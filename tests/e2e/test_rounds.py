"""Rounds of every kind by the command line, killed in the middle: the same tables and weights as the unbroken run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import command, environment, products, selfplay

ROUNDS = Path(__file__).with_name("rounds.yaml")

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("small_run")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("rounds") / "run"
    done = selfplay("run", ROUNDS, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    return run


def killed_in(run: Path, recipe: Path, stage: str, file: str, *arguments: str) -> None:
    """Runs until a file of a stage is there, then kills the driver at once."""
    everything = command("run", recipe, "--run-dir", run, *arguments)
    process = subprocess.Popen(everything, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 1800
    while not list((run / "stages" / stage).glob(file)):
        assert process.poll() is None, f"the run ended before {stage}/{file}"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (run / "stages" / stage / "manifest.json").exists()


def test_a_run_of_rounds_that_was_killed_equals_the_unbroken_one(unbroken: Path, tmp_path: Path) -> None:
    """Killed at a checkpoint of DPO, in the middle of a feedback, and while new prompts are labelled."""
    run = tmp_path / "run"
    killed_in(run, ROUNDS, "selfplay_1", "policy-training/checkpoint-2/complete")
    killed_in(run, ROUNDS, "feedback_2", "rationale-model-training")
    killed_in(run, ROUNDS, "selfplay_2", "pairs.parquet")
    done = selfplay("run", ROUNDS, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(unbroken)
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (run, unbroken))
    assert ours["rounds"] == theirs["rounds"]
    assert ours["selection"] == theirs["selection"]
    sources = ours["rounds"][1]["sources"]
    assert sources["external"] == 13
    assert sources["replayed"] == 6


def test_prompts_of_all_rounds_are_listed_and_exported(unbroken: Path, tmp_path: Path) -> None:
    summary = json.loads((unbroken / "summary.json").read_text())
    listed = selfplay("prompts", unbroken, "--limit", "0", "--json")
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert len(rows) == summary["prompts"]["made"]
    assert sum(not row["dropped"] for row in rows) == summary["prompts"]["kept"]
    second = [row for row in rows if row["round"] == 2]
    assert {row["stage"] for row in second} <= {"synthesis_2", "curation_2", "labelling_2"}
    restricted = selfplay("prompts", unbroken, "--limit", "0", "--json", "--round", "2")
    assert restricted.stdout.splitlines() == [json.dumps(row, ensure_ascii=False) for row in second]
    story = json.loads(selfplay("prompts", unbroken, "--id", second[-1]["id"]).stdout)
    assert (story["round"], story["stage"]) == (2, second[-1]["stage"])
    done = selfplay("export", "prompts", unbroken, "--to", tmp_path / "data", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    exported = [json.loads(line) for line in (tmp_path / "data/prompts/train-00000.jsonl").read_text().splitlines()]
    left = [row for row in rows if not row["dropped"] or "labelling" in row["stage"]]
    assert [(row["id"], row["round"]) for row in exported] == [(row["id"], row["round"]) for row in left]


@pytest.mark.parametrize("algorithm", ["rft", "sft"])
def test_a_killed_arm_equals_the_unbroken_one(unbroken: Path, tmp_path: Path, algorithm: str) -> None:
    """Both share their beginning with the run above; the teacher of the second is the model that DPO made."""
    args = "args={max_steps: 6, per_device_train_batch_size: 2, save_steps: 1, learning_rate: 1.0e-3}"
    settings = ["training.rounds=1", "training.pool.each_round=reuse", "synthesis.feedback=null"]
    settings += [f"training.algorithm={algorithm}", f"training.{algorithm}.{args}"]
    if algorithm == "sft":
        policy = unbroken / "stages" / "selfplay_1" / "policy"
        engine = f"{{kind: local, name: {policy}, dtype: float32, prompt_style: raw}}"
        settings += [f"training.sft.teacher={{engine: {engine}, sampling: {{max_new_tokens: 60}}}}"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    reuse = ["--reuse", str(unbroken)]
    done = selfplay("run", ROUNDS, "--run-dir", whole, *reuse, *settings, timeout=1800)
    assert done.returncode == 0, done.stderr
    killed_in(broken, ROUNDS, "selfplay_1", "policy-training/checkpoint-3/complete", *reuse, *settings)
    done = selfplay("run", ROUNDS, "--run-dir", broken, *reuse, *settings, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert products(broken) == products(whole)
