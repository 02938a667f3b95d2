"""Quantised engines that a run could not use, told of before anything loads."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any, Literal

import pytest

from selfplay.config.compute import EngineSettings
from selfplay.config.load import load_recipe
from selfplay.config.recipe import Recipe
from selfplay.engines.base import ModelRef
from selfplay.engines.vllm_engine import _shape
from selfplay.preflight.quantised import training_fault
from selfplay.preflight.recipe import PreflightError, check_models
from selfplay.preflight.vllm import EngineMissing, check_engine, check_rollouts, check_served

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
ROLLOUTS = "training.grpo.vllm.args"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vLLM that knows a few formats."""
    modules = {name: types.ModuleType(name) for name in ("vllm", "vllm.config", "vllm.config.cache")}
    where = "vllm.model_executor.layers.quantization"
    modules |= {name: types.ModuleType(name) for name in (where, *(where.rsplit(".", n)[0] for n in (1, 2)))}
    names: list[Any] = ["quantization", "quantization_config", "kv_cache_dtype", "max_model_len"]
    modules["vllm"].EngineArgs = dataclasses.make_dataclass("EngineArgs", names)  # type: ignore[attr-defined]
    modules["vllm.config.cache"].CacheDType = Literal["auto", "fp8", "bfloat16"]  # type: ignore[attr-defined]
    modules[where].QUANTIZATION_METHODS = ["fp8", "awq"]  # type: ignore[attr-defined]
    computed = types.SimpleNamespace(get_supported_act_dtypes=lambda: ["torch.bfloat16", "torch.float16"])
    modules[where].get_quantization_config = lambda method: computed  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def of_qwen(*overrides: str) -> Recipe:
    return load_recipe(CONFIGS / "qwen3-4b.yaml", overrides)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"quantization": "fp9"}, r"engine.args.quantization: is fp9, which the vLLM .* did you mean `fp8`\?"),
        ({"quantization": "zzz"}, r"quantization: is zzz, which the vLLM that is here does not know; it has fp8, awq"),
        ({"kv_cache_dtype": "fp88"}, r"engine.args.kv_cache_dtype: is fp88, .* did you mean `fp8`\?"),
    ],
)
def test_a_format_that_vllm_does_not_know_is_refused(installed: None, args: dict[str, str], said: str) -> None:
    with pytest.raises(EngineMissing, match=said):
        check_engine(EngineSettings(kind="vllm", args=args))
    check_engine(EngineSettings(kind="vllm", args={"quantization": "fp8", "kv_cache_dtype": "fp8"}))


def test_what_a_run_trains_is_in_no_quantised_files(installed: None) -> None:
    awq = of_qwen("engine.args.quantization=awq")
    with pytest.raises(EngineMissing, match=r"engine.args.quantization: is awq, which reads files .*; take fp8"):
        check_served(awq)
    # A model that is measured may be in such files.
    check_engine(awq.engine)
    check_served(of_qwen("engine.args.quantization=fp8"))


def test_a_model_in_float32_is_refused_where_layers_do_not_compute_in_that(installed: None) -> None:
    fp8 = "engine.args={quantization: fp8}"
    for field in ("model", "generator"):
        with pytest.raises(
            EngineMissing, match=rf"is fp8, which computes in bfloat16 or float16, and {field} is in fl"
        ):
            check_served(of_qwen(fp8, f"{field}.dtype=float32"))
    with pytest.raises(EngineMissing, match="and model is in float32; take another dtype"):
        check_served(load_recipe("quickstart", ["engine={kind: vllm, args: {quantization: fp8}}"]))
    check_served(load_recipe(CONFIGS / "qwen3-4b.yaml", [fp8]))


@pytest.mark.parametrize("given", ["{quantization: fp8}", "{quantization_config: {linear: fp8_per_tensor}}"])
@pytest.mark.parametrize("by", ["vllm", "server"])
def test_rollouts_of_grpo_have_whole_weights(installed: None, given: str, by: str) -> None:
    grpo = ["training.algorithm=grpo", f"training.grpo.rollouts={by}"]
    with pytest.raises(EngineMissing, match=rf"{ROLLOUTS}.quantization\w*: vLLM is sent the trainer's .*; drop it"):
        check_rollouts(of_qwen(*grpo, f"{ROLLOUTS}={given}"), 8)


def test_rollouts_of_grpo_may_have_a_smaller_cache(installed: None) -> None:
    grpo = ["training.algorithm=grpo", "training.grpo.rollouts=vllm"]
    check_rollouts(of_qwen(*grpo, f"{ROLLOUTS}={{kv_cache_dtype: fp8}}"), 8)
    with pytest.raises(EngineMissing, match=rf"{ROLLOUTS}.kv_cache_dtype: is fp7"):
        check_rollouts(of_qwen(*grpo, f"{ROLLOUTS}={{kv_cache_dtype: fp7}}"), 8)


def quantised(model: ModelRef, folder: Path) -> Path:
    shutil.copytree(model.path, folder)
    config = folder / "config.json"
    said = {"quant_method": "awq", "bits": 4, "group_size": 32}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": said}))
    return folder


def test_a_model_in_quantised_files_is_not_trained(tiny_model: ModelRef, tmp_path: Path) -> None:
    folder = quantised(tiny_model, tmp_path / "small")
    with pytest.raises(PreflightError, match=r"model.name: .* quantised \(awq\), and a training .*; name the model"):
        check_models(of_qwen(f"model.name={folder}", "model.prompt_style=raw"))


def test_a_model_that_only_answers_may_be_quantised() -> None:
    recipe = of_qwen()
    assert training_fault(recipe, "generator", "awq")
    assert not training_fault(recipe, "labelling.labellers.larger.engine", "awq")
    assert not training_fault(recipe, "model", "")
    assert not training_fault(of_qwen("training.rounds=0"), "model", "awq")


def test_weights_are_not_exchanged_in_place_where_they_are_quantised(tiny_model: ModelRef, tmp_path: Path) -> None:
    """vLLM packs them anew when a model is opened; whether a reload does is another matter with each method."""
    assert _shape(tiny_model, {"kv_cache_dtype": "fp8"})
    assert not _shape(tiny_model, {"quantization": "fp8"})
    folder = quantised(tiny_model, tmp_path / "small")
    assert not _shape(ModelRef.local(folder, "small", "float32", chat=False), {})
