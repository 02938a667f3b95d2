"""Small steps survive from training to training, whatever the format in which engines read the model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from selfplay.config.rules import CollapseGuard
from selfplay.engines import hf_engine, loading
from selfplay.engines.base import MASTERS, ModelRef
from selfplay.quickstart import seeds
from selfplay.run.files import RunError
from selfplay.run.records import Example, Pair
from selfplay.run.tables import write_table
from selfplay.trl_trainers.dpo import train_dpo
from selfplay.trl_trainers.jobs import DPOJob, Placement, SFTJob
from selfplay.trl_trainers.keeping import CHANGED, LOSS, LOSS_CHANGE
from selfplay.trl_trainers.model_folder import demand_masters, drop_masters, trained_model
from selfplay.trl_trainers.rounding import Rounding, round_weights, stochastically
from selfplay.trl_trainers.sft import train_sft
from tests.selfplay.engines.shard_jobs import score_job
from tests.selfplay.engines.test_adapters import REQUESTS

PROBLEMS = seeds.generate("math", 2, 0)
LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
SMALL = {"per_device_train_batch_size": 2, "learning_rate": 1e-6, "lr_scheduler_type": "constant", "logging_steps": 100}


def train(model: ModelRef, stage: Path, steps: int, rounding: Rounding = "nearest", **changed: Any) -> ModelRef:
    """A training on one batch that is the same at every step, so that each step is as long as the last."""
    stage.mkdir(parents=True, exist_ok=True)
    table = stage / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in PROBLEMS])
    args = SMALL | {"max_steps": steps} | changed.pop("args", {})
    job = SFTJob(**({"model": model, "examples": table, "args": args} | changed))
    train_sft(job, Placement("cpu", 0, stage / "policy-training", stage / "policy", rounding))
    return trained_model(stage / "policy")


@pytest.fixture(scope="module")
def half(tiny_model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A model as most are published, and as a recipe names it by default: in bfloat16."""
    network, tokenizer = loading.load_fresh(dataclasses.replace(tiny_model, dtype="bfloat16"))
    folder = tmp_path_factory.mktemp("half")
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelRef.local(folder, "half", "bfloat16", chat=False)


def exact(model: ModelRef) -> dict[str, torch.Tensor]:
    """What a training would start from."""
    network, _ = loading.load_for_training(model, lora=model.trainable.base is not None)
    return {name: value.float() for name, value in network.state_dict().items()}


