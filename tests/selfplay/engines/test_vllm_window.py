"""The longest sequence that vLLM is told of: one argument is for all models of a recipe, and not all reach as far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.engines.base import ModelRef
from selfplay.engines.vllm_engine import within_reach

CONFIG = {"model_type": "qwen3", "max_position_embeddings": 4096}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096, "rope_theta": 10000.0}


@pytest.mark.parametrize(
    ("config", "args", "found"),
    [
        (CONFIG, {"max_model_len": 8192}, {"max_model_len": 4096}),
        (CONFIG, {"max_model_len": 1024}, {"max_model_len": 1024}),
        (CONFIG, {"seed": 1}, {"seed": 1}),
        (CONFIG, {"max_model_len": "auto"}, {"max_model_len": "auto"}),
        (CONFIG | {"rope_scaling": YARN}, {"max_model_len": 8192}, {"max_model_len": 8192}),
        (CONFIG, {"max_model_len": 8192, "hf_overrides": {}}, {"max_model_len": 8192, "hf_overrides": {}}),
    ],
)
def test_no_model_is_asked_for_more_than_it_was_made_for(
    config: dict[str, Any], args: dict[str, Any], found: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert within_reach(ModelRef(str(tmp_path), "x"), args) == found
