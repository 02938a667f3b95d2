"""QLoRA: an adapter that is trained on a base in 4 bits, and merged into the base as it stands on disk."""

from __future__ import annotations

import dataclasses
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from selfplay.config.recipe import Recipe
from selfplay.config.rules import CollapseGuard
from selfplay.engines import hf_engine, loading
from selfplay.engines.base import ModelRef, Sampling
from selfplay.planning.architecture import of_config
from selfplay.planning.memory import FOUR_BITS, TrainingStep, training_terms
from selfplay.preflight.recipe import PreflightError, check_trainer_arguments
from selfplay.quickstart import seeds
from selfplay.run.records import Example, Pair
from selfplay.run.tables import write_table
from selfplay.trl_trainers import session
from selfplay.trl_trainers.checks import further_means
from selfplay.trl_trainers.dpo import train_dpo
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.jobs import DPOJob, Placement, TrainerJob
from selfplay.trl_trainers.keeping import LOSS, LOSS_CHANGE
from selfplay.trl_trainers.model_folder import trained_model
from selfplay.trl_trainers.variants import quantised
from selfplay.trl_trainers.variants.merges import keep_base
from selfplay.trl_trainers.variants.quantised import fault_of, settings_for
from tests.selfplay.engines.shard_jobs import generate_job
from tests.selfplay.trl_trainers.model_variants import mixture
from tests.selfplay.trl_trainers.test_grpo_ranks import job as grpo_job
from tests.selfplay.trl_trainers.test_keeping import PROBLEMS, exact, half, logged, train

__all__ = ["half"]

IN_4BIT = {"model_init_kwargs": {"load_in_4bit": True}}
LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "up_proj"]}
STEEP = IN_4BIT | {"learning_rate": 1e-2}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
SMALL |= {"intermediate_size": 96, "vocab_size": 500, "max_position_embeddings": 128, "head_dim": 16}

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs promptcot[qlora]")


def four_bits(network: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.dtype is torch.uint8]


@pytest.mark.parametrize(
    ("lora", "sharding", "by_vllm", "says"),
    [
        (None, "none", False, "take no steps, and training.lora says no adapter"),
        (LORA, "fsdp2", False, "compute.sharding is fsdp2"),
        (LORA, "none", True, "set it to transformers"),
        (LORA, "none", False, ""),
    ],
)
def test_what_4_bits_cannot_go_with_is_said(lora: Any, sharding: str, by_vllm: bool, says: str) -> None:
    found = fault_of(IN_4BIT, lora, "training.lora", sharding, by_vllm)
    assert says in found
    assert bool(says) is bool(found)
    assert fault_of({"model_init_kwargs": {"load_in_4bit": False}}, lora, "training.lora", sharding, by_vllm) == ""


def test_a_recipe_without_an_adapter_is_refused_by_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further_means, "find_spec", lambda name: object())
    source = {"kind": "quickstart", "grammar": "math"}
    given = {"name": "r", "model": {"kind": "scratch"}, "domains": {"math": {"seeds": source, "verifier": "math"}}}
    recipe = Recipe.model_validate(given | {"cold_start": {"prompt_model_args": IN_4BIT}})
    with pytest.raises(
        PreflightError, match=r"^cold_start\.prompt_model_args\.model_init_kwargs: has load_in_4bit, .* generator_lora"
    ):
        check_trainer_arguments(recipe, 1)


def test_bitsandbytes_fetches_no_program_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    known = object()
    monkeypatch.setitem(sys.modules, "kernels", known)  # type: ignore[arg-type]
    with quantised._without_foreign_kernels(), pytest.raises(ImportError):
        import kernels  # type: ignore[import-not-found]  # noqa: F401
    assert sys.modules["kernels"] is known


def test_a_plan_counts_linear_layers_in_4_bits() -> None:
    model = of_config(SMALL | {"model_type": "qwen3"}, "model")
    whole = TrainingStep(model=model, trained=1000, device="cuda", weight_bytes=2, tokens=64)
    less = training_terms(whole)["weights"] - training_terms(dataclasses.replace(whole, quantised=True))["weights"]
    linear = 3 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96)
    assert less == pytest.approx(linear * (2 - FOUR_BITS), abs=1)


@pytest.mark.long
@needs_bitsandbytes
@pytest.mark.parametrize("experts", [False, True])
def test_the_weights_in_4_bits_are_those_that_are_planned(half: ModelRef, tmp_path: Path, experts: bool) -> None:
    model = dataclasses.replace(mixture(half, tmp_path), dtype="bfloat16") if experts else half
    network, _ = loading.load_for_training(model, lora=True, quantised=settings_for)
    packed = four_bits(network)
    states = [parameter.quant_state for parameter in packed]
    held = sum(p.numel() for p in packed) + sum(s.absmax.numel() + 4 * s.state2.absmax.numel() for s in states)
    planned = of_config(network.config.to_dict(), "model").linear
    assert sum(2 * p.numel() for p in packed) == planned
    # The scales of a matrix of so few weights fill no block.
    assert held == pytest.approx(planned * FOUR_BITS, rel=0.01)


@pytest.mark.long
@needs_bitsandbytes
def test_a_pass_outside_of_training_takes_no_gradient_away(small_model: ModelRef, tmp_path: Path) -> None:
    job = TrainerJob(model=dataclasses.replace(small_model, dtype="bfloat16"), args=IN_4BIT, lora=LORA)
    found = {}
    for passes in (False, True):
        network, _ = session.begin(job, Placement("cpu", 0, tmp_path, tmp_path))
        ids = torch.arange(24)[None]
        if passes:
            with torch.no_grad():
                network.eval()(input_ids=ids)
        embedded = network.get_input_embeddings()(ids).detach().requires_grad_()
        network.train()(inputs_embeds=embedded).logits.float().sum().backward()
        found[passes] = embedded.grad
    assert found[True] is not None
    assert torch.equal(found[True], found[False])


