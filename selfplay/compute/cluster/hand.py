"""A worker's place on a node: an actor of Ray that holds the worker's process, and passes on what is told and answered.

The process is the one that a worker is on a single machine (`compute.worker_main`), without Ray in it, with the same
environment and the same ends. The actor sees bytes alone, which both ends have packed; it unpacks nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.process.child import ChildGone
from selfplay.compute.cluster.nodes import NodeFacts, answer, versions
from selfplay.compute.objects import ObjectChild
from selfplay.compute.workers import DEFAULTS, GROUP_GPUS, own_environment
from selfplay.run.store import HOST

ENDED = -9
"""The exit code of a worker that its owner has ended."""
_LISTEN_S = 0.2
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Beginning:
    """All that a worker's process needs to begin."""

    environment: Mapping[str, str]
    """Variables of the driver, for those that the node does not set."""
    import_path: Sequence[str]
    """Of the driver, whose plug-ins lie there."""
    threads: int
    device: str
    log: str
    """Where its libraries print; in the run's folder."""
    run: str
    """The folder that the driver and the nodes share."""
    token: str
    """By which they show that."""


class Hand:
    """One worker's process on this node. `tell` is for one thread at a time; the others may be called meanwhile."""

    def __init__(self, place: Callable[[], tuple[str, str]] | None = None) -> None:
        """Takes what gives Ray's name of this node, and its address; None asks Ray."""
        self._node, self._address = (place or _place)()
        self._child: ObjectChild | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._hands = threading.Lock()
        self._ending = threading.Event()

    def look(self, beginning: Beginning) -> NodeFacts:
        """Shows that this node shares the run's folder, and says what it is."""
        fault = answer(Path(beginning.run), beginning.token, self._node)
        return NodeFacts(self._node, self._address, socket.gethostname(), versions(), fault)

    def begin(self, beginning: Beginning) -> None:
        """Starts the process."""
        self._ending.clear()
        sys.path.extend(path for path in beginning.import_path if path not in sys.path)
        self._folder = tempfile.TemporaryDirectory(prefix="selfplay-workers-")
        environment = environment_of(beginning, os.environ, self._folder.name, interface_of(self._address))
        with open(beginning.log, "ab") as log:
            self._child = ObjectChild("selfplay.compute.worker_main", environment=environment, stderr=log)

    def tell(self, frame: bytes) -> bytes | int:
        """Passes a call on; what the process answers, or its exit code where it is gone."""
        child = self._child
        try:
            with self._hands:
                if child is None or self._child is not child:
                    return ENDED
                child.write_frame(frame)
            # Who ends the process must not wait for its answer.
            while not self._ending.is_set():
                with self._hands:
                    if self._child is not child:
                        break
                    with contextlib.suppress(TimeoutError):
                        return child.frame(time.monotonic() + _LISTEN_S)
        except ChildGone:
            with self._hands:
                return child.end(_END_S) if child is not None else ENDED
        return ENDED

    def end(self) -> None:
        """Ends the process at once, and what it has started."""
        self._ending.set()
        with self._hands:
            if self._child is not None:
                self._child.kill()
                self._child.close()
            self._child = None
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def ping(self) -> None:
        """Answers while the node lives."""


def environment_of(beginning: Beginning, here: Mapping[str, str], folder: str, interface: str | None) -> dict[str, str]:
    """The environment of a worker's process on a node.

    Args:
        beginning: what its owner says.
        here: the environment of the actor; Ray's own variables are for the actor alone.
        folder: for temporary files.
        interface: by which ranks on other nodes are reached; None leaves it to Gloo and NCCL.
    """
    kept = {name: value for name, value in here.items() if not name.startswith("RAY_")}
    own = own_environment(folder, beginning.threads, Path(beginning.run)) | {HOST: socket.gethostname()}
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        del own[name]
        if interface is not None:
            own[name] = interface
    gpus = here.get("CUDA_VISIBLE_DEVICES", "") if beginning.device == "cuda" else ""
    own |= {"CUDA_VISIBLE_DEVICES": gpus.partition(",")[0]} | ({GROUP_GPUS: gpus} if gpus else {})
    return DEFAULTS | dict(beginning.environment) | kept | own


def interface_of(address: str) -> str | None:
    """The network interface of this machine that has an address."""
    import psutil

    for name, found in psutil.net_if_addrs().items():
        if any(one.address.partition("%")[0] == address for one in found):
            return str(name)
    return None


def _place() -> tuple[str, str]:
    import ray

    return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address()
