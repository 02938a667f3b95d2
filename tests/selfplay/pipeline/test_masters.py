"""Which trained weights a run keeps, and that none goes on from rounded ones: whole runs of a tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from selfplay.config.recipe import Recipe
from selfplay.engines import loading
from selfplay.engines.base import MASTERS, ModelRef
from selfplay.evaluation import selection
from selfplay.pipeline.extension import Extension
from selfplay.pipeline.masters import demand_inputs
from selfplay.pipeline.stages import stage_table
from selfplay.run.directory import RunDirectory
from selfplay.run.files import RunError, read_json, write_json
from tests.selfplay.pipeline.test_rounds import recipe, run_whole


@pytest.fixture(scope="module")
def half(tiny_model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half")
    network, tokenizer = loading.load_fresh(ModelRef(tiny_model.path, "tiny", dtype="bfloat16"))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def of(half: Path, masters: str = "all", rate: float = 1e-3, **training: Any) -> Recipe:
    settings = recipe(rounds=3, **training).model_dump(mode="json")
    settings["model"] = {"kind": "pretrained", "name": str(half), "dtype": "bfloat16", "prompt_style": "raw"}
    settings["compute"]["masters"] = masters
    settings["training"]["continued_sft"]["args"]["learning_rate"] = rate
    return Recipe.model_validate(settings)


def kept(run: Path) -> list[str]:
    return sorted(folder.parents[1].name for folder in run.glob(f"stages/*/*/{MASTERS}"))


@pytest.fixture(scope="module")
def all_kept(half: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that kept all; who changes something takes a copy."""
    run = tmp_path_factory.mktemp("all") / "run"
    run_whole(run, of(half))
    return run


@pytest.fixture(scope="module")
def newest_kept(half: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("newest") / "run"
    run_whole(run, of(half, "newest"))
    return run


def test_all_masters_stay_unless_the_recipe_says_otherwise(all_kept: Path, newest_kept: Path) -> None:
    assert kept(all_kept) == ["selfplay_1", "selfplay_2", "selfplay_3"]
    assert kept(newest_kept) == ["selfplay_3"]
    same = [(run / "stages/selfplay_3/policy/fingerprint.json").read_text() for run in (all_kept, newest_kept)]
    assert same[0] == same[1], "what is kept changes no result"
    log = (all_kept / "stages/selfplay_2/policy-training/log.jsonl").read_text().splitlines()
    assert 0 < json.loads(log[-1])["metrics"]["view/changed"] < 1


def test_the_best_policy_keeps_its_masters(half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, real = iter([0.1, 0.4, 0.3, 0.2]), selection.score_of
    monkeypatch.setattr(selection, "score_of", lambda rows, number: real(rows, number) | {"score": next(scores)})
    run_whole(tmp_path / "run", of(half, "newest", selection={"problems": 4, "samples": 1}))
    assert kept(tmp_path / "run") == ["selfplay_1", "selfplay_3"]


def test_what_cannot_go_on_is_refused_before_anything_runs(half: Path, all_kept: Path, tmp_path: Path) -> None:
    settings = of(half)
    shutil.copytree(all_kept, tmp_path / "run")
    table = stage_table(settings)
    mark = tmp_path / "run/stages/selfplay_2/policy/fingerprint.json"
    known = read_json(mark)
    del known["masters"]
    write_json(mark, known)
    with RunDirectory.open(tmp_path / "run", settings) as run:
        Extension(run, table)  # a run that is finished is read as it is
        run.stage("selfplay_3").manifest_file.unlink()
        with pytest.raises(RunError, match="an earlier version of promptcot rounded these weights"):
            Extension(run, table)


def test_a_stage_that_is_taken_over_without_its_masters_is_told_of(
    half: Path, newest_kept: Path, tmp_path: Path
) -> None:
    settings = of(half)
    with RunDirectory.open(tmp_path / "two", settings, newest_kept) as run:
        stage = run.stage("selfplay_1")
        assert run.take_over(stage, str(read_json(newest_kept / "stages/selfplay_1/manifest.json")["inputs"]))
        with pytest.raises(RunError, match="were dropped"):
            demand_inputs(run, stage_table(settings)["selfplay_2"])


def test_weights_that_were_replaced_stop_a_run_that_is_not_finished(half: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(half, own)
    settings = of(own)
    run_whole(tmp_path / "run", settings)
    table = stage_table(settings)
    keys = {name: read_json(tmp_path / f"run/stages/{name}/manifest.json")["inputs"] for name in table}
    network, _ = loading.load_fresh(ModelRef(str(own), "x", dtype="bfloat16"))
    with torch.no_grad():
        network.lm_head.weight.neg_()
    network.save_pretrained(own)
    with RunDirectory.open(tmp_path / "run", settings) as run:
        Extension(run, table)  # a finished run is read as it is
        run.stage("selfplay_3").manifest_file.unlink()
        run.stage("evaluation_3").manifest_file.unlink()
        with pytest.raises(RunError, match=r"model names other weights than those that the finished stage base read"):
            Extension(run, table)
    run_whole(tmp_path / "anew", settings)
    changed = {n for n in table if read_json(tmp_path / f"anew/stages/{n}/manifest.json")["inputs"] != keys[n]}
    assert changed == set(table) - {"seeds"}, "nothing that the weights decide could be taken over by --reuse"
