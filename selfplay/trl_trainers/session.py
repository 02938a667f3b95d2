"""Shared by all trainings: where one resumes, what it logs, and how the trained model is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfplay.engines.model_files import judge_checkpoint
from selfplay.run.files import read_json, repair_lines
from selfplay.trl_trainers.callbacks import CHECKPOINT_COMPLETE, LogToFile, MarkCheckpoints, append_line, is_whole
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from selfplay.trl_trainers.keeping import Loss, keep

LOG = "log.jsonl"


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint below a trainer's output folder, from which there is something left to train.

    A trainer that resumes from the checkpoint of its last step would take one step more.

    Raises:
        ModelError: it holds files that no trainer of this project writes, as of a run that came from elsewhere.
    """
    marks = folder.glob(f"checkpoint-*/{CHECKPOINT_COMPLETE}")
    found = [mark.parent for mark in marks if is_whole(mark.parent) and _goes_on(mark.parent)]
    if not found:
        return None
    newest = max(found, key=step_of)
    judge_checkpoint(newest)
    return str(newest)


def step_of(checkpoint: Path | str) -> int:
    """The step at which a checkpoint was written, by its folder's name."""
    return int(str(checkpoint).rsplit("-", 1)[1])


def _goes_on(checkpoint: Path) -> bool:
    state = read_json(checkpoint / "trainer_state.json")
    return bool(state["global_step"] < state["max_steps"])


def begin(job: TrainerJob, place: Placement) -> tuple[Any, Any]:
    """Makes room on a GPU, sets the seed, and loads the model to train and its tokenizer."""
    import torch

    from selfplay.engines import loading

    if place.device != "cpu":
        loading.forget_all()
    torch.manual_seed(place.seed)
    return loading.load_for_training(job.model, job.lora is not None)


def run_training(trainer: Any, work: Path) -> dict[str, float]:
    """Trains, resuming from the newest complete checkpoint; returns the last metrics.

    Args:
        trainer: one of TRL's.
        work: the trainer's output folder.
    """
    if trainer.is_world_process_zero():
        repair_lines(work / LOG)
    trainer.add_callback(LogToFile(work / LOG))
    trainer.add_callback(MarkCheckpoints())
    from transformers.trainer_callback import PrinterCallback

    # It prints every line of the log, which the driver shows already.
    trainer.remove_callback(PrinterCallback)
    result = trainer.train(resume_from_checkpoint=last_checkpoint(work))
    return {name: float(value) for name, value in result.metrics.items()}


def save_model(trainer: Any, job: TrainerJob, place: Placement, loss: Loss | None = None) -> None:
    """Keeps the trained model (main process only; the others wait), and logs what its rounding did.

    Args:
        trainer: one of TRL's.
        job: what it was made for.
        place: where to.
        loss: the held-out loss of a network, nats a token.
    """
    network = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.accelerator.is_main_process:
        figures = keep(network, trainer.processing_class, job, place, loss)
        if figures:
            append_line(place.work / LOG, trainer.state, figures)
    trainer.accelerator.wait_for_everyone()


def peft_config(job: TrainerJob) -> Any:
    """peft's LoraConfig; None for training all weights, and where the model has an adapter already, which goes on."""
    if job.lora is None or job.model.trainable.base is not None:
        return None
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", **job.lora)
