"""An engine without a model for the tests of the supervisor: what it does, and where it breaks, stands in its job."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.process.inside import HEADER
from selfplay.engines.jobs import GenerateJob, Row
from selfplay.run.seeding import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyJob(GenerateJob):
    """What to do, and what goes wrong with it."""

    folder: Path
    """Where is written what was done."""
    faults: Mapping[str, str]
    """What happens before a place is made, or at the opening."""
    always: bool = False
    """Whether it happens every time, or once."""


def completions(job: ToyJob) -> Iterator[tuple[int, Row] | None]:
    """Numbers drawn by seed and place."""
    with Path(job.folder, "children").open("a") as file:
        file.write(f"{os.getpid()}\n")
    fault_at("opening", job)
    yield None
    for place in job.wanted or ():
        yield None
        fault_at(str(place), job)
        with Path(job.folder, "made").open("a") as file:
            file.write(f"{place}\n")
        yield place, answer(job, place)


def answer(job: ToyJob, place: int) -> Row:
    """The row of a place."""
    return {"text": f"{job.prompts[place]} {derive(job.seed, place)}", "sums": [derive(job.seed, place) / 7]}


def fault_at(where: str, job: ToyJob) -> None:
    """Breaks down here, once or always."""
    fault = job.faults.get(where)
    met = job.folder / f"met-{where}"
    if fault is None or (met.exists() and not job.always):
        return
    met.touch()
    if fault == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "stops":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "stops within a message":
        # The length of a message of 4 kB, and the first three bytes of it.
        os.write(to_the_owner(), HEADER.pack(4096) + b"abc")
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "leaves":
        os._exit(3)
    elif fault == "waits":
        time.sleep(600)
    elif fault == "is refused":
        raise ValueError("this prompt is too long")
    else:
        raise RuntimeError("the device fell off")


def to_the_owner() -> int:
    """The descriptor on which this process answers, which is out of the way of all others."""
    opened = [int(name) for name in os.listdir("/proc/self/fd") if int(name) >= 100]
    writable = [number for number in opened if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY]
    [found] = writable
    return found


def lines(folder: Path, name: str) -> list[int]:
    """What a file of the folder lists."""
    file = folder / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []
