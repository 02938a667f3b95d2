"""The program of a worker, `python -m selfplay.compute.worker_main`: calls what its owner names, one by one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.process.inside import SWITCH_S
from selfplay.compute.objects import Owner, unpacked
from selfplay.compute.rendezvous import Meeting, join_group, leave_group
from selfplay.compute.system_errors import worker_sentence
from selfplay.config.errors import UserError
from selfplay.config.values.secrets import strike_streams


@dataclass(frozen=True, slots=True)
class JobFault:
    """An error of a function: one sentence, and the error itself where it is for a person as it stands."""

    sentence: str
    error: UserError | None


def import_libraries() -> None:
    """Loads what trains and generates, so that the first job does not wait for it."""
    import torch
    import trl
    from transformers.utils import logging

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    logging.disable_progress_bar()
    # Attribute access loads TRL's lazily imported trainers.
    _ = (trl.SFTTrainer, trl.GRPOTrainer, trl.DPOTrainer)
    # They stay; every training and every engine that ends collects garbage, and would walk them each time.
    gc.freeze()


def run_rank(function: Callable[[Any], Any], job: Any, rank: int, world: int, meeting: Meeting) -> Any:
    """Runs a job as one of the ranks of a data-parallel group, which lasts as long as the job."""
    if world == 1:
        return function(job)
    join_group(meeting, rank, world)
    try:
        return function(job)
    finally:
        leave_group()


def _result(asked: bytes) -> Any:
    """The result of a function; of a fault the owner gets one sentence, the log all of it."""
    try:
        function, arguments = unpacked(asked)
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - handed to the process that asked
        # The log may lie on the disk that is full: the sentence must reach its owner all the same.
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return JobFault(worker_sentence(error), error if isinstance(error, UserError) else None)


def serve() -> None:
    """Answers calls until the owner hangs up, or ends."""
    owner = Owner()
    strike_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_S)
    for asked in owner.told():
        owner.answer(_result(asked))


if __name__ == "__main__":
    # By its own name, since what it answers with is named by its module.
    importlib.import_module("selfplay.compute.worker_main").serve()