@pytest.mark.long
@needs_bitsandbytes
def test_an_adapter_is_trained_in_4_bits_and_merged_into_the_whole_base(half: ModelRef, tmp_path: Path) -> None:
    heldout = tmp_path / "heldout.parquet"
    write_table(heldout, Example, [Example(p.problem, (p.solution,)) for p in seeds.generate("math", 4, 9)])
    first = train(half, tmp_path / "stages/selfplay_1", 2, lora=LORA, args=STEEP, heldout=heldout)
    second = train(first, tmp_path / "stages/selfplay_2", 2, lora=LORA, args=STEEP, heldout=heldout)
    for model, stage in ((first, "stages/selfplay_1"), (second, "stages/selfplay_2")):
        assert model.base is None
        assert model.masters is not None
        assert model.masters.base == half
        adapter = load_file(Path(model.masters.path) / "adapter_model.safetensors")
        assert {value.dtype for value in adapter.values()} == {torch.float32}
        merged = loading.load_adapted(Path(model.masters.path), half).merge_and_unload().state_dict()
        for name, value in load_file(Path(model.path) / "model.safetensors").items():
            assert torch.equal(value, merged[name].to(torch.bfloat16)), name
        figures = logged(tmp_path / stage)
        assert figures[LOSS] > 0
        assert 0 < abs(figures[LOSS_CHANGE]) < 0.1
    before, after = exact(first), exact(second)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(".lora_" in name for name in moved)


@pytest.mark.long
@needs_bitsandbytes
def test_small_steps_of_an_adapter_are_not_lost_to_bfloat16(half: ModelRef, tmp_path: Path) -> None:
    """TRL rounds adapters on a base in 4 bits to bfloat16, in which a step of 1e-6 is none."""
    first = train(half, tmp_path / "stages/selfplay_1", 2, lora=LORA, args=STEEP)
    second = train(first, tmp_path / "stages/selfplay_2", 1, lora=LORA, args=IN_4BIT | {"learning_rate": 1e-6})
    before, after = exact(first), exact(second)
    steps = torch.cat([(after[name] - before[name]).flatten() for name in before if ".lora_B." in name])
    assert 0 < float(steps.abs().max()) < 2e-6
    assert float((steps != 0).float().mean()) > 0.9


@pytest.mark.long
@needs_bitsandbytes
def test_an_adapter_beside_its_base_is_compared_with_the_whole_base(half: ModelRef, tmp_path: Path) -> None:
    heldout = tmp_path / "heldout.parquet"
    write_table(heldout, Example, [Example(p.problem, (p.solution,)) for p in seeds.generate("math", 4, 9)])
    model = train(half, tmp_path / "em_1", 2, lora=LORA, keep_adapter=True, args=STEEP, heldout=heldout)
    assert model.base == half
    assert 0 < abs(logged(tmp_path / "em_1")[LOSS_CHANGE]) < 0.1
    [row] = hf_engine.generate_shard(generate_job(model, ["Tom has"], Sampling(0.0, 4)))
    assert row["token_ids"]


@pytest.mark.long
@needs_bitsandbytes
def test_dpo_trains_on_a_base_in_4_bits_round_after_round(half: ModelRef, tmp_path: Path) -> None:
    table = tmp_path / "pairs.parquet"
    write_table(table, Pair, [Pair(f"{i}", "t", p.problem, p.solution, "no", "test") for i, p in enumerate(PROBLEMS)])
    args = STEEP | {"max_steps": 2, "per_device_train_batch_size": 2, "save_steps": 1}
    model = half
    for number in (1, 2):
        stage = tmp_path / f"stages/selfplay_{number}"
        job = DPOJob(model=model, pairs=table, args=args, lora=LORA, collapse=CollapseGuard(drop=None))
        train_dpo(job, Placement("cpu", 0, stage / "work", stage / "policy"))
        model = trained_model(stage / "policy")
        assert model.masters is not None
        assert model.masters.base == half


@pytest.mark.long
@needs_bitsandbytes
def test_grpo_rolls_out_and_learns_on_a_base_in_4_bits(
    half: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    given = grpo_job(half, tmp_path)
    given = dataclasses.replace(given, lora=LORA, args=given.args | STEEP | {"per_device_train_batch_size": 12})
    seen: list[int] = []
    known = session.run_training
    monkeypatch.setattr(
        session,
        "run_training",
        lambda trainer, *others: (seen.append(len(four_bits(trainer.model))), known(trainer, *others))[1],
    )
    train_grpo(given, Placement("cpu", 3, tmp_path / "work", tmp_path / "policy"))
    assert seen == [7], "the linear layers of the one block"
    model = trained_model(tmp_path / "policy")
    assert model.masters is not None
    loading.load_fresh(model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_base_is_the_same_after_many_merges(dtype: torch.dtype) -> None:
    """In bfloat16 each would move it, and what is kept is the adapter on the base that is on disk."""
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(32, 32)).to(dtype)
    network = get_peft_model(base, LoraConfig(target_modules=["0"], init_lora_weights=False))
    keep_base(network)
    layer: Any = network.base_model.model[0]
    before = layer.base_layer.weight.detach().clone()
    for _ in range(20):
        torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.01)
        network.merge_adapter()
        assert not torch.equal(layer.base_layer.weight, before)
        network.unmerge_adapter()
    assert torch.allclose(layer.base_layer.weight, before, rtol=0, atol=0 if dtype is torch.bfloat16 else 1e-6)
