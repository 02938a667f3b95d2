"""The door for Python: what a notebook does, an interrupt included."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.errors import UserError
from selfplay.config.load import RecipeError
from selfplay.pipeline import RunResult, check, load_recipe, open_run, run
from tests.docs.pages import pages
from tests.selfplay.in_process import InProcess

ROOT = Path(__file__).resolve().parents[3]
SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "compute": {"workers": 1, "device": "cpu"},
    "model": {
        "kind": "scratch",
        "hidden_size": 32,
        "layers": 1,
        "vocabulary": 400,
        "args": {"max_steps": 2, "per_device_train_batch_size": 4},
    },
    "domains": {
        "math": {
            "seeds": {"kind": "quickstart", "grammar": "math", "train": 24, "heldout": 4, "slip_rate": 0.0},
            # Passes whatever the tiny model writes, so that there is something to learn from.
            "verifier": "length",
        }
    },
    "training": {
        "algorithm": "rft",
        "rounds": 1,
        "rft": {"rollouts": 4, "args": {"max_steps": 1, "per_device_train_batch_size": 4}},
        "sampling": {"max_new_tokens": 250},
        "pool": {"arm": "external"},
    },
    "evaluation": {
        "problems": 4,
        "samples": 1,
        "temperatures": [1.0],
        "greedy": False,
        "max_new_tokens": 8,
        "bootstrap": 100,
    },
    "tracking": {"wandb": {"mode": "disabled"}},
}


def test_a_dictionary_is_a_recipe_and_overrides_may_be_one() -> None:
    assert load_recipe(SETTINGS, {"seed": 3, "training.rounds": 2}).training.rounds == 2
    assert load_recipe(SETTINGS, ["seed=3"]) == load_recipe(load_recipe(SETTINGS), {"seed": 3})
    with pytest.raises(RecipeError, match="rownds"):
        load_recipe(SETTINGS, {"training.rownds": 2})


def test_a_file_is_a_recipe() -> None:
    assert load_recipe(ROOT / "configs" / "quickstart.yaml").name == "quickstart"


@pytest.fixture(scope="module", autouse=True)
def workers_in_this_process() -> Iterator[None]:
    """Processes of their own would load torch for each run anew; a script of its own has them, below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("selfplay.pipeline.crew.Workers", InProcess)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run from Python, to its end."""
    return run(SETTINGS, run_dir=tmp_path_factory.mktemp("api") / "run")


def test_a_run_gives_its_tables_its_figures_and_its_policy(finished: RunResult) -> None:
    assert finished.summary is not None
    assert finished.report.exists()
    assert isinstance(finished.policy, Path)
    assert (finished.policy / "model.safetensors").exists()
    assert finished.tables["evaluation_1"] == ["rollouts"]
    rollouts = finished.table("evaluation_1", "rollouts", ["task_id", "passed"])
    assert rollouts.num_rows == 4
    assert list(rollouts.to_pandas().columns) == ["task_id", "passed"]
    with pytest.raises(UserError, match=r"has no column temperature; it has id, task_id, "):
        finished.table("selfplay_1", "rollouts", ["task_id", "temperature"])
    with pytest.raises(UserError, match=r"no table selfplay_1/rolouts; it has .*evaluation_1/rollouts"):
        finished.table("selfplay_1", "rolouts")


def test_a_run_is_opened_again(finished: RunResult) -> None:
    again = open_run(finished.path)
    assert (again.recipe, again.tables) == (finished.recipe, finished.tables)
    assert again.summary is not None
    with pytest.raises(UserError, match="is not a run directory"):
        open_run(finished.path / "stages")


def test_a_finished_run_is_extended_by_rounds_and_by_samples(finished: RunResult) -> None:
    """Nothing that is done is done again but what must be."""
    stages = finished.path / "stages"
    written = {name: (stages / name / "manifest.json").stat().st_mtime_ns for name in finished.tables}
    longer = run(SETTINGS, {"training.rounds": 2}, run_dir=finished.path)
    assert {"selfplay_2", "evaluation_2"} <= {path.name for path in stages.iterdir()}
    assert {name: (stages / name / "manifest.json").stat().st_mtime_ns for name in written} == written
    assert longer.summary is not None
    assert [row["round"] for row in longer.summary["rounds"]] == [1, 2]
    policy = (stages / "selfplay_2" / "manifest.json").stat().st_mtime_ns
    more = run(SETTINGS, {"training.rounds": 2, "evaluation.samples": 3}, run_dir=finished.path)
    assert more.table("evaluation_1", "rollouts").num_rows == 12
    assert (stages / "selfplay_2" / "manifest.json").stat().st_mtime_ns == policy
    with pytest.raises(UserError, match=r"(?s)selfplay_1.*--reuse.*training\.rft\.rollouts"):
        run(SETTINGS, {"training.rft.rollouts": 2}, run_dir=finished.path)


def test_until_and_reuse_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--until nowhere: is not a stage; the stages are seeds, base"):
        run(SETTINGS, run_dir=tmp_path / "run", until="nowhere")
    with pytest.raises(UserError, match="is not a run directory"):
        run(SETTINGS, run_dir=tmp_path / "run", reuse=tmp_path)
    assert run(SETTINGS, run_dir=tmp_path / "run", until="seeds").summary is None


def test_check_finds_all_well() -> None:
    assert {finding.name for finding in check(SETTINGS)} >= {"rewards: math"}


@pytest.mark.long
def test_an_interrupt_is_one_and_the_same_call_goes_on(tmp_path: Path) -> None:
    """As in a notebook, whose kernel survives the interrupt of a cell; and a script needs no main guard."""
    script = f"""
from selfplay.pipeline import run
settings = {SETTINGS!r}
try:
    run(settings, run_dir={str(tmp_path / "run")!r})
except KeyboardInterrupt:
    print("interrupted", flush=True)
    run(settings, run_dir={str(tmp_path / "run")!r}, until="base")
    print("went on", flush=True)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    try:
        limit = time.monotonic() + 120
        while not (tmp_path / "run/stages/seeds/manifest.json").exists():
            assert time.monotonic() < limit
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=240)
    finally:
        child.kill()
        child.wait()
    assert said.splitlines() == ["interrupted", "went on"]
    assert (tmp_path / "run/stages/base/manifest.json").exists()


PAGE = pages("reference/python.md")


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a recipe that is small enough."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps(SETTINGS))
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        code = block.replace('"configs/quickstart.yaml"', '"tiny.yaml"').replace("runs/quickstart", "runs/from-python")
        exec(compile(code, "docs/reference/python.md", "exec"), names)
    assert names["result"].summary["gains"]
    assert names["rollouts"].num_rows
    assert names["earlier"].path == Path("runs/from-python")


def test_every_stable_name_is_there() -> None:
    for modules, names in re.findall(r"^\| (`.*?) \| (.*) \|$", PAGE, re.MULTILINE):
        found = [importlib.import_module(module) for module in re.findall(r"`([a-z_.]+)`", modules)]
        for name in re.findall(r"`([A-Za-z_]+)`", names):
            assert any(hasattr(module, name) for module in found) or name == "exit_code", f"{modules}: {name}"
