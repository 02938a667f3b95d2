"""How many workers the nodes of a cluster have room for, and the sentences where they have too little; knows no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfplay.config.compute import ComputeSettings
from selfplay.config.errors import UserError

MEMORY = 2**20
"""Bytes that Ray sets aside for what takes no CPU."""


class NoRoom(UserError):
    """A cluster that is not there, or has too little for the workers that a recipe asks for."""


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """The resources of one node that lives."""

    name: str
    """Ray's name of it."""
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The workers of a run, and what each takes of a node."""

    count: int
    device: str
    cpus: int
    """0: a little memory alone, since workers may have taken all CPUs."""
    gpus: int
    strategy: str = "SPREAD"
    """How Ray places them."""

    @property
    def bundle(self) -> dict[str, float]:
        """The same as Ray has it."""
        if not self.cpus:
            return {"memory": float(MEMORY)}
        return {"CPU": float(self.cpus)} | ({"GPU": float(self.gpus)} if self.gpus else {})

    def room_of(self, node: ClusterNode) -> int:
        """Workers that a node has room for."""
        by_cpus = node.cpus // self.cpus
        return min(by_cpus, node.gpus // self.gpus) if self.gpus else by_cpus


def demand_of(compute: ComputeSettings, gpus_each: int, nodes: Sequence[ClusterNode]) -> Demand:
    """The workers that a recipe asks for, or, where it leaves that open, one for each GPU, or one a node on CPUs.

    Args:
        gpus_each: GPUs that an engine spreads over.
        nodes: those that live.

    Raises:
        NoRoom: names the field.
    """
    where = "the Ray cluster" if compute.ray.address else "this machine"
    gpus = 0 if compute.device == "cpu" else sum(node.gpus for node in nodes)
    if compute.device == "cuda" and not gpus:
        raise NoRoom(f"compute.device is cuda, but no node of {where} has a GPU; set compute.device=cpu")
    wanted = Demand(0, "cuda", 1, gpus_each) if gpus else Demand(0, "cpu", compute.threads, 0)
    room = sum(map(wanted.room_of, nodes))
    count = compute.workers or (room if gpus else max(sum(wanted.room_of(node) > 0 for node in nodes), 1))
    if count > room or not room:
        of, number = ("GPU", gpus_each) if gpus else ("CPU", compute.threads)
        each = f"{number} {of}{'s' * (number > 1)}{' and a CPU' * bool(gpus)}"
        there = ", ".join(f"{node.gpus} GPUs and {node.cpus} CPUs" if gpus else f"{node.cpus} CPUs" for node in nodes)
        raise NoRoom(
            f"compute.workers is {compute.workers or count}, but {where} has room for {room}: a worker takes {each} of "
            f"one node, and its nodes have {there or 'nothing'}; lower compute.workers, or add nodes"
        )
    return Demand(count, wanted.device, wanted.cpus, wanted.gpus)
