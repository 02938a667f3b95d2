"""How many workers a run has, and where they compute."""

from __future__ import annotations

import os
from pathlib import Path

from selfplay.config.errors import UserError
from selfplay.config.recipe import ComputeSettings

MOST_CPU_WORKERS = 4
_GPU_FILES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/kfd"))


class NoDevice(UserError):
    """The recipe asks for a device that this machine lacks."""


def gpu_count() -> int:
    """Number of GPUs that torch can use; 0 without loading torch where there is no device file."""
    if not any(file.exists() for file in _GPU_FILES):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def workers_and_device(compute: ComputeSettings, gpus_each: int = 1) -> tuple[int, str]:
    """The number of workers and their device, where each worker needs so many GPUs.

    Raises:
        NoDevice: CUDA is asked for and there is none, or there are too few GPUs for the workers.
    """
    gpus = 0 if compute.device == "cpu" else gpu_count()
    if compute.device == "cuda" and not gpus:
        raise NoDevice("compute.device is cuda, but torch sees no GPU here; set compute.device=cpu")
    if gpus:
        if max(compute.workers, 1) * gpus_each > gpus:
            each = "one" if gpus_each == 1 else f"{gpus_each} (see engine.args)"
            raise NoDevice(
                f"compute.workers is {compute.workers or 1}, but torch sees {gpus} GPUs; a worker needs {each}"
            )
        return compute.workers or gpus // gpus_each, "cuda"
    return compute.workers or min(MOST_CPU_WORKERS, os.cpu_count() or 1), "cpu"
