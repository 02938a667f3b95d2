"""How a run joins a cluster, over a stand-in for Ray: what cannot be joined is said at once, in one sentence."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from selfplay.compute.cluster import session
from selfplay.compute.cluster.room import NoRoom
from selfplay.compute.cluster.session import HEAD_GONE_S, LOOK_S, ONE_TRY, RaySession
from selfplay.compute.workers import WorkerError
from selfplay.config.compute import RaySettings

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.59.0
    Python: 3.11.2
This process on node: 10.0.0.2 was started with:
    Ray: 2.60.0
    Python: 3.11.4
"""


class Ray:
    """Notes how it is started; raises what it is told to."""

    exceptions = SimpleNamespace(RayError=RuntimeError)

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.joined: list[Any] = []
        self.tries: list[dict[str, str | None]] = []
        self.killed: list[Any] = []
        self.ended = 0

    def init(self, address: str, **_: Any) -> None:
        self.joined.append(address)
        self.tries.append({name: os.environ.get(name) for name in ONE_TRY})
        if self.fault is not None:
            raise self.fault

    def kill(self, hand: Any) -> None:
        self.killed.append(hand)

    def shutdown(self) -> None:
        self.ended += 1

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=self.joined[-1])

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references, []

    def remote(self, **_: Any) -> Any:
        return lambda actor: actor


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    made = Ray()
    monkeypatch.setattr(session, "is_installed", lambda: True)
    monkeypatch.setattr(session, "_library", lambda: made)
    return made


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_where_nothing_listens_nobody_waits_for_ray(ray: Ray, port: socket.socket) -> None:
    """Ray looked for a cluster for a quarter of an hour, without a word."""
    number = port.getsockname()[1]
    port.close()
    with pytest.raises(NoRoom, match=rf"compute.ray.address: no Ray .* answers at 127.0.0.1:{number} \(.*refused"):
        RaySession(RaySettings(address=f"127.0.0.1:{number}"))
    assert not ray.joined


def test_a_cluster_that_listens_is_joined_and_left(ray: Ray, port: socket.socket) -> None:
    """The end of a run waited half a minute for the answer of an actor that had no node."""
    address = f"127.0.0.1:{port.getsockname()[1]}"
    joined = RaySession(RaySettings(address=address))
    assert (ray.joined, ray.tries, ray.ended) == ([address], [ONE_TRY], 0)
    assert not ONE_TRY.keys() & os.environ.keys()
    joined._hands = ["waits for a node"]
    joined.close()
    assert (ray.killed, ray.ended) == (["waits for a node"], 1)


def test_other_versions_of_ray_are_named(ray: Ray) -> None:
    """The sentence ended before the versions, which Ray puts on lines of their own."""
    ray.fault = RuntimeError(MISMATCH)
    with pytest.raises(NoRoom) as told:
        RaySession(RaySettings(address="auto"))
    assert "started with: Ray: 2.59.0 Python: 3.11.2 This process" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("address", [None, "auto"])
def test_a_start_that_is_interrupted_leaves_no_ray(ray: Ray, address: str | None) -> None:
    ray.fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        RaySession(RaySettings(address=address))
    assert ray.ended == 1


def test_a_head_that_is_gone_ends_the_run_in_one_sentence(
    ray: Ray, port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray ended the whole process after a minute, in words of its own."""
    address = f"127.0.0.1:{port.getsockname()[1]}"
    joined = RaySession(RaySettings(address=address))
    now = time.monotonic()
    monkeypatch.setattr(session.time, "monotonic", lambda: now)
    now += LOOK_S
    assert joined.ready(["there"], 0.0) == ["there"]
    port.close()
    assert joined.ready(["there"], 0.0) == ["there"], "it is not looked at each time"
    now += HEAD_GONE_S
    assert joined.ready(["there"], 0.0) == ["there"], "it may come back"
    now += LOOK_S
    with pytest.raises(WorkerError, match=rf"the head of the Ray cluster at {address} has not answered for 30 s"):
        joined.ready(["there"], 0.0)
