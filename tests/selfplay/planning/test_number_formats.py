"""Plans of quantised engines: weights and cache by what vLLM is told, and by what a model's own files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.load import load_recipe
from selfplay.planning.architecture import Architecture, of_config
from selfplay.planning.known_models import KNOWN
from selfplay.planning.machine import named
from selfplay.planning.need import Need
from selfplay.planning.number_formats import Formats, UnknownSizes, served_formats, stored_format
from selfplay.planning.plan import outlook
from selfplay.planning.rates import Rates

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
DENSE, EXPERTS = (of_config(KNOWN[name], "model") for name in ("Qwen/Qwen3-4B", "Qwen/Qwen3-30B-A3B"))
FIELDS = ("model", "engine.args")
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
PACKED = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8}}}}


def served(sizes: Architecture, **args: Any) -> Formats:
    return served_formats("bfloat16", sizes.stored, args, FIELDS)


def labelling(*overrides: str, by: str = "policy") -> Need:
    needs = outlook(load_recipe(CONFIGS / "qwen3-4b.yaml", [*overrides]), named("8x80"), Rates(), 15587).needs
    return next(need for need in needs if (need.stage, need.what) == ("labelling", by))


def test_whole_weights_are_those_of_the_dtype() -> None:
    for sizes in (DENSE, EXPERTS):
        assert sizes.weighs(served(sizes)) == 2 * sizes.parameters
        assert sizes.weighs(served(sizes, dtype="float32")) == 4 * sizes.parameters


def test_what_is_made_of_them_leaves_embeddings_and_norms() -> None:
    maps = DENSE.layers * (2 * DENSE.hidden * (DENSE.query + DENSE.key_value) + 3 * DENSE.hidden * DENSE.intermediate)
    assert DENSE.weighs(served(DENSE, quantization="fp8")) == maps + 2 * (DENSE.parameters - maps)
    in_4_bits = DENSE.weighs(served(DENSE, quantization="bitsandbytes"))
    assert in_4_bits == maps * 9 // 16 + 2 * (DENSE.parameters - maps)
    # Experts are linear maps, too, and of some kinds the only ones.
    whole = 2 * EXPERTS.parameters
    assert EXPERTS.weighs(served(EXPERTS, quantization="fp8")) < 0.53 * whole
    assert EXPERTS.weighs(served(EXPERTS, quantization="experts_int8")) == whole - EXPERTS.in_experts
    assert DENSE.weighs(served(DENSE, quantization="experts_int8")) == 2 * DENSE.parameters


@pytest.mark.parametrize(
    ("said", "a_weight"),
    [
        (AWQ, 0.5 + 2.5 / 128),
        (AWQ | {"quant_method": "gptq", "bits": 8, "group_size": -1}, 1.0),
        (PACKED, 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1.0),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 0.5625),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 0.5625),
    ],
)
def test_files_that_hold_quantised_weights_say_so(said: dict[str, Any], a_weight: float) -> None:
    sizes = of_config(KNOWN["Qwen/Qwen3-4B"] | {"quantization_config": said}, "model")
    assert served(sizes) == Formats(2, a_weight, a_weight, 2)
    # What vLLM is told besides changes nothing of weights that are quantised.
    assert served(sizes, quantization="awq_marlin") == served(sizes)


def test_a_cache_has_a_format_of_its_own() -> None:
    assert served(DENSE, kv_cache_dtype="fp8") == Formats(2, 2, 2, 1)
    assert served(DENSE, kv_cache_dtype="auto") == Formats.plain(2)
    stored = stored_format({"quantization_config": PACKED | {"kv_cache_scheme": {"num_bits": 8}}})
    assert served_formats("bfloat16", stored, {}, FIELDS).cache == 1


@pytest.mark.parametrize(
    "said",
    ["awq", {}, [], 4, {"quant_method": "magic"}, AWQ | {"bits": True}, AWQ | {"group_size": 0}, AWQ | {"bits": 10**9}]
    + [{"quant_method": "compressed-tensors", "config_groups": groups} for groups in (None, {}, {"a": 1}, {"a": {}})],
)
def test_files_that_say_anything_else_are_not_guessed_at(said: Any) -> None:
    stored = stored_format({"quantization_config": said})
    with pytest.raises(UnknownSizes, match=r"model: its config.json has a quantization_config .* run `selfplay check`"):
        served_formats("bfloat16", stored, {}, FIELDS)


def test_a_quantisation_of_unknown_size_is_not_guessed_at() -> None:
    for args in (
        {"quantization": "torchao"},
        {"quantization": {}, "quantization_config": {"linear": "mxfp8"}},
        {"quantization": [1]},
    ):
        with pytest.raises(UnknownSizes, match=r"engine.args.quantization: is \S+, and .* known here only by .*fp8"):
            served_formats("bfloat16", None, args, FIELDS)


def test_a_plan_has_smaller_weights_a_larger_cache_and_fewer_hours() -> None:
    whole, small = labelling(), labelling("engine.args.quantization=fp8")
    assert small.terms["weights"] < 0.6 * whole.terms["weights"]
    assert small.terms["cache"] == whole.terms["cache"]
    assert small.hours < whole.hours
    halved = labelling("engine.args.kv_cache_dtype=fp8")
    assert halved.terms["weights"] == whole.terms["weights"]
    assert 2 * halved.terms["cache"] == whole.terms["cache"]


def test_a_stretched_model_is_opened_for_more_tokens() -> None:
    """40,960 times two of the base, of which `max_model_len` leaves 65,536; without it all."""
    of_base = ("model.name=Qwen/Qwen3-4B", "labelling.labellers.policy.sampling.max_new_tokens=60000")
    plain = labelling(*of_base, "engine.args={max_model_len: 65536}")
    assert "the longest sequence of Qwen/Qwen3-4B is 40960, less than a prompt" in plain.notes[0]
    stretched = labelling(*of_base, "engine.args={max_model_len: 65536}", "engine.yarn=2")
    assert stretched.notes == ()
    assert 5 * stretched.terms["cache"] == 8 * plain.terms["cache"]
    assert 10 * labelling(*of_base, "engine.args={}", "engine.yarn=2").terms["cache"] == 20 * plain.terms["cache"]


def test_a_transformers_engine_holds_a_quantised_model_as_its_files_do(tmp_path: Path) -> None:
    config = KNOWN["Qwen/Qwen3-4B"] | {"quantization_config": AWQ}
    (tmp_path / "config.json").write_text(json.dumps(config))
    answering = f"labelling.labellers={{own: {{engine: {{kind: local, name: {tmp_path}, dtype: bfloat16}}}}}}"
    need = labelling("engine={kind: transformers, args: {}}", answering, by="own")
    assert need.terms["weights"] == DENSE.weighs(Formats(2, 0.5 + 2.5 / 128, 0.5 + 2.5 / 128, 2))
