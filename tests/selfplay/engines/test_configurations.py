"""YaRN by a field: the same as a model whose own configuration says it, and refused where it has no meaning."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.load import load_recipe
from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.configurations import configuration, stretched_settings
from selfplay.engines.model_files import ModelError
from selfplay.engines.vllm_engine import with_stretch, within_reach
from selfplay.preflight.recipe import PreflightError, check_models
from tests.selfplay.engines.shard_jobs import generate_job

QWEN = Path(__file__).resolve().parents[3] / "configs" / "qwen3-4b.yaml"
PROMPTS = ["Tom has 5 plums. " * 12, "x"]


def logprobs(model: ModelRef) -> list[list[float]]:
    job = generate_job(model, PROMPTS, Sampling(0.0, 6))
    return [row["logprobs"] for row in hf_engine.generate_shard(job)]


def with_settings(model: ModelRef, folder: Path, **settings: Any) -> ModelRef:
    shutil.copytree(model.path, folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return ModelRef.local(folder, folder.name, "float32", chat=False)


def test_a_stretched_model_is_one_whose_configuration_says_so(tiny_model: ModelRef, tmp_path: Path) -> None:
    own = configuration(tiny_model)
    longest, theta = own.max_position_embeddings, own.rope_parameters["rope_theta"]
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": longest, "rope_theta": theta}
    said = with_settings(tiny_model, tmp_path / "said", rope_parameters=rope, max_position_embeddings=4 * longest)
    asked = replace(tiny_model, stretch=4.0)
    assert configuration(asked).max_position_embeddings == 4 * longest
    assert logprobs(asked) == logprobs(said)
    assert logprobs(asked) != logprobs(tiny_model), "the stretched model is not taken for the one that was loaded"


def test_vllm_is_told_the_same(tiny_model: ModelRef) -> None:
    asked = replace(tiny_model, stretch=2.0)
    given = with_stretch(asked, {"max_model_len": 10**6, "hf_overrides": {"rope_theta": 1}})
    assert given["hf_overrides"] == {"rope_theta": 1} | stretched_settings(asked)
    assert within_reach(asked, given)["max_model_len"] == 10**6
    assert with_stretch(tiny_model, {"seed": 1}) == {"seed": 1}


@pytest.mark.parametrize(
    ("rope", "says"),
    [
        ({"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}, "scales its positions already .linear"),
        ({"full_attention": {"rope_type": "default", "rope_theta": 1.0}}, "not one kind of rotary positions"),
    ],
)
def test_what_cannot_be_stretched_is_said(rope: Any, says: str, tiny_model: ModelRef, tmp_path: Path) -> None:
    model = with_settings(tiny_model, tmp_path / "own", rope_parameters=rope)
    with pytest.raises(ModelError, match=says + r".*; leave out yarn=2$"):
        stretched_settings(replace(model, stretch=2.0))


def test_a_run_finds_out_before_it_begins(tiny_model: ModelRef, tmp_path: Path) -> None:
    rope = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    model = with_settings(tiny_model, tmp_path / "own", rope_parameters=rope)
    own = [f"model.name={model.path}", "model.prompt_style=raw"]
    check_models(load_recipe(QWEN, own))
    with pytest.raises(PreflightError, match=r"model.name: .* scales its positions already .*leave out yarn=2"):
        check_models(load_recipe(QWEN, [*own, "engine.yarn=2"]))
