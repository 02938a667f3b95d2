"""A recipe that names vLLM, on a machine without it, and with one that knows other arguments."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path

import pytest

from selfplay.config.load import load_recipe, recipe_of
from selfplay.config.recipe import Recipe
from selfplay.preflight.vllm import EngineMissing, check_engine, check_rollouts, ranks_of

QWEN = Path(__file__).resolve().parents[3] / "configs" / "qwen3-4b.yaml"


def of_grpo(*overrides: str) -> Recipe:
    return load_recipe(QWEN, ["training.algorithm=grpo", *overrides])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vLLM that knows a few names."""
    fake = types.ModuleType("vllm")
    names = ["model", "enforce_eager", "max_model_len", "hf_overrides", "tensor_parallel_size", "enable_sleep_mode"]
    fake.EngineArgs = dataclasses.make_dataclass("EngineArgs", names)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", fake)


def test_without_vllm_its_rollouts_are_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(
        EngineMissing, match=r"training.grpo.rollouts: vLLM cannot be imported .*make vllm.* or set it to"
    ):
        check_rollouts(of_grpo(), 8)
    check_rollouts(of_grpo("training.grpo.rollouts=transformers"), 8)
    # What no round uses is not looked for.
    check_rollouts(of_grpo("training.algorithm=dpo"), 8)
    check_rollouts(of_grpo("training.rounds=0"), 8)
    with pytest.raises(EngineMissing, match=r"engine\.kind: vLLM cannot be imported"):
        check_engine(of_grpo().engine)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("vllm.args={enforce_eagar: true}", "training.grpo.vllm.args.enforce_eagar: .*did you mean `enforce_eager`"),
        ("vllm.args={max_model_len: 9}", "max_model_len: is set by training.grpo.args.vllm_max_model_length"),
        ("vllm.args={model: x}", "vllm.args.model: is what the run itself decides"),
        ("args.vllm_tensor_parallel_size=3", "vllm_tensor_parallel_size: is 3, which 8 workers are no multiple of"),
        ("args.loss_type=vespo", "vllm_importance_sampling_mode: loss_type vespo takes token_truncate"),
    ],
)
def test_what_would_fail_once_models_are_loaded_is_refused_before(installed: None, override: str, said: str) -> None:
    with pytest.raises(EngineMissing, match=said):
        check_rollouts(of_grpo(f"training.grpo.{override}"), 8)


OF_A_SERVER = [
    ("grpo.vllm.args={enable_sleep_mode: true}", "enable_sleep_mode: is what the run itself decides"),
    ("grpo.vllm.args={max_model_len: 9}", "max_model_len: is set by training.grpo.args.vllm_max_model_length"),
    ("grpo.args.vllm_gpu_memory_utilization=0.5", "vllm_gpu_memory_utilization: is for rollouts: vllm, which shares"),
    ("grpo.vllm={gpus: 3, args: {tensor_parallel_size: 2}}", "vllm.gpus: is 3, but its args spread the model over 2"),
]


def of_server(*overrides: str) -> Recipe:
    settings = of_grpo().model_dump(mode="json")
    settings["training"]["grpo"]["args"].pop("vllm_gpu_memory_utilization")
    return recipe_of(settings, ["training.grpo.rollouts=server", *overrides])


@pytest.mark.parametrize(("override", "said"), OF_A_SERVER)
def test_a_server_that_could_not_be_started_is_refused(installed: None, override: str, said: str) -> None:
    with pytest.raises(EngineMissing, match=said):
        check_rollouts(of_server(f"training.{override}"), 8)


def test_a_server_has_gpus_of_its_own(installed: None) -> None:
    plain = of_server("training.grpo.vllm={gpus: 2, args: {tensor_parallel_size: 2}}")
    check_rollouts(plain, 6)
    assert ranks_of(plain, "cuda", 8) == 6
    assert ranks_of(plain, "cpu", 8) == 8
    assert ranks_of(of_grpo(), "cuda", 8) == 8
    with pytest.raises(EngineMissing, match=r"vllm.gpus: is 2, which leaves no GPU of 2 workers to the trainer; lower"):
        ranks_of(plain, "cuda", 2)
    with pytest.raises(EngineMissing, match="rollouts: is server, which answers on the loopback of one machine"):
        check_rollouts(of_server("compute.executor=ray"), 6)


def test_what_vllm_takes_is_taken(installed: None) -> None:
    check_rollouts(of_grpo("training.grpo.vllm.args={enforce_eager: true, hf_overrides: {}}"), 8)
