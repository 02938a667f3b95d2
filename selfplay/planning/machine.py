"""The machine that a plan is for: the GPUs that somebody names, or those of this one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from selfplay.config.errors import UserError
from selfplay.planning.rates import CARDS, CPU, Card
from verifiers.untrusted.files import read_text

GIB = 2**30
CONTEXT = int(1.5 * GIB)
"""Bytes of a GPU for a driver's context, its kernels and the libraries' work spaces."""
USABLE = 0.97
"""Share of the rest that tensors can fill: the allocator leaves gaps."""
MOST_GPUS = 4096
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class UnknownMachine(UserError):
    """A machine that nobody can plan for; the message shows how one is named."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The devices that models run on, all alike; without GPUs, the processes that share the host's memory."""

    card: Card
    devices: int
    device_bytes: int
    """Memory of one device."""
    host_bytes: int | None = None
    """Memory of the host; None where it is not known."""
    disk_bytes: int | None = None
    """Free space where the run will lie; None where it is not known."""
    nodes: int = 1
    """Machines among which the devices are shared evenly."""

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cpu" if self.card is CPU else "cuda"

    @property
    def usable(self) -> int:
        """Bytes of one device that a model and its work may take."""
        return self.device_bytes if self.device == "cpu" else int((self.device_bytes - CONTEXT) * USABLE)

    def __str__(self) -> str:
        if self.device == "cpu":
            processes = "1 process" if self.devices == 1 else f"{self.devices} processes"
            return f"{processes} on a CPU with {(self.host_bytes or 0) / GIB:.0f} GiB"
        over = f" on {self.nodes} nodes" if self.nodes > 1 else ""
        return f"{self.devices} x {self.device_bytes / GIB:.0f} GiB ({self.card.name}){over}"


def named(text: str) -> Machine:
    """The machine that `8x80`, `1x24` or `8xH100` means: GPUs, and the GiB of each or its name.

    Raises:
        UnknownMachine: it means none.
    """
    count, by, what = text.rpartition("x")
    wanted = [card for card in CARDS if card.name.lower() == what.lower() or card.gib == _number(what)]
    number = _number(count) if by else 1
    if not number or not 1 <= number <= MOST_GPUS or not wanted:
        known = ", ".join(f"{card.name} ({card.gib})" for card in CARDS)
        raise UnknownMachine(f"--gpus {text[:40]}: is no number of GPUs and their GiB, such as 8x80; known are {known}")
    # Of several cards with so much memory the slowest, so that the hours are no promise.
    card = min(wanted, key=lambda one: one.flops)
    return Machine(card, number, card.gib * GIB)


def of_nodes(text: str) -> Machine:
    """The machines that `2x8x80` means: nodes, GPUs of each, and their GiB.

    Raises:
        UnknownMachine: it means none.
    """
    nodes, _, gpus = text.partition("x")
    count = _number(nodes)
    if "x" not in gpus or not count:
        raise UnknownMachine(f"--nodes {text[:40]}: is no number of nodes, GPUs and GiB, such as 2x8x80")
    one = named(gpus)
    if one.devices * count > MOST_GPUS:
        raise UnknownMachine(f"--nodes {text[:40]}: is more than {MOST_GPUS} GPUs")
    return replace(one, devices=one.devices * count, nodes=count)


def here(device: str, workers: int, gpus_each: int, folder: Path) -> Machine:
    """This machine, as a run with so many workers would use it.

    Args:
        device: `cpu` or `cuda`.
        workers: processes that hold models.
    """
    host, disk = host_bytes(), shutil.disk_usage(existing(folder)).free
    if device == "cpu":
        return Machine(CPU, workers, host // workers, host, disk)
    import torch

    properties = torch.cuda.get_device_properties(0)
    total = int(properties.total_memory)
    return Machine(card_of(properties.name, total), workers * gpus_each, total, host, disk)


def card_of(name: str, device_bytes: int) -> Card:
    """The card that a driver calls so, such as `NVIDIA A100-SXM4-40GB`; of an unknown name the nearest in memory."""
    words = frozenset(name.lower().replace("-", " ").split())
    alike = [card for card in CARDS if words.issuperset(card.name.lower().partition("-")[0].split())]
    return min(alike or CARDS, key=lambda card: abs(card.gib * GIB - device_bytes))


def host_bytes() -> int:
    """The memory of this host, or of the container that this process is in."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not _CGROUP_LIMIT.is_file():
        return whole
    limit = read_text(_CGROUP_LIMIT, UnknownMachine).strip()
    return min(whole, int(limit)) if limit.isdecimal() else whole


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    folder = folder.absolute()
    # Not Path's, which raises for a folder within one that is somebody else's alone.
    return next((one for one in (folder, *folder.parents) if os.path.isdir(one)), Path("/"))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 8 else None
