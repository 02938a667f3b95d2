"""A whole run by the command line: what it leaves, that it is done once, and that it repeats itself."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, command, environment, products, selfplay

pytestmark = [pytest.mark.xdist_group("small_run"), pytest.mark.usefixtures("needs_sandbox")]


@pytest.fixture(scope="session")
def summary(finished: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((finished / "summary.json").read_text())
    return content


def test_the_summary_holds_the_closing_table(summary: dict[str, Any]) -> None:
    rounds = {(row["round"], row["domain"], row["metric"]) for row in summary["evaluation"]}
    metrics = ["avg@2 T=1.0", "avg@2 T=0.6", "pass@2 T=1.0", "pass@2 T=0.6", "greedy"]
    assert rounds == {(n, d, m) for n in (0, 1, 2) for d in ("math", "code") for m in metrics}
    for row in summary["evaluation"]:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert row["n"] == 20
    assert {row["round"] for row in summary["gains"]} == {1, 2}
    prompts = summary["prompts"]
    assert prompts["made"] == 192
    assert prompts["made"] == prompts["kept"] + sum(prompts["lost"].values())
    assert set(summary["labels"]) == {"accuracy", "n"}
    assert [row["round"] for row in summary["em"]] == [0, 1, 2]
    wanted = {"joint_nll", "bound", "nll_given_rationale", "nll_without_rationale", "length", "copy_rate"}
    assert all(wanted <= set(row) for row in summary["em"])
    assert all("reward" in row for row in summary["em"][1:])
    assert [row["name"] for row in summary["stages"]][:4] == ["start-up", "seeds", "base", "cold_start"]
    assert 0 < summary["overhead_share"] < 1
    assert {"torch", "trl", "transformers", "promptcot"} <= set(summary["versions"])


def test_what_was_promised_is_on_disk(finished: Path, summary: dict[str, Any]) -> None:
    assert Path(summary["paths"]["model"], "model.safetensors").exists()
    report = (finished / "report.html").read_text()
    assert "<script src" not in report
    assert len(report.encode()) < 2_000_000
    assert (finished / "metrics.jsonl").stat().st_size > 0
    assert list((finished / "wandb").glob("offline-run-*/*.wandb"))
    screen = (finished / "stdout.txt").read_text()
    assert "label accuracy" in screen
    assert "report.html" in screen


def test_the_trained_policy_loads_by_transformers_alone(summary: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(summary["paths"]["model"])
    tokenizer = AutoTokenizer.from_pretrained(summary["paths"]["model"])
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.model_type == "qwen3"


def test_the_same_command_again_does_nothing(finished: Path) -> None:
    before = products(finished)
    done = selfplay("run", SMALL, "--run-dir", finished)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("already done") == 13
    assert products(finished) == before
    assert len(list((finished / "wandb").glob("offline-run-*"))) == 1, "no empty one of a session that did nothing"


def test_another_recipe_on_the_directory_is_refused(finished: Path) -> None:
    done = selfplay("run", SMALL, "seed=9", "--run-dir", finished)
    assert done.returncode == 2
    assert "seed: 0 -> 9" in done.stderr


def test_status_and_report_of_a_finished_run(finished: Path) -> None:
    status = selfplay("status", finished)
    assert status.returncode == 0
    assert "evaluation_2" in status.stdout
    report = selfplay("report", finished)
    assert report.stdout.strip() == str(finished / "report.html")


def test_another_arm_takes_over_the_common_stages(finished: Path, other_arm: Path) -> None:
    """It trains on two workers at once."""
    demand_common_stages(finished, other_arm)


@pytest.mark.long
@pytest.mark.parametrize("arm", ["algorithm=rft", "algorithm=continued_sft", "rewards=shuffled"])
def test_controls_take_over_the_common_stages(finished: Path, tmp_path: Path, arm: str) -> None:
    run = tmp_path / "run"
    settings = [f"training.{arm}", "training.rounds=1", "compute.workers=2"]
    done = selfplay("run", SMALL, *settings, "--run-dir", run, "--reuse", finished)
    assert done.returncode == 0, done.stderr
    demand_common_stages(finished, run)


def demand_common_stages(finished: Path, run: Path) -> None:
    shared = [name for name in products(run) if not name.startswith(("stages/selfplay", "stages/evaluation"))]
    theirs, ours = products(finished), products(run)
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    name = "stages/selfplay_1/policy/model.safetensors"
    assert ours[name] != theirs[name]
    summary = json.loads((run / "summary.json").read_text())
    assert {row["round"] for row in summary["gains"]} == {1}


@pytest.mark.long
def test_a_run_that_is_stopped_in_every_way_equals_the_unbroken_one(finished: Path, tmp_path: Path) -> None:
    """By Ctrl-C, by a kill, at a stage that was asked for; which also shows that one seed gives one run."""
    run = tmp_path / "run"
    code, errors = stopped(run, "base", 0.0, signal.SIGINT)
    assert code == 130
    assert "the same command continues" in errors
    assert "Traceback" not in errors
    stopped(run, "em_1", 1.5, signal.SIGKILL)
    done = selfplay("run", SMALL, "--until", "curation", "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert "curation is done" in done.stdout
    assert not (run / "stages" / "labelling").exists()
    wrong = selfplay("run", SMALL, "--until", "curaton", "--run-dir", run)
    assert wrong.returncode == 2
    assert "the stages are seeds, base" in wrong.stderr
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(finished)


@pytest.mark.long
def test_a_run_killed_at_several_instants_equals_the_unbroken_one(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    for number, stage in enumerate(["base", "em_1", "selfplay_1"], 1):
        stopped(run, stage, 1.5 * number, signal.SIGKILL)
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(finished)


def stopped(run: Path, stage: str, delay: float, how: signal.Signals) -> tuple[int, str]:
    """Ends a session of a run some seconds after a stage began; its exit code and what it said as an error."""
    said = run.with_suffix(".stderr")
    with said.open("w") as file:
        process = subprocess.Popen(
            command("run", SMALL, "--run-dir", run), env=environment(), stderr=file, stdout=subprocess.DEVNULL
        )
    deadline = time.monotonic() + 300
    while not (run / "stages" / stage).exists():
        assert process.poll() is None, f"the run ended before {stage}"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(delay)
    process.send_signal(how)
    return process.wait(timeout=60), said.read_text()


@pytest.mark.long
def test_twenty_kills_at_random_instants(finished: Path, tmp_path: Path) -> None:
    """Each kill comes at a random instant after the session's first progress, so that they fall in all stages."""
    rng, run, stages = random.Random(0), tmp_path / "killed", set()
    kills = 0
    while kills < 20:
        process = started(run)
        before = progress(run)
        while process.poll() is None and progress(run) == before:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 4))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        stages.add(len(list(run.glob("stages/*/manifest.json"))))
    assert kills >= 12, "the run ended before it was killed often"
    assert len(stages) >= 6, f"the kills fell in few stages: {stages}"
    done = selfplay("run", SMALL, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert products(run) == products(finished)


def progress(run: Path) -> tuple[int, int, int]:
    """Grows whenever a run gets on: bytes of metrics, finished shards, finished stages."""
    metrics = run / "metrics.jsonl"
    shards, stages = run.glob("store/shards/*/*.parquet"), run.glob("stages/*/manifest.json")
    return (metrics.stat().st_size if metrics.exists() else 0, len(list(shards)), len(list(stages)))


def started(run: Path) -> subprocess.Popen[bytes]:
    """A run of its own process, told to nobody."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command("run", SMALL, "--run-dir", run), env=environment(), stderr=quiet, stdout=quiet)
