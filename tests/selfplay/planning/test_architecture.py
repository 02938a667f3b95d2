"""The sizes of models against transformers' own, built without weights, and against the sizes their makers publish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfplay.config.section import PretrainedModel, ScratchModel
from selfplay.planning.architecture import Architecture, UnknownArchitecture, of_config
from selfplay.planning.known_models import KNOWN, architecture_of
from selfplay.planning.need import Named

PUBLISHED = {
    "Qwen/Qwen3-0.6B": 0.6e9,
    "Qwen/Qwen3-1.7B": 1.72e9,
    "Qwen/Qwen3-4B-Thinking-2507": 4.0e9,
    "Qwen/Qwen3-8B": 8.2e9,
    "Qwen/Qwen3-14B": 14.8e9,
    "Qwen/Qwen3-32B": 32.8e9,
    "Qwen/Qwen3-30B-A3B-Thinking-2507": 30.5e9,
    "Qwen/Qwen2.5-0.5B": 0.49e9,
    "Qwen/Qwen2.5-1.5B": 1.54e9,
    "Qwen/Qwen2.5-3B": 3.09e9,
    "Qwen/Qwen2.5-7B": 7.61e9,
    "Qwen/Qwen2.5-14B": 14.7e9,
    "Qwen/Qwen2.5-32B": 32.5e9,
    "HuggingFaceTB/SmolLM2-135M": 134.5e6,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shipped_table_has_the_published_sizes(name: str) -> None:
    assert of_config(KNOWN[name], name).parameters == pytest.approx(PUBLISHED[name], rel=0.012)


SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
SMALL |= {"intermediate_size": 96, "vocab_size": 500, "max_position_embeddings": 128}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["qwen3", "qwen2", "llama", "mistral", "qwen3_moe"])
def test_parameters_are_those_of_transformers(family: str, tied: bool) -> None:
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    settings = SMALL | {"tie_word_embeddings": tied, "head_dim": 16}
    if family == "qwen3_moe":
        settings |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**settings))
    found = of_config(settings | {"model_type": family}, "model")
    assert found.parameters == network.num_parameters()


@pytest.mark.parametrize("modules", [["q_proj", "v_proj"], ["k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]])
def test_adapters_have_the_parameters_of_peft(modules: list[str]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(CONFIG_MAPPING["qwen3"](**SMALL, head_dim=16))
        adapted = get_peft_model(network, LoraConfig(r=4, target_modules=modules))
    found = of_config(SMALL | {"model_type": "qwen3", "head_dim": 16}, "model")
    assert found.adapter(4, modules) == adapted.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("modules", ["all-linear", ["q_proj", "down_proj"], ["gate_proj", "up_proj", "gate"]])
def test_adapters_of_experts_have_the_parameters_of_peft(modules: str | list[str]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    experts = {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(CONFIG_MAPPING["qwen3_moe"](**SMALL, **experts))
        # Without a task's class, `all-linear` would take in the output layer.
        adapted = get_peft_model(network, LoraConfig(r=4, target_modules=modules, task_type="CAUSAL_LM"))
    sizes = of_config(SMALL | experts | {"model_type": "qwen3_moe"}, "model")
    named = Named("model", "model", sizes, "bfloat16", {"r": 4, "target_modules": modules})
    assert named.trained == adapted.get_nb_trainable_parameters()[0]


def test_active_parameters_are_those_of_the_name() -> None:
    found = of_config(KNOWN["Qwen/Qwen3-30B-A3B"], "model")
    assert found.active == pytest.approx(3.3e9, rel=0.1)
    assert found.cache * 2 == 98304


def test_a_folder_says_its_own_sizes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"model_type": "llama"}))
    model = PretrainedModel(kind="pretrained", name=str(tmp_path))
    found = architecture_of(model, "model")
    assert (found.hidden, found.layers, found.key_value) == (64, 3, 32)


def test_a_scratch_model_is_the_one_that_is_made() -> None:
    from selfplay.quickstart import tiny_model

    tokenizer = tiny_model.build_tokenizer(["one two three"], 640)
    made = tiny_model.build_model(tokenizer, 0, 64, 3)
    settings = ScratchModel(kind="scratch", hidden_size=64, layers=3, vocabulary=len(tokenizer))
    found = architecture_of(settings, "model")
    assert found.parameters == made.num_parameters()
    assert found.positions == made.config.max_position_embeddings


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba'"),
        ({"model_type": ["qwen3"]}, r"model_type .*qwen3"),
        (SMALL | {"model_type": "qwen3", "hidden_size": -1}, "no usable hidden_size"),
        (SMALL | {"model_type": "qwen3", "num_hidden_layers": "3"}, "no usable num_hidden_layers"),
        (SMALL | {"model_type": "qwen3", "vocab_size": 2**60}, "no usable vocab_size"),
        (SMALL | {"model_type": "qwen3_moe", "mlp_only_layers": [0]}, "some of its layers have experts"),
    ],
)
def test_what_the_formulas_do_not_cover_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(UnknownArchitecture, match=said):
        of_config(config, "model")


def test_an_unknown_name_is_told_what_to_give() -> None:
    with pytest.raises(UnknownArchitecture, match=r"generator.name: the sizes of nobody/nothing-1B are not known here"):
        architecture_of(PretrainedModel(kind="pretrained", name="nobody/nothing-1B"), "generator")


def test_a_damaged_configuration_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1, 2]")
    with pytest.raises(UnknownArchitecture, match="holds no JSON object"):
        architecture_of(PretrainedModel(kind="pretrained", name=str(tmp_path)), "model")


def test_every_known_model_has_sizes() -> None:
    assert all(isinstance(of_config(config, name), Architecture) for name, config in KNOWN.items())
