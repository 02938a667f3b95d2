"""A tiny Qwen3 with experts through the whole pipeline by the command line: routers frozen, experts whole or left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from selfplay.planning.architecture import of_config
from tests.e2e.conftest import SMALL, selfplay

EXPERTS = 4
ROUND = [f"model.experts={EXPERTS}", "em.rounds=1", "training.rounds=1"]
ATTENTION = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
ROUTER = ".mlp.gate."

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def by_grpo(tmp_path_factory: pytest.TempPathFactory, needs_sandbox: None) -> Path:
    """Cold start, EM and a round of GRPO on all weights but the routers'."""
    run = tmp_path_factory.mktemp("mixture") / "grpo"
    done = selfplay("run", SMALL, *ROUND, "--run-dir", run, timeout=1800)
    assert done.returncode == 0, done.stderr
    return run


def moved(run: Path, stage: str, model: str) -> Callable[[str], bool]:
    """Tells of a part of a tensor's name whether some such tensor of a trained model differs from the base's."""
    before, after = (
        load_file(run / "stages" / folder / "model.safetensors") for folder in ("base/model", f"{stage}/{model}")
    )
    assert before.keys() == after.keys()
    names = {name for name in before if not torch.equal(before[name], after[name])}
    return lambda part: any(part in name for name in names)


def test_all_but_the_routers_is_trained_from_the_cold_start_to_the_policy(by_grpo: Path) -> None:
    config = json.loads((by_grpo / "stages/base/model/config.json").read_text())
    assert config["model_type"] == "qwen3_moe"
    assert of_config(config, "base").experts == EXPERTS
    for stage, model in {"cold_start": "prompt-model", "em_1": "prompt-model", "selfplay_1": "policy"}.items():
        has_moved = moved(by_grpo, stage, model)
        assert has_moved(".experts.")
        assert has_moved("q_proj")
        assert not has_moved(ROUTER), f"{stage}: {model}"
    assert (by_grpo / "summary.json").exists()
    assert (by_grpo / "stages/evaluation_1/manifest.json").exists()


def test_the_base_from_scratch_learns_its_routers(by_grpo: Path) -> None:
    base = by_grpo / "stages/base"
    before, after = (load_file(base / name / "model.safetensors") for name in ("untrained", "model"))
    routers = [name for name in before if ROUTER in name]
    assert len(routers) == 2
    assert not any(torch.equal(before[name], after[name]) for name in routers)


def test_a_round_of_dpo_by_adapters_on_attention_leaves_experts_as_they_are(by_grpo: Path, tmp_path: Path) -> None:
    run = tmp_path / "dpo"
    settings = ["training.algorithm=dpo", f"training.lora={json.dumps(ATTENTION)}"]
    done = selfplay("run", SMALL, *ROUND, *settings, "--run-dir", run, "--reuse", by_grpo, timeout=1800)
    assert done.returncode == 0, done.stderr
    has_moved = moved(run, "selfplay_1", "policy")
    assert has_moved("q_proj")
    assert not has_moved(".experts.")
    assert not has_moved(ROUTER)
    assert (run / "stages/evaluation_1/manifest.json").exists()
