"""The guard of DPO, on real trainings by TRL's DPOTrainer of a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from selfplay.compute.workers import Workers
from selfplay.config.rules import CollapseGuard
from selfplay.engines import loading
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.records import Pair
from selfplay.run.tables import write_table
from selfplay.trl_trainers import model_folder, session
from selfplay.trl_trainers.dpo import OUTCOME, train_dpo
from selfplay.trl_trainers.dpo_trainer import CHANGE
from selfplay.trl_trainers.jobs import DPOJob, Placement

PROBLEMS = seeds.generate("math", 16, 0)
STEEP = {
    "max_steps": 10,
    "per_device_train_batch_size": 4,
    "learning_rate": 3e-2,
    "lr_scheduler_type": "constant",
    "loss_type": "sigmoid",
}
"""Chosen and rejected differ in one number alone, so that a steep step takes both down."""


def job_of(model: ModelRef, folder: Path, drop: float | None = 0.05, window: int = 2, **changed: Any) -> DPOJob:
    pairs = [
        Pair(str(place), "t", p.problem, p.solution, p.solution.replace("\\boxed{", "\\boxed{1"), "test")
        for place, p in enumerate(PROBLEMS)
    ]
    table = folder / "pairs.parquet"
    write_table(table, Pair, pairs)
    guard = CollapseGuard(drop=drop, window=window)
    return DPOJob(**({"model": model, "pairs": table, "args": STEEP, "collapse": guard} | changed))


def place_of(folder: Path, name: str) -> Placement:
    return Placement("cpu", 3, folder / f"{name}-work", folder / name)


def train(model: ModelRef, folder: Path, name: str, **how: Any) -> None:
    train_dpo(job_of(model, folder, **how), place_of(folder, name))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def outcome(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / OUTCOME).read_text())
    return content


def test_what_is_watched_is_the_change_of_the_log_probability(tiny_model: ModelRef, tmp_path: Path) -> None:
    """Against log-probabilities computed here, of one batch of all pairs after one step."""
    import torch

    args = STEEP | {"max_steps": 2, "per_device_train_batch_size": len(PROBLEMS)}
    train(tiny_model, tmp_path, "one", drop=None, args=args | {"max_steps": 1})
    train(tiny_model, tmp_path, "two", drop=None, args=args)

    def chosen(model: ModelRef) -> tuple[float, int]:
        network, tokenizer = loading.load_fresh(model)
        total, count = 0.0, 0
        for p in PROBLEMS:
            prefix = tokenizer(p.problem, add_special_tokens=False)["input_ids"]
            ids = tokenizer(p.problem + p.solution + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logps = network(torch.tensor([ids])).logits[0].log_softmax(-1)
            total += sum(float(logps[place - 1, ids[place]]) for place in range(len(prefix), len(ids)))
            count += len(ids) - len(prefix)
        return total, count

    before, count = chosen(tiny_model)
    after, _ = chosen(model_folder.trained_model(tmp_path / "one"))
    logged = [row["metrics"][CHANGE] for row in lines(tmp_path / "two-work") if CHANGE in row["metrics"]]
    assert logged[0] == pytest.approx(0.0, abs=1e-6)
    assert logged[1] == pytest.approx((after - before) / count, rel=0.02)
    names = {"logps/chosen", "logps/rejected", "rewards/margins", CHANGE}
    assert names <= set(lines(tmp_path / "two-work")[0]["metrics"])


def test_a_collapse_ends_the_training_and_the_last_good_weights_are_kept(tiny_model: ModelRef, tmp_path: Path) -> None:
    train(tiny_model, tmp_path, "free", drop=None)
    whole = [row for row in lines(tmp_path / "free-work") if CHANGE in row["metrics"]]
    assert min(row["metrics"][CHANGE] for row in whole) < -0.05, "the setting of this test does not collapse"
    assert not (tmp_path / "free-work" / OUTCOME).exists()

    train(tiny_model, tmp_path, "bare")
    found = outcome(tmp_path / "bare-work")
    assert 2 <= found["step"] < 10
    assert found["kept_step"] == 0
    assert "training.dpo.collapse.drop" in found["stopped"]
    assert lines(tmp_path / "bare-work")[-1]["step"] == found["step"]
    assert model_folder.weights_hash(tmp_path / "bare") == model_folder.weights_hash(Path(tiny_model.path))

    train(tiny_model, tmp_path, "kept", args=STEEP | {"save_steps": 1})
    kept = outcome(tmp_path / "kept-work")
    assert (kept["step"], kept["kept_step"]) == (found["step"], found["step"] - 1)
    args = STEEP | {"max_steps": kept["kept_step"]}
    train(tiny_model, tmp_path, "short", drop=None, args=args)
    assert model_folder.weights_hash(tmp_path / "kept") == model_folder.weights_hash(tmp_path / "short")


def test_a_resumed_training_stops_where_the_unbroken_one_does(
    tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tiny_model, tmp_path, window=3, args=STEEP | {"save_steps": 1})
    train_dpo(job, place_of(tmp_path, "whole"))
    step = outcome(tmp_path / "whole-work")["step"]

    class CutOff(RuntimeError):
        pass

    class Stop(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == step - 1:
                raise CutOff

    original = session.run_training

    def cut(trainer: Any, *others: Any) -> dict[str, float]:
        trainer.add_callback(Stop())
        return original(trainer, *others)

    with monkeypatch.context() as patch:
        patch.setattr(session, "run_training", cut)
        with pytest.raises(CutOff):
            train_dpo(job, place_of(tmp_path, "cut"))
    train_dpo(job, place_of(tmp_path, "cut"))
    assert outcome(tmp_path / "cut-work") == outcome(tmp_path / "whole-work")
    assert model_folder.weights_hash(tmp_path / "cut") == model_folder.weights_hash(tmp_path / "whole")


@pytest.mark.long
def test_the_nll_term_of_trl_holds_the_chosen_up(tiny_model: ModelRef, tmp_path: Path) -> None:
    lora = {"r": 8, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj", "up_proj", "down_proj"]}
    gentle = STEEP | {"max_steps": 6, "learning_rate": 1e-2, "gradient_checkpointing": True}
    train(tiny_model, tmp_path, "plain", drop=None, lora=lora, args=gentle)
    with_nll = gentle | {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 1.0]}
    train(tiny_model, tmp_path, "nll", drop=None, lora=lora, args=with_nll)
    plain, held = (
        [row["metrics"][CHANGE] for row in lines(tmp_path / name) if CHANGE in row["metrics"]][-1]
        for name in ("plain-work", "nll-work")
    )
    assert held > plain


def _train(call: tuple[DPOJob, Placement]) -> None:
    train_dpo(*call)


@pytest.mark.long
def test_two_ranks_stop_together(tiny_model: ModelRef, tmp_path: Path) -> None:
    """A rank that went on alone would wait for the other for ever."""
    workers = Workers(2, 1, "cpu", tmp_path / "workers.log")
    try:
        args = STEEP | {"save_steps": 1, "per_device_train_batch_size": 2}
        workers.together(_train, (job_of(tiny_model, tmp_path, args=args), place_of(tmp_path, "kept")))
        found = outcome(tmp_path / "kept-work")
        assert 2 <= found["step"] < 10
        assert found["kept_step"] == found["step"] - 1
        short = job_of(tiny_model, tmp_path, drop=None, args=args | {"max_steps": found["kept_step"]})
        workers.together(_train, (short, place_of(tmp_path, "short")))
    finally:
        workers.stop()
    assert model_folder.weights_hash(tmp_path / "kept") == model_folder.weights_hash(tmp_path / "short")


def test_an_outcome_of_an_attempt_before_is_forgotten(tiny_model: ModelRef, tmp_path: Path) -> None:
    """A run that ended between a collapse and the end of its stage trains again, and may not collapse then."""
    (tmp_path / "again-work").mkdir()
    (tmp_path / "again-work" / OUTCOME).write_text("{}")
    train(tiny_model, tmp_path, "again", drop=None, args=STEEP | {"max_steps": 1})
    assert not (tmp_path / "again-work" / OUTCOME).exists()
