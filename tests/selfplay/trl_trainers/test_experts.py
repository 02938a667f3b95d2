"""Mixtures of experts: routers stay as they are unless a recipe says otherwise, and so do configurations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from selfplay.config.section import ScratchModel
from selfplay.engines import loading
from selfplay.engines.base import ModelRef
from selfplay.planning.architecture import of_config
from selfplay.planning.known_models import architecture_of
from selfplay.quickstart import tiny_model as builder
from selfplay.trl_trainers.variants.experts import is_router
from tests.selfplay.trl_trainers.model_variants import mixture
from tests.selfplay.trl_trainers.test_keeping import train

STEEP = {"learning_rate": 1e-2}
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


@pytest.fixture(scope="module")
def experts(tiny_model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return mixture(tiny_model, tmp_path_factory.mktemp("mixture"))


def changed(before: ModelRef, after: ModelRef) -> set[str]:
    """The names of the tensors that a training changed, as they stand on disk: one for each expert."""
    old, new = (load_file(Path(model.path) / "model.safetensors") for model in (before, after))
    assert old.keys() == new.keys()
    return {name for name in old if not torch.equal(old[name], new[name])}


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("model.layers.0.mlp.gate.weight", True),
        ("model.layers.3.mlp.router.weight", True),
        ("base_model.model.model.layers.0.mlp.gate.lora_A.default.weight", True),
        ("model.layers.0.mlp.gate_proj.weight", False),
        ("model.layers.0.mlp.experts.gate_up_proj", False),
        ("model.layers.0.mlp.experts.1.gate_proj.weight", False),
        ("router_head.weight", False),
    ],
)
def test_routers_are_told_by_their_names(name: str, routes: bool) -> None:
    assert is_router(name) is routes


@pytest.mark.parametrize("router", ["frozen", "trained"])
def test_experts_are_trained_whole_and_routers_as_the_recipe_says(
    experts: ModelRef, tmp_path: Path, router: str
) -> None:
    model = train(experts, tmp_path, 2, router=router, args=STEEP)
    moved = changed(experts, model)
    assert any(".experts." in name for name in moved)
    assert any(is_router(name) for name in moved) is (router == "trained")


@pytest.mark.parametrize("modules", [ATTENTION, "all-linear"])
def test_adapters_leave_routers_alone_and_those_on_attention_experts_too(
    experts: ModelRef, tmp_path: Path, modules: Any
) -> None:
    lora = {"r": 2, "lora_alpha": 4, "target_modules": modules}
    model = train(experts, tmp_path / "stages/one", 2, lora=lora, args=STEEP)
    moved = changed(experts, model)
    assert any("q_proj" in name for name in moved)
    assert any(".experts." in name for name in moved) is (modules == "all-linear")
    assert not any(is_router(name) for name in moved)
    again = train(model, tmp_path / "stages/two", 1, lora=lora, args=STEEP)
    assert not any(is_router(name) for name in changed(experts, again)), "nor does the adapter that goes on"


def test_a_trained_mixture_keeps_the_configuration_of_its_base(experts: ModelRef, tmp_path: Path) -> None:
    """TRL turns the loss for balance on or off by what it writes into the model's configuration."""
    model = train(experts, tmp_path, 1, args={"router_aux_loss_coef": 0.5})
    before, after = (json.loads((Path(one.path) / "config.json").read_text()) for one in (experts, model))
    assert before["router_aux_loss_coef"] == after["router_aux_loss_coef"] != 0.5
    assert before["output_router_logits"] is after["output_router_logits"] is False


def test_a_mixture_from_scratch_is_the_one_that_is_planned(tmp_path: Path) -> None:
    tokenizer = builder.build_tokenizer(["one two three"], 640)
    made = builder.build_model(tokenizer, 0, 64, 2, experts=4)
    settings = ScratchModel(kind="scratch", hidden_size=64, layers=2, vocabulary=len(tokenizer), experts=4)
    assert architecture_of(settings, "model").parameters == made.num_parameters()
    dense = ScratchModel(kind="scratch", hidden_size=64, layers=2, vocabulary=len(tokenizer))
    routers = 2 * 64 * 4
    assert architecture_of(settings, "model").active == architecture_of(dense, "model").active + routers
    builder.save(tokenizer, made, tmp_path)
    assert of_config(json.loads((tmp_path / "config.json").read_text()), "made") == architecture_of(settings, "model")
    loading.load_fresh(ModelRef.local(tmp_path, "made", "float32", chat=False))
