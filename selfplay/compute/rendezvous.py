"""Where the processes of one group find each other: nowhere that another machine, or another user, could reach.

All processes of a run are on one machine. Those of a training meet in a file of the workers' private folder, so that
nothing listens at all but what Gloo or NCCL open on the loopback for their data. A library that brings its own meeting
place, as vLLM does for its ranks, has it on the loopback: torch's server would listen on every interface, whatever
address it is given, and it asks nobody who they are.
"""

from __future__ import annotations

import datetime
import importlib
import os
import socket
from dataclasses import dataclass
from typing import Any

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "VLLM_HOST_IP": "127.0.0.1"}
"""The environment of every worker, whatever the driver's says."""
_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where and for how long the ranks of one group wait for each other."""

    file: str
    """In a folder that is private to the user; no group has met there before."""
    timeout_s: float
    """Longest wait of one rank for the others."""


def join_group(meeting: Meeting, rank: int, world: int) -> None:
    """Makes this process a rank of a group; accelerate takes the group that it finds."""
    import torch.distributed as dist

    cuda = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    values = (rank, 0 if cuda else rank, world, world)
    os.environ.update(dict(zip(_VARIABLES, map(str, values), strict=True)))
    timeout = datetime.timedelta(seconds=meeting.timeout_s)
    store = dist.FileStore(meeting.file, world)
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world, timeout=timeout)


def leave_group() -> None:
    """Ends what `join_group` began, and what accelerate made of it."""
    import torch.distributed
    from accelerate.state import AcceleratorState, GradientState

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    for name in (*_VARIABLES, "MASTER_PORT"):
        os.environ.pop(name, None)


def keep_stores_on_the_loopback() -> None:
    """Has torch's own server listen at the address that it is given, in this process, from now on."""
    from torch.distributed import TCPStore

    def bound_store(host_name: str, port: int, *args: Any, is_master: bool = False, **kwargs: Any) -> Any:
        if not is_master:
            return TCPStore(host_name, port, *args, is_master=False, **kwargs)
        listener = socket.create_server((host_name, port))
        # The store takes the descriptor over, and closes it. Its newer server cannot be given any.
        own = kwargs | {"master_listen_fd": listener.detach(), "use_libuv": False}
        return TCPStore(host_name, port, *args, is_master=True, **own)

    # By its name: `torch.distributed` has a function that is called so, too.
    setattr(importlib.import_module("torch.distributed.rendezvous"), "TCPStore", bound_store)  # noqa: B010
