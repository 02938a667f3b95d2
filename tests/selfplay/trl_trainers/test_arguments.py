"""TRL's own arguments pass through whole, and mistakes in them are explained before anything is loaded."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import math
import os
import typing
from pathlib import Path
from typing import Any

import pytest

from selfplay.trl_trainers.arguments import (
    RESERVED,
    ArgumentsError,
    build,
    check_arguments,
    check_group,
    check_lora,
    check_top_up,
    config_class,
)
from selfplay.trl_trainers.checks.names import names_in_source
from selfplay.trl_trainers.checks.no_learning import CHOICES


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_every_argument_of_trl_but_the_reserved_may_be_given(kind: str) -> None:
    for field in dataclasses.fields(config_class(kind)):
        if field.init and field.name not in RESERVED and isinstance(field.default, bool | int | float | str):
            with_default = {field.name: field.default}
            if field.name not in ("bf16", "fp16", "save_strategy", "deepspeed", "fsdp"):
                build(kind, with_default, "x", 0, "cpu")


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_the_source_tells_the_names_that_the_class_has(kind: str) -> None:
    assert names_in_source(kind) == {field.name for field in dataclasses.fields(config_class(kind)) if field.init}


@pytest.mark.parametrize(
    ("kind", "args", "says"),
    [
        ("grpo", {"num_generation": 8}, r"training.args.num_generation: .* did you mean `num_generations`"),
        ("grpo", {"seed": 1}, "derives from the recipe's seed"),
        ("grpo", {"use_vllm": True}, r"use_vllm: .*training.grpo.rollouts decides it"),
        ("grpo", {"use_transformers_paged": True}, "masks of TRL's own generation"),
        ("sft", {"fsdp": True}, r"fsdp: .*compute.sharding: fsdp2 spreads a model over all workers"),
        ("dpo", {"fsdp_config": {"version": 2}}, "compute.sharding: fsdp2"),
        ("sft", {"deepspeed": "zero3.json"}, "compute.sharding: zero2 or zero3"),
        ("sft", {"parallelism_config": {"tp_size": 2}}, "compute.sharding says what else ranks share"),
        ("sft", {"zzz": 1}, "see the documentation of SFTConfig"),
        ("grpo", {"per_device_train_batch_size": 3, "num_generations": 8}, "GRPOConfig refuses it"),
        (
            "grpo",
            {"num_iterations": 2, "save_steps": 3},
            "save_steps: is 3, .* serves 2 steps.*; make it a multiple of 2",
        ),
        ("grpo", {"steps_per_generation": 4, "gradient_accumulation_steps": 2, "save_steps": 1}, "serves 2 steps"),
        ("grpo", {"reward_weights": [1.0, 0.5]}, "reward_weights: has 2 weights, but there is one reward"),
        ("grpo", {"remove_unused_columns": True}, "remove_unused_columns: takes away"),
        ("grpo", {"num_iterations": 2, "save_steps": 0.1, "max_steps": 40}, "save_steps: is 0.1, .* serves 2 steps"),
        ("grpo", {"beta": 0.1, "sync_ref_model": True, "save_steps": 2}, "sync_ref_model: .* in no checkpoint.*remove"),
        ("dpo", {"sync_ref_model": True, "save_steps": 2}, "sync_ref_model: .* in no checkpoint.*remove"),
        ("grpo", {"chat_template_kwargs": {"enable_thinking": False}}, "where the policy is measured"),
        ("sft", {"save_only_model": True}, "a training goes on from its checkpoints"),
        ("dpo", {"ignore_data_skip": True}, "goes on does not read again"),
        ("grpo", {"eval_strategy": "steps"}, "the run evaluates each policy itself"),
        ("sft", {"eval_on_start": True}, "the run evaluates each policy itself"),
        ("sft", {"lr_scheduler_type": "zigzag"}, "SFTConfig refuses it"),
        ("sft", {"learning_rate": "1e-6x"}, "learning_rate: is '1e-6x', but must be a number"),
        ("grpo", {"max_steps": "abc"}, "max_steps: is 'abc', but must be a number"),
        ("sft", {"max_steps": None}, "must be a number"),
        ("dpo", {"beta": 0}, "beta: is 0, which makes a pair's loss the same .*; take 0.1"),
        ("dpo", {"label_smoothing": 0.5}, "label_smoothing: is 0.5, which takes a pair .*; take less"),
        ("dpo", {"loss_type": ["sigmoid", "sigmoyd"]}, "loss_type: .* but must be one of sigmoid, hinge"),
        ("dpo", {"loss_type": []}, "loss_type: .* names no loss"),
        ("dpo", {"loss_type": ["sigmoid"], "loss_weights": [0]}, "loss_weights: .* which weighs nothing"),
        ("dpo", {"f_divergence_type": "kl"}, "f_divergence_type: .* but must be one of reverse_kl"),
        ("grpo", {"reward_weights": [0.0]}, "reward_weights: .* which weighs nothing"),
        ("grpo", {"delta": 1.0}, "delta: is 1.0, which cuts off what has not changed .*; take more than"),
        ("grpo", {"top_k": 1}, "top_k: is 1, which draws the same completion each time"),
        ("grpo", {"min_p": 1.0}, "min_p: is 1.0, which draws the same"),
        ("grpo", {"generation_kwargs": {"do_sample": False}}, "generation_kwargs: .* which draws the same"),
        ("grpo", {"generation_kwargs": {"top_k": 1}}, "generation_kwargs: .* which draws the same"),
        ("grpo", {"loss_type": "dopa"}, "loss_type: is 'dopa', but must be one of grpo, dr_grpo, dapo"),
        ("grpo", {"scale_rewards": "groups"}, "scale_rewards: .* but must be one of group, batch"),
        ("grpo", {"vllm_importance_sampling_clip_max": 0}, "clip_max: is 0, but must be above 0"),
        ("sft", {"loss_type": "nlll"}, "loss_type: .* but must be one of nll, chunked_nll, dft"),
        ("sft", {"label_smoothing_factor": 1}, "label_smoothing_factor: is 1, but must be below 1"),
    ],
)
def test_mistakes_are_named(kind: str, args: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentsError, match=says) as raised:
        check_arguments(kind, args, "training.args")
    assert str(raised.value).startswith("training.args")


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_there_is_to_choose_from_what_trl_knows(kind: str) -> None:
    own, trainer = config_class(kind)(output_dir="x", report_to="none", use_cpu=True, bf16=False), trainer_of(kind)
    for name, known in CHOICES[kind].items():
        value = getattr(own, name)
        assert set(value if isinstance(value, list) else [value]) <= set(known), name
        if name == "loss_type":
            compared = {text for text in known if f'"{text}"' in trainer}
            assert compared | {"chunked_nll"} >= set(known), "TRL has another name for it"


def trainer_of(kind: str) -> str:
    """The source of TRL's trainer."""
    return inspect.getsource(importlib.import_module(f"trl.trainer.{kind}_trainer"))


