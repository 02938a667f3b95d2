"""A training that is cut off and goes on gives the same weights as one that is not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from selfplay.config.recipe import Recipe
from selfplay.config.rules import CollapseGuard, GRPORule
from selfplay.engines.base import ModelRef
from selfplay.quickstart import seeds
from selfplay.run.records import Example, Pair, PolicyTask
from selfplay.run.tables import write_table
from selfplay.trl_trainers import model_folder, session
from selfplay.trl_trainers.dpo import train_dpo
from selfplay.trl_trainers.grpo import train_grpo
from selfplay.trl_trainers.jobs import DPOJob, GRPOJob, Placement, SFTJob
from selfplay.trl_trainers.sft import train_sft
from verifiers.model import Task

PROBLEMS = seeds.generate("math", 24, 0)
RECIPE = Recipe.model_validate(
    {
        "name": "resume",
        "model": {"kind": "scratch"},
        "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}, "verifier": "even_length:judge"}},
    }
)


class CutOff(RuntimeError):
    """Stands for a kill."""


class Stop(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise CutOff


STEPS = {
    "max_steps": 15,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-2,
    "save_steps": 3,
    "lr_scheduler_type": "constant",
}


def sft_job(model: ModelRef, folder: Path) -> SFTJob:
    table = folder / "examples.parquet"
    write_table(table, Example, [Example(p.problem, (p.solution,)) for p in PROBLEMS])
    return SFTJob(model=model, examples=table, args=STEPS, loss="all")


def adapter_job(model: ModelRef, folder: Path) -> SFTJob:
    """Goes on with an adapter, as a round of EM does."""
    lora = {"r": 4, "target_modules": ["q_proj"]}
    job = replace(sft_job(model, folder), lora=lora, keep_adapter=True)
    first = Placement("cpu", 1, folder / "first-work", folder / "first")
    train_sft(replace(job, args=STEPS | {"max_steps": 1}), first)
    return replace(job, model=model_folder.trained_model(folder / "first"))


def dpo_job(model: ModelRef, folder: Path) -> DPOJob:
    pairs = [Pair(f"{i}", "t", p.problem, p.solution, "no", "test") for i, p in enumerate(PROBLEMS)]
    write_table(folder / "pairs.parquet", Pair, pairs)
    return DPOJob(model=model, pairs=folder / "pairs.parquet", args=STEPS, collapse=CollapseGuard(drop=None))


def low_rank_dpo_job(model: ModelRef, folder: Path) -> DPOJob:
    """Adapters, with activations computed twice, and the NLL term."""
    more = {"gradient_checkpointing": True, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    return replace(dpo_job(model, folder), args=STEPS | more, lora=lora)


def later_low_rank_dpo_job(model: ModelRef, folder: Path) -> DPOJob:
    """A second round, which goes on with the adapter of the first; its reference is a copy of that."""
    job = low_rank_dpo_job(model, folder)
    train_dpo(replace(job, args=job.args | {"max_steps": 1}), Placement("cpu", 1, folder / "1-work", folder / "1"))
    return replace(job, model=model_folder.trained_model(folder / "1"))


def grpo_job(model: ModelRef, folder: Path) -> GRPOJob:
    rows = [PolicyTask(f"t{i}", "math", p.problem, Task(p.problem, p.answer)) for i, p in enumerate(PROBLEMS)]
    write_table(folder / "tasks.parquet", PolicyTask, rows)
    args = STEPS | {
        "shuffle_dataset": True,
        "per_device_train_batch_size": 16,
        "num_generations": 4,
        "max_completion_length": 8,
        "beta": 0.0,
    }
    return GRPOJob(
        model=model,
        tasks=folder / "tasks.parquet",
        args=args,
        rule=GRPORule(),
        domains=RECIPE.domains,
        sandbox=RECIPE.sandbox,
        store=folder / "store",
    )


def topped_up_grpo_job(model: ModelRef, folder: Path) -> GRPOJob:
    """With groups that depend on all rewards before."""
    return replace(grpo_job(model, folder), rule=GRPORule(top_up=1.0))


def low_rank_grpo_job(model: ModelRef, folder: Path) -> GRPOJob:
    """An adapter beside a frozen model, which is its own reference, with activations computed twice."""
    job = grpo_job(model, folder)
    lora = {"r": 4, "target_modules": ["q_proj", "v_proj"]}
    return replace(job, args=job.args | {"beta": 0.1, "gradient_checkpointing": True}, lora=lora)


FIRST, SECOND = 5, 11
"""Steps in the first epoch and in the second."""


@pytest.mark.parametrize(
    ("make", "train", "cut_at"),
    [
        (sft_job, train_sft, FIRST),
        pytest.param(sft_job, train_sft, SECOND, marks=pytest.mark.long),
        pytest.param(adapter_job, train_sft, FIRST, marks=pytest.mark.long),
        pytest.param(adapter_job, train_sft, SECOND, marks=pytest.mark.long),
        pytest.param(dpo_job, train_dpo, FIRST, marks=pytest.mark.long),
        (dpo_job, train_dpo, SECOND),
        pytest.param(low_rank_dpo_job, train_dpo, SECOND, marks=pytest.mark.long),
        pytest.param(later_low_rank_dpo_job, train_dpo, FIRST, marks=pytest.mark.long),
        pytest.param(grpo_job, train_grpo, FIRST, marks=pytest.mark.long),
        pytest.param(grpo_job, train_grpo, SECOND, marks=pytest.mark.long),
        (topped_up_grpo_job, train_grpo, SECOND),
        pytest.param(low_rank_grpo_job, train_grpo, FIRST, marks=pytest.mark.long),
    ],
)
def test_a_resumed_training_gives_the_same_weights(
    make: Any, train: Any, cut_at: int, tiny_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "even_length.py").write_text("def judge(task, completion):\n    return len(completion) % 2 == 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = make(tiny_model, tmp_path)

    def run(name: str) -> str:
        train(job, Placement("cpu", 3, tmp_path / f"{name}-work", tmp_path / name))
        return model_folder.weights_hash(tmp_path / name)

    whole = run("whole")
    original = session.run_training

    def cut(trainer: Any, *others: Any) -> dict[str, float]:
        trainer.add_callback(Stop(cut_at))
        return original(trainer, *others)

    with monkeypatch.context() as patch:
        patch.setattr(session, "run_training", cut)
        with pytest.raises(CutOff):
            run("cut")
    assert not (tmp_path / "cut").exists()
    assert session.last_checkpoint(tmp_path / "cut-work") == str(
        tmp_path / "cut-work" / f"checkpoint-{cut_at // 3 * 3}"
    )
    assert run("cut") == whole
    assert whole != model_folder.weights_hash(Path(tiny_model.path))
    # A kill after the last checkpoint, before the model was kept.
    shutil.rmtree(tmp_path / "cut")
    assert run("cut") == whole


def test_torn_and_last_checkpoints_are_passed_over(tmp_path: Path) -> None:
    for step, complete in ((3, True), (12, True), (15, False), (18, True)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": 18}))
        if complete:
            (folder / session.CHECKPOINT_COMPLETE).touch()
    assert session.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-12")
    assert session.last_checkpoint(tmp_path / "none") is None
