"""A reward service on a real socket, in a thread of the test process, over verifiers made for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from verifiers.model import Task, Verdict, Verifier
from verifiers.registry import FunctionVerifier
from verifiers.service.app import create_service
from verifiers.service.known import Known, Opened
from verifiers.service.settings import Served, ServiceLimits

PATIENCE_S = 30.0
"""How long a test waits for what should happen at once."""


class Gate:
    """A verifier whose calls wait until the gate is opened; remembers the batches it got."""

    name = "gate"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.closed = False
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def verify(self, task: Task, completion: str) -> Verdict:
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        self.batches.append([completion for _, completion in items])
        assert self._open.wait(PATIENCE_S)
        return [Verdict(True, 1.0, "correct") for _ in items]

    def close(self) -> None:
        self.closed = True


def opened(
    verifiers: Mapping[str, Verifier],
    known: Mapping[str, Sequence[Known]] | None = None,
    quick: Mapping[str, Verifier] | None = None,
) -> dict[str, Opened]:
    return {
        name: Opened(Served(name, name), one, (known or {}).get(name, ()), (quick or {}).get(name))
        for name, one in verifiers.items()
    }


def function(judge: Callable[[Task, str], Any], name: str = "own") -> FunctionVerifier:
    return FunctionVerifier(name, judge, {})


@contextmanager
def serving(
    verifiers: Mapping[str, Verifier],
    limits: ServiceLimits | None = None,
    *,
    known: Mapping[str, Sequence[Known]] | None = None,
    quick: Mapping[str, Verifier] | None = None,
    tokens: Sequence[str] = (),
    **settings: float,
) -> Iterator[httpx.Client]:
    """A client of a service that runs until the end of the `with`."""
    app, connections = create_service(opened(verifiers, known, quick), limits, tokens=tokens, **settings)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=connections.protocol, ws="none", lifespan="on", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    until = time.monotonic() + PATIENCE_S
    while not server.started and thread.is_alive() and time.monotonic() < until:
        time.sleep(0.005)
    assert server.started
    host, port = listening.getsockname()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=PATIENCE_S, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def elsewhere(client: httpx.Client, host: str = "127.0.0.2") -> httpx.Client:
    """A client of the same service from another address."""
    return httpx.Client(
        base_url=client.base_url, timeout=PATIENCE_S, transport=httpx.HTTPTransport(local_address=host), trust_env=False
    )


def score(client: httpx.Client, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """The verdicts on items."""
    answer = client.post("/v1/score", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    verdicts: list[dict[str, Any]] = answer.json()["verdicts"]
    return verdicts


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The value of one series; 0 when there is none."""
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0.0


def eventually(true: Callable[[], bool]) -> None:
    """Waits until something is true."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, "it never became true"
        time.sleep(0.005)