@pytest.mark.parametrize(
    "args",
    [
        {"num_iterations": 2, "save_steps": 4},
        {"gradient_accumulation_steps": 4, "save_steps": 3},
        {"gradient_accumulation_steps": 2, "num_iterations": 3, "save_steps": 6},
        {"num_iterations": 2},
        {"save_steps": 0.1},
        {"sync_ref_model": True, "beta": 0.1},
    ],
)
def test_checkpoints_at_the_end_of_a_generation_batch_are_taken(args: dict[str, Any]) -> None:
    check_arguments("grpo", args, "training.args")


def test_presets_give_way_to_the_recipe() -> None:
    assert build("sft", {}, "x", 0, "cpu").logging_steps == 1
    assert build("sft", {"logging_steps": 7}, "x", 0, "cpu").logging_steps == 7


def test_batches_of_all_workers_add_up() -> None:
    args = {"per_device_train_batch_size": 4, "num_generations": 8}
    check_arguments("grpo", args, "training.grpo.args", workers=2)
    with pytest.raises(ArgumentsError):
        check_arguments("grpo", args, "training.grpo.args", workers=1)


@pytest.mark.parametrize(("top_up", "workers", "least"), [(0.1, 1, "0.25"), (0.25, 2, "0.5")])
def test_a_top_up_of_less_than_a_group_a_worker_is_refused(top_up: float, workers: int, least: str) -> None:
    """A batch of four groups, however many workers share it."""
    args = {"per_device_train_batch_size": 32 // workers, "num_generations": 8}
    with pytest.raises(ArgumentsError, match=rf"grpo.top_up: is {top_up:g} of 4 groups, .* raise it to {least}"):
        check_top_up(top_up, args, "training.grpo", workers)
    check_top_up(0.0, args, "training.grpo", workers)
    check_top_up(float(least), args, "training.grpo", workers)
    check_top_up(2.0, {"per_device_train_batch_size": 4, "num_generations": 8}, "training.grpo", workers=2)


def test_groups_of_which_the_end_is_always_too_old_are_refused() -> None:
    args = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_generations": 16}
    check_group(args, 1, "training.grpo", workers=2)
    check_group(args, 3, "training.grpo", workers=1)
    says = "num_generations: is 16, .* from 4 completions, .* after the first 8 of a group come .* raise .* 2 times"
    with pytest.raises(ArgumentsError, match=says):
        check_group(args, 1, "training.grpo", workers=1)


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_long_completions_are_not_cut(kind: str) -> None:
    assert build(kind, {}, "x", 0, "cpu").max_length is None


def test_lora_arguments_are_checked() -> None:
    check_lora({"r": 8, "target_modules": ["q_proj"]}, "training.lora")
    with pytest.raises(ArgumentsError, match=r"training.lora: peft's LoraConfig refuses it: .*rr"):
        check_lora({"rr": 8}, "training.lora")
    wrong = {"r": -1, "lora_alpha": math.nan, "lora_dropout": 2, "r ": 1, "bias": "some"} | {"use_rslora": 3}
    for name, value in wrong.items():
        with pytest.raises(ArgumentsError, match=r"^training\.lora"):
            check_lora({name: value}, "training.lora")


WRONG = {
    "learning_rate": [math.nan, math.inf, -1, 0, "1", True, 1e308, 10**5000],
    "per_device_train_batch_size": [-1, 0, 1.5, 8.0, True, 10**5000, 1e308],
    "gradient_accumulation_steps": [-1, 0, 1.5],
    "max_steps": [0, -2, 1.5, 1e3, math.nan],
    "save_steps": [0, -1, 2.5, math.nan],
    "logging_steps": [0, -1, 2.5, math.nan],
    "warmup_steps": [-1, 2.5, math.inf],
    "num_train_epochs": [0, -1, math.nan],
    "adam_beta1": [-1, 1, 1.5],
    "max_grad_norm": [-1, math.nan],
    "weight_decay": [-1, math.nan],
    "beta": [-1, math.nan],
    "temperature": [-1, 0, math.nan],
    "top_p": [0, 1.5],
    "top_k": [-1, 1.5],
    "min_p": [-1, 1.5],
    "epsilon": [-1],
    "num_generations": [0, -8, 1.5],
    "max_completion_length": [0, -1, 1.5],
    "loss_weights": [[math.nan], ["a"]],
    "reward_weights": [[math.inf], [-1], [True]],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_number_that_would_fail_in_the_trainer_is_refused(name: str) -> None:
    kind = "dpo" if name == "loss_weights" else "grpo"
    for value in WRONG[name]:
        with pytest.raises(ArgumentsError, match=rf"^training.args\.{name}: is .{{1,90}}, but must ") as error:
            check_arguments(kind, {name: value}, "training.args")
        assert len(str(error.value)) < 300


VALUES = [math.nan, math.inf, -math.inf, -1, 0, 1.5, 1e308, 10**5000, True, "1", None, [], {}, "\0"]


@pytest.mark.parametrize("kind", ["sft", "dpo", "grpo"])
def test_any_value_of_any_argument_is_taken_or_refused(kind: str) -> None:
    """Never a traceback; and no number gets through that is none, or negative where TRL's own is not."""
    hints = typing.get_type_hints(config_class(kind))
    for own in dataclasses.fields(config_class(kind)):
        for value in VALUES if own.init and own.name not in RESERVED else []:
            kinds = typing.get_args(hints[own.name]) or (hints[own.name],)
            with contextlib.suppress(ArgumentsError):
                check_arguments(kind, {own.name: value}, "training.args")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    assert value in (0, 1.5) or typing.Any in kinds or (value == -1 and own.default == -1), (
                        own.name,
                        value,
                    )


@pytest.mark.parametrize("name", ["accelerator_config"])
def test_files_that_the_library_opens_are_files(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(ArgumentsError, match=rf"training.args.{name}: {place}: cannot be read"):
            check_arguments("sft", {name: str(place)}, "training.args")


@pytest.mark.parametrize(
    ("world", "ranks", "args", "accumulation"),
    [("2", 0, {}, None), ("2", 2, {}, None), ("1", 3, {}, 3), ("2", 3, {"gradient_accumulation_steps": 4}, 6)],
)
def test_fewer_ranks_have_the_global_batch_of_those_that_were_meant(
    monkeypatch: pytest.MonkeyPatch, world: str, ranks: int, args: dict[str, Any], accumulation: int | None
) -> None:
    from selfplay.trl_trainers.session import same_global_batch

    monkeypatch.setenv("WORLD_SIZE", world)
    assert same_global_batch(args, ranks).get("gradient_accumulation_steps") == accumulation


def test_a_batch_that_fewer_ranks_cannot_share_is_refused_with_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    from selfplay.trl_trainers.session import same_global_batch

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ArgumentsError, match=r"compute.ray.on_loss: is rest, but 2 ranks .* make that a multiple of 2"):
        same_global_batch({"gradient_accumulation_steps": 1}, 3)
