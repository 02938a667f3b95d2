"""vLLM with quantised weights and a quantised cache; runs in the environment that `make vllm` makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks._one_shard import completed
from selfplay.config.section import PretrainedModel
from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling
from selfplay.planning.known_models import architecture_of
from selfplay.planning.number_formats import Formats, served_formats
from tests.selfplay.engines.shard_jobs import generate_job

PROMPTS = [f"Write a problem.\nConcepts:\n{n}. adding\nDifficulty Level: {n % 4}\n" for n in range(6)]
ARGS = {"max_model_len": 256}
FIELDS = ("model", "engine.args")

pytestmark = pytest.mark.long


def greedy(engine: Any, model: ModelRef, **args: Any) -> list[dict[str, Any]]:
    return completed(engine, generate_job(model, PROMPTS, Sampling(0.0, 24), kind="vllm", args=ARGS | args))


def apart(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """Mean nats between two engines' log-probabilities, as long as they write the same."""
    gaps = []
    for mine, other in zip(ours, theirs, strict=True):
        for place, (a, b) in enumerate(zip(mine["logprobs"], other["logprobs"], strict=False)):
            gaps.append(abs(a - b))
            if mine["token_ids"][place] != other["token_ids"][place]:
                break
    return sum(gaps) / len(gaps)


def bytes_of_cache(engine: Any) -> int:
    """Bytes that a token takes of the cache, of which there is a GiB."""
    cache = engine._open[0].llm.llm_engine.vllm_config.cache_config
    return round(2**30 / (cache.num_gpu_blocks * cache.block_size))


def planned(model: ModelRef, **args: Any) -> tuple[Any, Formats]:
    sizes = architecture_of(PretrainedModel(kind="pretrained", name=model.path), "model")
    return sizes, served_formats(model.dtype, sizes.stored, args, FIELDS)


def test_a_cache_in_8_bits_takes_what_is_planned(vllm_engine: Any, small_model: ModelRef) -> None:
    whole = greedy(vllm_engine, small_model)
    sizes, formats = planned(small_model)
    assert bytes_of_cache(vllm_engine) == sizes.cache * formats.cache == 4 * sizes.cache
    small = greedy(vllm_engine, small_model, kv_cache_dtype="fp8")
    sizes, formats = planned(small_model, kv_cache_dtype="fp8")
    assert bytes_of_cache(vllm_engine) == sizes.cache * formats.cache == sizes.cache
    assert 0 < apart(small, whole) < 0.05


def in_8_bits(model: ModelRef, folder: Path) -> tuple[ModelRef, ModelRef]:
    """A model whose linear maps are 8-bit numbers with a scale a row, as compressed-tensors keeps them; and the same
    written out in float32."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(Path(model.path) / "model.safetensors")
    small, whole = dict(weights), dict(weights)
    for name, weight in weights.items():
        if "_proj" in name:
            scale = weight.abs().amax(dim=1, keepdim=True) / 127
            small[name] = (weight / scale).round().to(torch.int8)
            small[name.replace(".weight", ".weight_scale")] = scale
            whole[name] = small[name].to(torch.float32) * scale
    kind = {"num_bits": 8, "type": "int", "symmetric": True}
    group = {
        "targets": ["Linear"],
        "weights": kind | {"strategy": "channel", "dynamic": False},
        "input_activations": kind | {"strategy": "token", "dynamic": True},
    }
    said = {"quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed"}
    said |= {"config_groups": {"group_0": group}, "ignore": ["lm_head"]}
    made = []
    for place, tensors in (("small", small), ("whole", whole)):
        shutil.copytree(model.path, folder / place)
        save_file(tensors, folder / place / "model.safetensors", metadata={"format": "pt"})
        made.append(ModelRef.local(folder / place, place, model.dtype, chat=False))
    config = folder / "small" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": said}))
    return made[0], made[1]


def test_a_model_in_8_bits_is_the_one_that_it_was_made_of(
    vllm_engine: Any, small_model: ModelRef, tmp_path: Path
) -> None:
    small, whole = in_8_bits(small_model, tmp_path)
    ours, theirs = greedy(vllm_engine, small), greedy(hf_engine, whole)
    # Activations are rounded, too.
    assert 0 < apart(ours, theirs) < 0.05
    sizes, formats = planned(small)
    assert sizes.weighs(formats) == sizes.linear + 4 * (sizes.parameters - sizes.linear)
