"""Where the processes of one group find each other: nowhere that another machine, or another user, could reach.

Processes of a run on one machine meet for a training in a file of the workers' private folder, so that nothing listens
at all but what Gloo or NCCL open on the loopback for their data. Those of a run over several machines meet at a port of
the first rank's node, which listens at the address alone by which the cluster knows that node. A library that brings
its own meeting place, as vLLM does for its ranks, has it on the loopback: torch's server would listen on every
interface, whatever address it is given, and it asks nobody who they are.
"""

from __future__ import annotations

import datetime
import importlib
import os
import socket
import sys
from dataclasses import dataclass
from typing import Any

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "VLLM_HOST_IP": "127.0.0.1"}
"""The environment of every worker, whatever the driver's says."""
_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
_LEFT_BEHIND = ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP")
"""By these accelerate would shard the next training of the process as it did the last."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where and for how long the ranks of one group wait for each other."""

    file: str
    """In a folder that is private to the user; no group has met there before. Empty where there is a port."""
    timeout_s: float
    """Longest wait of one rank for the others."""
    host: str = ""
    """The address of the first rank's node; empty for a group on one machine."""
    port: int = 0
    """Where the first rank listens there; see `open_port`."""


_opened: dict[int, socket.socket] = {}
"""Listening sockets of this process by port, until a group meets there."""


def open_port(host: str) -> int:
    """Listens at an address of this machine for the group that is to meet here, and returns the port."""
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    port = int(listener.getsockname()[1])
    _opened[port] = listener
    return port


def join_group(meeting: Meeting, rank: int, world: int) -> None:
    """Makes this process a rank of a group; accelerate takes the group that it finds."""
    import torch.distributed as dist

    cuda = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))
    values = (rank, 0 if cuda else rank, world, world)
    os.environ.update(dict(zip(_VARIABLES, map(str, values), strict=True)))
    timeout = datetime.timedelta(seconds=meeting.timeout_s)
    store = _store_at(meeting, rank, world, timeout) if meeting.host else dist.FileStore(meeting.file, world)
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world, timeout=timeout)


def _store_at(meeting: Meeting, rank: int, world: int, timeout: datetime.timedelta) -> Any:
    """Torch's store at the first rank's port."""
    from torch.distributed import TCPStore

    if rank:
        return TCPStore(meeting.host, meeting.port, world, is_master=False, timeout=timeout)
    # The store takes the descriptor over, and closes it; of itself it would listen at every address.
    descriptor = _opened.pop(meeting.port).detach()
    given: dict[str, Any] = {"master_listen_fd": descriptor, "use_libuv": False, "wait_for_workers": False}
    return TCPStore(meeting.host, meeting.port, world, is_master=True, timeout=timeout, **given)


def leave_group() -> None:
    """Ends what `join_group` began, and what accelerate made of it."""
    import torch.distributed
    from accelerate.state import AcceleratorState, GradientState

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    if "deepspeed" in sys.modules:
        _forget_deepspeed()
    for name in (*_VARIABLES, "MASTER_PORT", *_LEFT_BEHIND):
        os.environ.pop(name, None)


def _forget_deepspeed() -> None:
    """Has DeepSpeed make its groups anew for the next training, and others do without it."""
    from deepspeed.comm import comm
    from deepspeed.utils import groups
    from torch.distributed import ProcessGroup
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    comm.cdb = None
    for name, value in vars(groups).copy().items():
        if isinstance(value, ProcessGroup):
            setattr(groups, name, None)
        elif name.endswith(("_GROUP", "_RANKS")) and isinstance(value, dict):
            value.clear()
    unset_hf_deepspeed_config()


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
