"""How many workers a run has, and where they compute."""

from __future__ import annotations

import os
from pathlib import Path

from selfplay.config import Compute

MOST_CPU_WORKERS = 4
_GPU_FILES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/kfd"))


class NoDevice(RuntimeError):
    """The recipe asks for a device that this machine lacks."""


def gpu_count() -> int:
    """Number of GPUs that torch can use; 0 without loading torch where there is no device file."""
    if not any(file.exists() for file in _GPU_FILES):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def workers_and_device(compute: Compute) -> tuple[int, str]:
    """The number of workers and their device.

    Raises:
        NoDevice: CUDA is asked for and there is none, or more workers than GPUs.
    """
    gpus = 0 if compute.device == "cpu" else gpu_count()
    if compute.device == "cuda" and not gpus:
        raise NoDevice("compute.device is cuda, but torch sees no GPU here; set compute.device=cpu")
    if gpus:
        if compute.workers > gpus:
            raise NoDevice(f"compute.workers is {compute.workers}, but torch sees {gpus} GPUs; a worker needs one each")
        return compute.workers or gpus, "cuda"
    return compute.workers or min(MOST_CPU_WORKERS, os.cpu_count() or 1), "cpu"
