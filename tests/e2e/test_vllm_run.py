"""A run whose rollouts and likelihoods come from vLLM; in the environment that `make vllm` makes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, selfplay

VLLM = ["engine.kind=vllm", "engine.args={max_model_len: 512}"]

pytestmark = pytest.mark.long


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm")
def test_a_round_of_self_play_on_vllm(tmp_path: Path) -> None:
    done = selfplay("run", SMALL, *VLLM, "em.rounds=1", "training.rounds=1", "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "summary.json").exists()
    settings = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert settings["engine"]["kind"] == "vllm"
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm")
def test_an_argument_that_vllm_lacks_is_refused(tmp_path: Path) -> None:
    done = selfplay(
        "run", SMALL, "engine.kind=vllm", "engine.args={max_model_length: 1}", "--run-dir", tmp_path / "run"
    )
    assert done.returncode == 2
    assert "did you mean `max_model_len`" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is here")
def test_without_vllm_the_recipe_is_refused(tmp_path: Path) -> None:
    done = selfplay("run", SMALL, "engine.kind=vllm", "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert "engine.kind: vLLM cannot be imported here" in done.stderr
