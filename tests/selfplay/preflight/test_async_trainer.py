"""A recipe that names TRL's AsyncGRPOTrainer: what it can't do, and machines that can't run it, are refused before."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from selfplay.config.load import recipe_of
from selfplay.config.recipe import Recipe
from selfplay.config.rules import GRPORule
from selfplay.preflight import async_trainer
from selfplay.preflight.recipe import check_argument_names
from selfplay.preflight.vllm import EngineMissing, check_rollouts
from selfplay.trl_trainers.arguments import ArgumentsError
from selfplay.trl_trainers.asynchronous import library
from tests.selfplay.preflight.test_vllm import installed, of_server

__all__ = ["installed"]
PACKAGE = library.HOME


def of_async(*overrides: str) -> Recipe:
    settings = of_server().model_dump(mode="json")
    rule = {"trainer": "async_grpo", "max_staleness": 2, "top_up": 0.0, "token_budget": 0}
    settings["training"]["grpo"] |= rule | {"args": {"per_device_train_batch_size": 8, "max_steps": 2}}
    settings["compute"]["sharding"] = "none"
    return recipe_of(settings, overrides)


@pytest.fixture
def trl(monkeypatch: pytest.MonkeyPatch) -> dict[str, types.ModuleType]:
    """A machine with a GPU, a TRL that has the trainer, and FlashAttention 2."""

    class Trainer:
        def __init__(self, rollout_worker: Any = None, weight_transfer: Any = None) -> None:
            """Takes both."""

    monkeypatch.setattr(async_trainer, "_sees_gpu", lambda: True)
    modules = {name: types.ModuleType(name) for name in (PACKAGE, f"{PACKAGE}.async_grpo_trainer", "flash_attn")}
    modules[f"{PACKAGE}.async_grpo_trainer"].AsyncGRPOTrainer = Trainer  # type: ignore[attr-defined]
    modules["flash_attn"].flash_attn_varlen_func = lambda: None  # type: ignore[attr-defined]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return modules


def test_a_recipe_that_it_can_run_is_taken(installed: None, trl: Any) -> None:
    check_rollouts(of_async(), 7)
    check_argument_names(of_async())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rollouts": "vllm"}, "rolls out by a server alone, and rollouts is vllm; set that to server"),
        ({"max_staleness": 0}, "learns from completions of older weights, and max_staleness is 0"),
        ({"top_up": 1.0}, "has no batch to top up; set top_up to 0, or set trainer to grpo"),
        ({"token_budget": 9}, "ends by args.max_steps or num_train_epochs; set token_budget to 0"),
        ({"trainer": "grpo"}, "max_staleness: is 2, but trainer: grpo draws one batch ahead"),
    ],
)
def test_settings_that_contradict_it_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GRPORule.model_validate({"trainer": "async_grpo", "rollouts": "server", "max_staleness": 2} | fields)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("lora={target_modules: [q_proj, lm_head]}", "would overlook an adapter on lm_head or embed_tokens; change"),
        ("grpo.args={bf16: false}", "in 16 bits alone; leave out training.grpo.args.bf16"),
        ("lora={target_modules: lm_head}", "would overlook an adapter on lm_head"),
        ("grpo.vllm.args={max_model_len: 9}", "max_model_len: is the longest prompt and args.max_completion_length"),
    ],
)
def test_what_it_can_not_do_is_refused(installed: None, trl: Any, override: str, said: str) -> None:
    with pytest.raises((library.NoAsyncTrainer, EngineMissing), match=said):
        check_rollouts(of_async(f"training.{override}"), 7)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("compute.sharding=fsdp2", "holds a whole model on each GPU here, and compute.sharding is fsdp2"),
        ("compute.executor=ray", "answers on the loopback of one machine, and compute.executor is ray"),
        ("model.name=Qwen/Qwen3-30B-A3B", "whose sync of experts to vLLM no test has run, and model has some"),
        ("compute.device=cpu", "computes with FlashAttention, for GPUs alone, and none is used here; run it where"),
    ],
)
def test_where_it_can_not_run_is_refused_with_the_remedy(installed: None, trl: Any, override: str, said: str) -> None:
    with pytest.raises(library.NoAsyncTrainer, match=f"{said}.* or set it to grpo, which draws one batch ahead"):
        check_rollouts(of_async(override), 7)


def test_a_machine_without_gpus_is_told_what_to_take(
    installed: None, trl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_trainer, "_sees_gpu", lambda: False)
    with pytest.raises(library.NoAsyncTrainer, match=r"for GPUs alone, and none is used here; .*max_staleness: 1"):
        check_rollouts(of_async(), 7)


def test_a_trl_without_it_and_no_flash_attention_are_one_sentence(
    installed: None, trl: dict[str, types.ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    del trl["flash_attn"].flash_attn_varlen_func
    with pytest.raises(library.NoAsyncTrainer, match=r"flash_attn cannot be used here \(AttributeError: .*; install"):
        check_rollouts(of_async(), 7)
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    with pytest.raises(library.NoAsyncTrainer, match=r"neither flash_attn_interface nor flash_attn is .*; `pip"):
        check_rollouts(of_async(), 7)
    monkeypatch.setattr(
        trl[f"{PACKAGE}.async_grpo_trainer"], "AsyncGRPOTrainer", type("Old", (), {"__init__": lambda self: None})
    )
    with pytest.raises(library.NoAsyncTrainer, match="of this TRL takes no rollout_worker; install TRL"):
        check_rollouts(of_async(), 7)
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.async_grpo_trainer", None)
    with pytest.raises(library.NoAsyncTrainer, match="this TRL has no AsyncGRPOTrainer that can be imported"):
        check_rollouts(of_async(), 7)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("{beta: 0.1}", r"args.beta: .* \(this trainer has no term for a reference model\)"),
        ("{token_budget: 9}", r"args.token_budget: is not yours to set here \(a micro-batch has"),
        ("{max_staleness: 3}", r"args.max_staleness: .* \(training.grpo.max_staleness decides it\)"),
        ("{model_init_kwargs: {load_in_4bit: true}}", "args.model_init_kwargs: is not yours to set here"),
        ("{epsilonn: 0.2}", "args.epsilonn: is not an argument of TRL's AsyncGRPOConfig; did you mean `epsilon`"),
    ],
)
def test_its_arguments_are_those_of_its_own_class(args: str, said: str) -> None:
    with pytest.raises(ArgumentsError, match=said):
        check_argument_names(of_async(f"training.grpo.args={args}"))
