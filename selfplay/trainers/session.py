"""What every training shares: where it resumes, what it logs, and how the trained model is kept."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from selfplay.engines.base import ModelRef
from selfplay.run import read_json, repair_lines, sync_folder, write_json

CHECKPOINT_COMPLETE = "complete"
FINGERPRINT = "fingerprint.json"


class LogToFile(TrainerCallback):
    """Appends the trainer's logs to a JSON lines file, which the driver follows while the training runs."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Writes one line for each log of the main process."""
        if not state.is_world_process_zero or not logs:
            return
        numbers = {name: float(value) for name, value in logs.items() if _is_number(value)}
        line = {"step": state.global_step, "of": state.max_steps, "metrics": numbers}
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class MarkCheckpoints(TrainerCallback):
    """Marks a checkpoint once all of it is on disk, so that a torn one is never resumed from."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Runs after the trainer wrote a checkpoint, on every process."""
        from torch import distributed

        if distributed.is_initialized():
            distributed.barrier()
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.exists():
            sync_folder(folder)
            (folder / CHECKPOINT_COMPLETE).touch()


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint below a trainer's output folder."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{CHECKPOINT_COMPLETE}")]
    if not found:
        return None
    return str(max(found, key=lambda path: int(path.name.rsplit("-", 1)[1])))


def run_training(trainer: Any, work: Path) -> dict[str, float]:
    """Trains, resuming from the newest complete checkpoint; returns the last metrics.

    Args:
        trainer: one of TRL's.
        work: the trainer's output folder.
    """
    if trainer.is_world_process_zero():
        repair_lines(work / "log.jsonl")
    trainer.add_callback(LogToFile(work / "log.jsonl"))
    trainer.add_callback(MarkCheckpoints())
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    result = trainer.train(resume_from_checkpoint=last_checkpoint(work))
    return {name: float(value) for name, value in result.metrics.items()}


def save_model(trainer: Any, folder: Path, dtype: str) -> None:
    """Writes the trained model, in its own number format, and its tokenizer (main process only), with a fingerprint."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    if trainer.accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        if dtype != "auto":
            model = model.to(getattr(torch, dtype))
        model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        write_json(folder / FINGERPRINT, {"sha256": weights_hash(folder), "dtype": dtype})
    trainer.accelerator.wait_for_everyone()


def weights_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as handle:
            while block := handle.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def trained_model(folder: Path, chat: bool = False) -> ModelRef:
    """The reference to a model that `save_model` kept."""
    known = read_json(folder / FINGERPRINT)
    return ModelRef.local(folder, known["sha256"], known["dtype"], chat)


def world_size() -> int:
    """Number of data-parallel processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def peft_config(lora: dict[str, Any] | None) -> Any:
    """peft's LoraConfig, or None for training all weights."""
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", **lora)