def way(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    """The length of the way between two models, over all weights."""
    return sum(float((after[name] - before[name]).pow(2).sum()) for name in before) ** 0.5


def logged(stage: Path) -> dict[str, float]:
    lines = (stage / "policy-training" / "log.jsonl").read_text().splitlines()
    found: dict[str, float] = json.loads(lines[-1])["metrics"]
    return found


def test_ten_short_rounds_move_as_far_as_one_long_one(half: ModelRef, tmp_path: Path) -> None:
    whole = dataclasses.replace(train(half, tmp_path / "one", 100), dtype="float32")
    model = half
    for number in range(10):
        model = train(model, tmp_path / f"stages/selfplay_{number}", 10)
        assert model.dtype == "bfloat16", "engines read the format that the recipe names"
    before = exact(half)
    assert way(before, exact(model)) == pytest.approx(way(before, exact(whole)), rel=0.05)
    kept = load_file(Path(model.path) / "model.safetensors")
    assert {value.dtype for value in kept.values()} == {torch.bfloat16}


def test_an_adapter_goes_on_from_round_to_round_and_engines_see_it_merged(half: ModelRef, tmp_path: Path) -> None:
    steep = {"args": {"learning_rate": 1e-2}, "lora": LORA}
    first = train(half, tmp_path / "stages/selfplay_1", 2, **steep)
    second = train(first, tmp_path / "stages/selfplay_2", 2, **steep)
    assert second.base is None, "engines get a whole model"
    assert second.masters is not None
    assert second.masters.base == half
    assert sorted(exact(second)) == sorted(exact(first)), "one adapter, not one on another"
    network, _ = loading.load_for_training(second, lora=True)
    merged = network.float().merge_and_unload().state_dict()
    for name, value in load_file(Path(second.path) / "model.safetensors").items():
        assert torch.equal(value, merged[name].to(torch.bfloat16)), name


def test_the_engine_changes_no_training_of_an_adapter(half: ModelRef, tmp_path: Path) -> None:
    """vLLM reads merged models, transformers adapters beside their base; both trainings are the same."""
    models = {}
    for keep_adapter in (True, False):
        model = half
        for number in (1, 2, 3):
            stage = tmp_path / f"{keep_adapter}/stages/em_{number}"
            model = train(model, stage, 2, lora=LORA, keep_adapter=keep_adapter, args={"learning_rate": 1e-3})
        models[keep_adapter] = exact(model)
    assert models[True].keys() == models[False].keys()
    assert all(torch.equal(value, models[False][name]) for name, value in models[True].items())


def test_what_the_rounding_did_is_logged(tiny_model: ModelRef, half: ModelRef, tmp_path: Path) -> None:
    heldout = tmp_path / "heldout.parquet"
    write_table(heldout, Example, [Example(p.problem, (p.solution,)) for p in seeds.generate("math", 4, 9)])
    small = train(half, tmp_path / "small", 1, heldout=heldout)
    figures = logged(tmp_path / "small")
    old, new = (load_file(Path(path) / "model.safetensors") for path in (half.path, small.path))
    differ = sum(int((old[name] != new[name]).sum()) for name in new)
    assert 0 < figures[CHANGED] < 0.2
    assert figures[CHANGED] == pytest.approx(differ / sum(value.numel() for value in new.values()))
    assert figures[LOSS] > 0
    assert figures[LOSS_CHANGE] != 0
    assert abs(figures[LOSS_CHANGE]) < 0.01
    train(half, tmp_path / "large", 1, heldout=heldout, args={"learning_rate": 1e-2})
    assert logged(tmp_path / "large")[CHANGED] > 0.5
    train(tiny_model, tmp_path / "exact", 1, heldout=heldout)
    assert set(logged(tmp_path / "exact")) == {CHANGED}, "in float32 nothing is rounded"


def test_the_logged_loss_is_that_of_what_engines_read(half: ModelRef, tmp_path: Path) -> None:
    heldout = tmp_path / "heldout.parquet"
    [problem] = seeds.generate("math", 1, 9)
    write_table(heldout, Example, [Example(problem.problem, (problem.solution,))])
    model = train(half, tmp_path / "one", 2, heldout=heldout, lora=LORA, args={"learning_rate": 1e-1})
    request = dataclasses.replace(REQUESTS[0], prefix=problem.problem, segments=(problem.solution,))
    [row] = hf_engine.score_shard(score_job(dataclasses.replace(model, dtype="float32"), [request], batch_tokens=512))
    assert logged(tmp_path / "one")[LOSS] == pytest.approx(-row["sums"][0] / row["tokens"][0], abs=1e-4)


def test_rounding_by_chance_keeps_the_mean_and_takes_neighbours_alone() -> None:
    values = torch.tensor([1.001, -1.001, 3e-5, 0.0, -1e-41, 65504.0, 7e4, 1.0, float("inf"), float("nan")])
    for dtype in (torch.bfloat16, torch.float16):
        many = values.repeat(4000, 1)
        drawn = stochastically(many, dtype, torch.Generator().manual_seed(0))
        assert torch.equal(drawn.to(dtype).float().nan_to_num(5.0), drawn.nan_to_num(5.0)), "numbers of the format"
        for place in range(3):
            low, high = drawn[:, place].min(), drawn[:, place].max()
            assert low <= values[place] <= high
            assert torch.unique(drawn[:, place]).numel() == 2
            assert float(drawn[:, place].mean()) == pytest.approx(float(values[place]), rel=2e-4)
        assert (drawn[:, 3] == 0).all()
        # The smallest bfloat16 is 9e-41, the smallest float16 6e-8: only the first is within reach of 1e-41.
        smallest = torch.unique(drawn[:, 4].double())
        assert smallest.tolist() == ([pytest.approx(-(2.0**-133)), 0.0] if dtype is torch.bfloat16 else [0.0])
        assert (drawn[:, 7] == 1).all()
        assert drawn[:, 8].isinf().all()
        assert drawn[:, 9].isnan().all()
    assert (stochastically(values, torch.float16, torch.Generator())[5] == 65504.0).all()


@pytest.mark.parametrize("value", [1.00123e-30, -3.0037e-24, -1.00123e-37, 7.011e-22])
def test_rounding_by_chance_keeps_the_mean_of_tiny_weights(value: float) -> None:
    values = torch.full((20_000,), value)
    drawn = stochastically(values, torch.bfloat16, torch.Generator().manual_seed(0)).double()
    assert drawn.unique().numel() == 2
    assert float(drawn.mean()) == pytest.approx(float(values[0]), rel=2e-4)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_rounded_weights_are_the_same_for_a_seed_and_lose_no_more(tiny_model: ModelRef, rounding: Rounding) -> None:
    def rounded(seed: int) -> dict[str, torch.Tensor]:
        network, _ = loading.load_for_training(tiny_model, lora=False)
        round_weights(network, torch.bfloat16, rounding, seed)
        return dict(network.state_dict())

    first, again, other = rounded(1), rounded(1), rounded(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(torch.equal(value, value.to(torch.bfloat16).float()) for value in first.values())
    assert all(torch.equal(first[name], other[name]) for name in first) == (rounding == "nearest")


def test_rounding_by_chance_shows_engines_small_steps(half: ModelRef, tmp_path: Path) -> None:
    """The share of weights that moves is small by either way, but by chance the mean of the steps is there."""
    found = {}
    origin = exact(half)
    for rounding in ("nearest", "stochastic"):
        model = train(half, tmp_path / rounding, 10, rounding)  # type: ignore[arg-type]
        after = exact(model)
        seen = {n: v.float() for n, v in load_file(Path(model.path) / "model.safetensors").items()}
        steps = torch.cat([(after[name] - origin[name]).flatten() for name in seen])
        views = torch.cat([(seen[name] - origin[name]).flatten() for name in seen])
        found[rounding] = float((views * steps.sign()).mean() / steps.abs().mean())
    assert found["stochastic"] == pytest.approx(1.0, abs=0.2)
    assert found["nearest"] < 0.5, "half of the way and more is lost"


def test_masters_that_are_gone_are_told_of_in_one_sentence(half: ModelRef, tmp_path: Path) -> None:
    model = train(half, tmp_path, 1)
    folder = Path(model.path)
    demand_masters(folder)
    drop_masters(folder)
    assert trained_model(folder).fingerprint == model.fingerprint, "engines read it as before"
    with pytest.raises(RunError, match=r"dropped \(compute.masters: newest\); start anew"):
        demand_masters(folder)
    mark = folder / "fingerprint.json"
    known = json.loads(mark.read_text())
    del known["masters"]
    mark.write_text(json.dumps(known))
    with pytest.raises(RunError, match="an earlier version of promptcot rounded these weights to bfloat16"):
        demand_masters(folder)
    mark.write_text(json.dumps(known | {"dtype": "float32"}))
    demand_masters(folder)


def test_masters_are_a_model_of_their_own(half: ModelRef, tmp_path: Path) -> None:
    model = train(half, tmp_path, 1)
    masters = ModelRef.local(Path(model.path) / MASTERS, "m", "float32", chat=False)
    network, tokenizer = loading.load_fresh(masters)
    assert network.dtype is torch.float32
    assert tokenizer("Tom")["input_ids"]


def test_the_reference_of_a_later_round_is_the_adapter_that_it_began_with(half: ModelRef, tmp_path: Path) -> None:
    """At the first step the policy is its reference, so that no reward differs from 0; against the base it would."""
    table = tmp_path / "pairs.parquet"
    write_table(table, Pair, [Pair(f"{i}", "t", p.problem, p.solution, "no", "test") for i, p in enumerate(PROBLEMS)])
    args = {"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 5e-2, "lr_scheduler_type": "constant"}
    model = half
    for number in (1, 2):
        stage = tmp_path / f"stages/selfplay_{number}"
        job = DPOJob(model=model, pairs=table, args=args, lora=LORA, collapse=CollapseGuard(drop=None))
        train_dpo(job, Placement("cpu", 0, stage / "work", stage / "policy"))
        model = trained_model(stage / "policy")
        rows = [json.loads(line)["metrics"] for line in (stage / "work" / "log.jsonl").read_text().splitlines()]
        first, second = [row["rewards/chosen"] for row in rows if "rewards/chosen" in row]
        assert first == pytest.approx(0.0, abs=1e-4)
        assert abs(second) > 1e-3
    assert model.masters is not None
    assert not list(Path(model.masters.path).glob("ref*")), "the copy is no part of the model"
