"""Ray as a run uses it: a cluster that is there, or one on this machine alone, which begins and ends with the run.

What a run starts itself listens on the loopback, has no dashboard, and asks whoever calls for a token that only this
process and its children know. All that is sent over Ray comes from processes of the run (docs/explanation/security.md).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from selfplay.compute.cluster.hand import Hand
from selfplay.compute.cluster.room import MEMORY, ClusterNode, Demand, NoRoom
from selfplay.compute.workers import WorkerError
from selfplay.config.compute import RaySettings

NOT_INSTALLED = (
    "compute.executor: is ray, but Ray is not installed; `pip install 'promptcot[ray]'`, or set compute.executor to "
    "local"
)
OF_OUR_OWN = {
    # Ray's own switch for machines whose other addresses nobody should reach.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    # Ray's own default of 15 would let everything else on the machine go before the workers.
    "RAY_worker_niceness": "0",
}
"""Variables under which Ray starts a cluster for one run."""
ONE_TRY = {"RAY_gcs_server_port_wait_time_s": "1"}
"""Variables under which Ray looks once, for about 40 s, for a cluster that is said to be there: not for a quarter of an
hour, where the address is that of one that has ended."""
REACHED_S = 10.0
LOOK_S = 5.0
"""Time between two looks whether the head of a cluster answers."""
HEAD_GONE_S = 30.0
OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory for answers under way, of a cluster of our own."""
NOTICED_S = 60.0
"""Longest time in which a cluster notices that a node is gone (Ray's health checks take about 15 s)."""
LONGEST_REASON = 300
"""Characters of what Ray says, which takes several lines to name two versions."""
_TICK_S = 0.25


def is_installed() -> bool:
    """Whether Ray is here; it is not loaded."""
    from importlib.util import find_spec

    return find_spec("ray") is not None


class RaySession:
    """This process as the driver of a cluster."""

    def __init__(self, settings: RaySettings, cpus: int = 1) -> None:
        """Connects to the cluster that the settings name, or starts one with as many CPUs as said.

        Raises:
            NoRoom: Ray is not installed, or there is no such cluster.
        """
        if not is_installed():
            raise NoRoom(NOT_INSTALLED)
        self.address = settings.address
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as undone:
            undone.callback(self._open.close)
            with _signals_kept():
                self._ray = self._started(cpus) if settings.address is None else self._joined(settings.address)
            undone.pop_all()
        # What is told and what is asked meanwhile have threads of their own.
        self._actor = self._ray.remote(max_restarts=0, concurrency_groups={"told": 1, "asked": 2})(Hand)
        self._hands: list[Any] = []
        self._head = str(self._ray.get_runtime_context().gcs_address)
        self._answered = self._look_at = time.monotonic()

    def _started(self, cpus: int) -> Any:
        self._open.enter_context(_variables(OF_OUR_OWN | {"RAY_AUTH_TOKEN": _token()}))
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
        # Ray opens its own folder to everybody; the one around it is for this user alone.
        own = f"{folder}/ray"
        ray = _library()
        # Also where the start is interrupted, or fails half-way.
        self._open.callback(ray.shutdown)
        try:
            ray.init("local", num_cpus=cpus, object_store_memory=OBJECT_STORE, _temp_dir=own, **_QUIET)
        except (RuntimeError, OSError, ValueError) as error:
            raise NoRoom(
                f"compute.executor: Ray could not start on this machine ({_in_one_line(error)}); see "
                "`ray start --head`, or set compute.executor to local"
            ) from error
        return ray

    def _joined(self, address: str) -> Any:
        ray = _library()
        self._open.callback(ray.shutdown)
        try:
            _reach(address)
            with _variables(ONE_TRY):
                ray.init(address, **_QUIET)
        except (RuntimeError, OSError, ValueError) as error:
            raise NoRoom(
                f"compute.ray.address: no Ray cluster that this process can join answers at {address} "
                f"({_in_one_line(error)}); start one by `ray start --head`, or leave the field out"
            ) from error
        return ray

    def nodes(self) -> list[ClusterNode]:
        """The nodes that live."""
        found = [node for node in self._ray.nodes() if node["Alive"]]
        return [
            ClusterNode(
                node["NodeID"],
                node["NodeManagerAddress"],
                int(node["Resources"].get("CPU", 0)),
                int(node["Resources"].get("GPU", 0)),
            )
            for node in found
        ]

    def is_lost(self, node: str) -> bool:
        """Whether a node is gone; waits as long as a cluster may take to notice that."""
        deadline = time.monotonic() + NOTICED_S
        while any(one.name == node for one in self.nodes()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_TICK_S)
        return True

    def placed(self, demand: Demand) -> Any:
        """A placement group with a bundle for each worker, over as many nodes as there are; it may lack room still.

        Ray places the bundles of a lost node again, as soon as there is room for them.
        """
        from ray.util.placement_group import placement_group

        return placement_group([demand.bundle] * demand.count, strategy=demand.strategy)

    def give_up(self, group: Any) -> None:
        """Has a placement group taken away."""
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(group)

    def hand(self, group: Any, place: int, demand: Demand) -> Any:
        """A new actor in a bundle; it begins once the bundle has a node."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        made = self._actor.options(
            num_cpus=demand.cpus,
            memory=None if demand.cpus else MEMORY,
            num_gpus=demand.gpus,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=place),
        ).remote()
        self._hands.append(made)
        return made

    def ready(self, references: list[Any], seconds: float) -> list[Any]:
        """Those whose answers are here, or will never come, once one is or the time is over.

        Raises:
            WorkerError: the cluster's head is gone.
        """
        self._demand_head()
        if not references:
            time.sleep(seconds)
            return []
        done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        if not done and seconds:
            done, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        return list(done)

    def _demand_head(self) -> None:
        """Looks now and then whether the head answers: Ray would end this process without it, a minute later."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        try:
            _reach(self._head)
            self._answered = now
        except OSError as error:
            if now - self._answered > HEAD_GONE_S:
                raise WorkerError(
                    f"the head of the Ray cluster at {self._head} has not answered for {HEAD_GONE_S:g} s "
                    f"({_in_one_line(error)}); bring it up, and run the same command again"
                ) from error

    def drop(self, hand: Any) -> None:
        """Ends an actor, and its process with it."""
        with contextlib.suppress(ValueError, self._ray.exceptions.RayError):
            self._ray.kill(hand)
        if hand in self._hands:
            self._hands.remove(hand)

    def close(self) -> None:
        """Ends the actors, whose workers have been stopped, and leaves the cluster, or ends one of its own."""
        try:
            # They are asked nothing: one that waits for a node would never answer.
            for hand in list(self._hands):
                self.drop(hand)
        finally:
            self._open.close()


@functools.cache
def _token() -> str:
    """The token of all clusters that this process starts, one after the other: Ray keeps the first that it has read."""
    return secrets.token_hex(32)


def _reach(address: str) -> None:
    """Raises OSError where nothing listens at an address; those that are not `host:port` are left to Ray."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), REACHED_S).close()


_QUIET: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}


def _library() -> Any:
    import ray

    if ray.is_initialized():
        raise NoRoom(
            "compute.executor: is ray, but this process has a Ray session of its own already; end it by ray.shutdown()"
        )
    # Else it prints the last words of a lost node, some forty lines, among what the run says of it.
    ray._private.worker._worker_logs_enabled = False
    return ray


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Leaves SIGTERM to whoever had it: Ray takes it for itself, when it is imported and when it connects."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _variables(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
