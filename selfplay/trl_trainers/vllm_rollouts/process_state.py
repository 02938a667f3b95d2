"""State of this process that TRL and vLLM change while they open an engine, put back to where it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import distributed

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def in_place(module: Any, name: str, value: Any) -> Iterator[None]:
    """Has another value stand under a module's name."""
    missing = object()
    before = getattr(module, name, missing)
    setattr(module, name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(module, name)
        else:
            setattr(module, name, before)


@contextmanager
def own_group() -> Iterator[None]:
    """Takes away afterwards the group of ranks that vLLM begins where there is none, and TRL's variables for it."""
    environment, grouped = dict(os.environ), distributed.is_initialized()
    try:
        yield
    finally:
        for name in VARIABLES:
            os.environ.pop(name, None)
            if name in environment:
                os.environ[name] = environment[name]
        if not grouped and distributed.is_initialized():
            distributed.destroy_process_group()


@contextmanager
def undisturbed_dice() -> Iterator[None]:
    """Puts all generators of random numbers back, which a library seeds while it opens something."""
    python, arrays, host = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(host)
        for place, state in enumerate(devices):
            torch.cuda.set_rng_state(state, place)
