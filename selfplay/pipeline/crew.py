"""The workers of a run, as the recipe says: processes of this machine, or on the nodes of a Ray cluster."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfplay.compute.cluster.nodes import PROOFS
from selfplay.compute.cluster.ray_workers import RayWorkers
from selfplay.compute.cluster.room import Demand, NoRoom, demand_of
from selfplay.compute.cluster.session import NOT_INSTALLED, RaySession, is_installed
from selfplay.compute.workers import Workers
from selfplay.config.compute import ComputeSettings
from selfplay.config.errors import UserError
from selfplay.preflight.recipe import Finding
from selfplay.rollouts.judge import Judge, JudgeSettings
from selfplay.rollouts.node_judge import NodeJudge
from selfplay.run.files import remove_folder

MOST_CPU_WORKERS = 4
JOINING_S = 60.0
"""How long a run waits for nodes of a cluster that has too few at first."""
_GPU_FILES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/kfd"))


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers a run has, where they compute, and the cluster that they are on, if they are on one."""

    compute: ComputeSettings
    demand: Demand
    session: RaySession | None = None

    @property
    def count(self) -> int:
        """The number of workers."""
        return self.demand.count

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self.demand.device

    @property
    def most_of_a_node(self) -> int:
        """About how many workers a node has, where they are spread evenly."""
        nodes = [] if self.session is None else self.session.nodes()
        return math.ceil(self.count / max(sum(self.demand.room_of(node) > 0 for node in nodes), 1))

    @contextlib.contextmanager
    def workers(self, run: Path) -> Iterator[Workers]:
        """The workers of a run directory, which end with the block."""
        if self.session is None:
            demand, log = self.demand, run / "workers.log"
            workers = Workers(demand.count, self.compute.threads, demand.device, log, demand.gpus or 1)
        else:
            workers = RayWorkers(self.session, self.demand, self.compute.threads, run, self.compute.ray)
            # Until there is something that shows progress: they may wait for room before.
            workers.note = _complain
        try:
            yield workers
        finally:
            workers.stop()
            if self.session is not None:
                remove_folder(run / PROOFS)

    @contextlib.contextmanager
    def judge(self, settings: JudgeSettings, run: Path) -> Iterator[Judge]:
        """The verifiers of a run directory; on a cluster that is there already they work on all of its nodes."""
        session = self.session
        if session is None or session.address is None or _judges_on(session).count < 2:
            with contextlib.closing(Judge(settings, run / "store")) as judge:
                yield judge
            return
        sized = functools.partial(_judges_on, session)
        workers = RayWorkers(session, sized(), 1, run, self.compute.ray, "judges", sized)
        # They take their places while the run does what comes before its first verdict.
        workers.prepare()
        try:
            with contextlib.closing(NodeJudge(settings, run / "store", workers)) as judge:
                yield judge
        finally:
            workers.stop()


def _judges_on(session: RaySession) -> Demand:
    """One on each node that lives. A head that is given no CPU is to have no work."""
    return Demand(max(sum(node.cpus > 0 for node in session.nodes()), 1), "cpu", 0, 0, "STRICT_SPREAD")


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def crew_of(compute: ComputeSettings, gpus_each: int = 1) -> Iterator[Crew]:
    """The crew that a recipe asks for, where each worker needs so many GPUs; a cluster is left or ended with the block.

    Raises:
        NoDevice, NoRoom: it cannot be had; the message names the field.
    """
    if compute.executor == "local" or compute.ray.address is None:
        count, device = workers_and_device(compute, gpus_each)
        demand = Demand(count, device, compute.threads if device == "cpu" else 1, gpus_each * (device == "cuda"))
        if compute.executor == "local":
            yield Crew(compute, demand)
            return
        with contextlib.closing(RaySession(compute.ray, max(os.cpu_count() or 1, count * compute.threads))) as session:
            yield Crew(compute, demand, session)
        return
    with contextlib.closing(RaySession(compute.ray)) as session:
        yield Crew(compute, _demand_when_there(session, compute, gpus_each), session)


def _demand_when_there(session: RaySession, compute: ComputeSettings, gpus_each: int) -> Demand:
    """The workers that a cluster has room for, once its nodes are there: those of a batch job come one after another.

    Raises:
        NoRoom: it still has too little after a while.
    """
    deadline, told = time.monotonic() + JOINING_S, False
    while True:
        try:
            return demand_of(compute, gpus_each, session.nodes())
        except NoRoom as error:
            if time.monotonic() > deadline:
                raise
            if not told:
                _complain(f"waiting {JOINING_S:g} s for nodes that may still join: {error}")
            told = True
        time.sleep(1.0)


def check_cluster(compute: ComputeSettings, gpus_each: int = 1) -> list[Finding]:
    """Looks whether a recipe's workers can be had on a cluster, as it is now; for `selfplay check`.

    Raises:
        NoRoom: Ray is not installed, there is no such cluster, or it has too little room; the message names the field.
    """
    if compute.executor == "local":
        return []
    if not is_installed():
        raise NoRoom(NOT_INSTALLED)
    if compute.ray.address is None:
        return [Finding("compute.executor", "Ray is here, and the run starts a cluster of its own on this machine")]
    with contextlib.closing(RaySession(compute.ray)) as session:
        nodes = session.nodes()
        demand = demand_of(compute, gpus_each, nodes)
    return [Finding("compute.ray", f"{demand.count} workers ({demand.device}) on a cluster of {len(nodes)} nodes")]


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
