"""Messages of trainings while they run: a log that the driver follows, and which checkpoints are whole."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from selfplay.run.files import RunError, read_json, sync_folder, write_json

CHECKPOINT_COMPLETE = "complete"


class LogToFile(TrainerCallback):
    """Appends the trainer's logs to a JSON lines file, which the driver follows while the training runs."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Writes one line for each log of the main process, with the memory that it has taken."""
        if state.is_world_process_zero and logs:
            append_line(self.file, state, {**logs, **memory_peaks()})


def memory_peaks() -> dict[str, float]:
    """GiB that this process has held at most so far: of the host's memory, and of its GPU where it uses one."""
    peaks = {"memory/host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_initialized():
        peaks["memory/gpu"] = torch.cuda.max_memory_reserved() / 2**30
    return peaks


def append_line(file: Path, state: Any, logs: Mapping[str, Any]) -> None:
    """Appends a line of metrics at a trainer's present step; what is no number is left out."""
    numbers = {name: float(value) for name, value in logs.items() if _is_number(value)}
    line = {"step": state.global_step, "of": state.max_steps, "metrics": numbers}
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(line) + "\n")


class MarkCheckpoints(TrainerCallback):
    """Marks a checkpoint once all of it is on disk, with the sizes of its files: a torn one is never resumed from."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Runs after the trainer wrote a checkpoint, on every process."""
        from torch import distributed

        if distributed.is_initialized():
            # Every rank writes a part of the checkpoint.
            distributed.barrier()
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.exists():
            sync_folder(folder)
            write_json(folder / CHECKPOINT_COMPLETE, {"bytes": _sizes(folder)})


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end, and its files still have the sizes that they had then."""
    mark = checkpoint / CHECKPOINT_COMPLETE
    try:
        # Checkpoints of older code have marks without sizes.
        sizes = read_json(mark)["bytes"] if mark.stat().st_size else {}
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (RunError, OSError, KeyError, AttributeError):
        return False


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
