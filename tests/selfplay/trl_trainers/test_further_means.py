"""Arguments that need other packages, and the choice of an attention: refused before a run, or really in force."""

from __future__ import annotations

import re
from typing import Any

import pytest
from transformers.training_args import OptimizerNames

from selfplay.engines.base import ModelRef
from selfplay.planning.needs import STATES
from selfplay.trl_trainers.arguments import ArgumentsError, check_arguments
from selfplay.trl_trainers.checks import further_means
from selfplay.trl_trainers.checks.further_means import ATTENTION, OPTIMISERS, PACKAGES, means_faults
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from tests.docs.pages import pages

PAGE = pages("how-to/larger-models.md")
OWN = {"adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"}
"""Optimisers that torch and transformers have themselves."""
KINDS = ("sft", "dpo", "grpo")


@pytest.fixture
def nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any further package."""
    monkeypatch.setattr(further_means, "find_spec", lambda name: None)


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has them all."""
    monkeypatch.setattr(further_means, "find_spec", lambda name: object())


def test_every_optimiser_is_known_with_its_package() -> None:
    assert {name.value for name in OptimizerNames} == OPTIMISERS.keys() | OWN
    assert {*OPTIMISERS.values(), *filter(None, ATTENTION.values())} <= PACKAGES.keys()
    assert STATES.keys() <= OPTIMISERS.keys() | OWN


@pytest.mark.usefixtures("nothing_more")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"optim": "adamw_8bit"}, "optim: needs bitsandbytes, which is not installed here; `pip install bitsandbytes`"),
        ({"optim": "schedule_free_adamw"}, "optim: needs schedulefree"),
        ({"use_liger_kernel": True}, "use_liger_kernel: needs liger_kernel, .*pip install liger-kernel"),
        (
            {"liger_kernel_config": {"fused_linear_cross_entropy": True}},
            "fused_linear_cross_entropy, which TRL refuses",
        ),
        ({"model_init_kwargs": {"attn_implementation": "flash_attention_2"}}, "needs flash_attn, .*or take sdpa"),
        (
            {"model_init_kwargs": {"attn_implementation": "kernels-community/x"}},
            "there are eager, sdpa, flex_attention",
        ),
        ({"model_init_kwargs": {"attn_implementation": "flex_attention"}}, "which torch can train on GPUs alone"),
        ({"model_init_kwargs": {"attn_implementation": None}}, "there are eager"),
        ({"model_init_kwargs": {"dtype": "float16"}}, "has 'dtype', and takes attn_implementation and load_in_4bit"),
        ({"model_init_kwargs": {"load_in_8bit": True}}, "has load_in_8bit; the one quantisation here is load_in_4bit"),
        ({"model_init_kwargs": {"load_in_4bit": 1}}, "has the load_in_4bit 1, but must say true"),
        ({"model_init_kwargs": "{}"}, "must be a mapping, such as"),
        (
            {"model_init_kwargs": {"load_in_4bit": True}},
            "has load_in_4bit, which needs bitsandbytes, .*or leave it out",
        ),
        ({"parallelism_config": {"cp_size": 2}}, "parallelism_config: .*one sequence "),
    ],
)
def test_what_is_missing_is_told_before_a_run(args: dict[str, Any], says: str) -> None:
    for kind in KINDS:
        with pytest.raises(ArgumentsError, match=rf"^training\.args\..*{says}"):
            check_arguments(kind, args, "training.args")


def test_one_sequence_over_several_gpus_is_refused_for_its_own_reason() -> None:
    reasons = {
        "grpo": "TRL makes its inputs within the trainer",
        "sft": "compute.sequence_parallel cuts one sequence over several GPUs",
        "dpo": "of pairs",
    }
    for kind, reason in reasons.items():
        with pytest.raises(ArgumentsError, match=reason):
            check_arguments(kind, {"parallelism_config": {"cp_size": 2}}, "training.args")


def test_activations_are_offloaded_from_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert "torch sees no GPU here" in means_faults({"activation_offloading": True})["activation_offloading"]
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert means_faults({"activation_offloading": True, "optim": "adamw_torch"}) == {}


def test_kernels_of_liger_need_triton_and_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them transformers fails once the model is loaded and the training begins."""
    import torch

    there, gpu = {"liger_kernel"}, False
    monkeypatch.setattr(further_means, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    assert "needs triton" in means_faults({"use_liger_kernel": True})["use_liger_kernel"]
    there.add("triton")
    assert "for GPUs alone" in means_faults({"use_liger_kernel": True})["use_liger_kernel"]
    gpu = True
    assert means_faults({"use_liger_kernel": True, "liger_kernel_config": {"rope": False}}) == {}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_chosen_attention_is_that_of_the_trained_model(tiny_model: ModelRef, attention: str, tmp_path: Any) -> None:
    from selfplay.trl_trainers import session

    job = TrainerJob(model=tiny_model, args={"model_init_kwargs": {"attn_implementation": attention}})
    network, _ = session.begin(job, Placement("cpu", 0, tmp_path, tmp_path))
    layers = [module for module in network.modules() if type(module).__name__.endswith("Attention")]
    assert layers
    assert {layer.config._attn_implementation for layer in layers} == {attention}


@pytest.mark.usefixtures("everything")
def test_what_the_manual_names_is_taken_by_the_trainers_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    rows = re.findall(r"^\| `(\w+): ([^`]+)` \| ([^|]+) \|", PAGE, re.M)
    assert len(rows) > 6
    for name, value, kinds in rows:
        import yaml

        args = {name: yaml.safe_load(value)}
        for kind in KINDS:
            taken = kind in kinds.lower().split(", ")
            if taken:
                check_arguments(kind, args, "training.args")
            else:
                with pytest.raises(ArgumentsError, match=rf"{name}: is not an argument of TRL's"):
                    check_arguments(kind, args, "training.args")
    named = set(re.findall(r"`(\w+_\w+)`", PAGE))
    assert set(ATTENTION) - {"eager", "sdpa"} <= named | {value for _, value, _ in rows}
