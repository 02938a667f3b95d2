"""Connections that are held open, half-sent, never read or far too many lock nobody out."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from verifiers.rules.text import ExactVerifier
from verifiers.service.connections import client_of
from verifiers.service.settings import ServiceLimits

sys.path.insert(0, str(Path(__file__).parent))
from live_service import PATIENCE_S, Gate, elsewhere, eventually, metric, score, serving

ITEM = {"answer": "a", "completion": "a"}
HEAD = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CUT = "selfplay_reward_connections_cut_total"


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=PATIENCE_S)


@contextlib.contextmanager
def crowd(client: httpx.Client, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that say this and no more."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connected(client)) for _ in range(count)]
        for one in connections:
            with contextlib.suppress(OSError):
                one.sendall(said)
        yield connections


def heard(connection: socket.socket) -> bytes:
    """All that the service says before it hangs up."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            said += more
    return said


@pytest.mark.parametrize("said", [b"", b"P", HEAD, HEAD + b"X: y\r\n" * 10, b"GET /health HTTP/1.1\r\nHost: localho"])
def test_headers_have_a_deadline(said: bytes) -> None:
    with serving({"exact": ExactVerifier()}, ServiceLimits(headers_s=0.2)) as client:
        with connected(client) as connection:
            connection.sendall(said)
            assert heard(connection)[:12] in ({b"HTTP/1.1 408"} if said else {b""})
        assert metric(client, CUT, reason="headers") == 1.0


def test_a_header_now_and_then_does_not_extend_the_deadline() -> None:
    with serving({"exact": ExactVerifier()}, ServiceLimits(headers_s=0.3)) as client:
        with connected(client) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(HEAD)
            connection.settimeout(0.02)
            while True:
                connection.sendall(b"X: y\r\n")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(4096):
                        break
        assert metric(client, CUT, reason="headers") == 1.0


def test_the_headers_of_a_second_request_have_one_too() -> None:
    with serving({"exact": ExactVerifier()}, ServiceLimits(headers_s=0.2)) as client:
        with connected(client) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.sendall(b"GET /hea")
            heard(connection)
        assert metric(client, CUT, reason="headers") == 1.0


def test_a_body_that_nobody_wants_has_a_deadline() -> None:
    """It was refused by its length, and goes on coming, a little at a time."""
    with serving({"exact": ExactVerifier()}, ServiceLimits(headers_s=0.3)) as client:
        with connected(client) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 413")
            connection.settimeout(0.02)
            while True:
                connection.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(4096):
                        break
        eventually(lambda: metric(client, "selfplay_reward_connections") == 1.0)


def test_an_answer_that_is_never_fetched_is_not_kept() -> None:
    items = [{"answer": "a" * 300, "id": "i" * 2000, "completion": "a"}] * 5000
    body = json.dumps({"items": items}).encode()
    with serving({"exact": ExactVerifier()}, ServiceLimits(answer_s=0.3)) as client:
        with connected(client) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            eventually(lambda: metric(client, CUT, reason="answer") == 1.0)
        assert metric(client, "selfplay_reward_queue_bytes") == 0.0


@pytest.mark.parametrize(
    "said",
    [b"", HEAD, HEAD + b"Content-Length: 100\r\n\r\n{", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ids=["nothing", "headers", "bodies", "idle"],
)
def test_whoever_holds_connections_open_locks_nobody_out(said: bytes) -> None:
    limits = ServiceLimits(client_connections=20, headers_s=600, body_s=600, idle_s=600)
    with serving({"exact": ExactVerifier()}, limits) as client, crowd(client, 100, said):
        for _ in range(3):
            # From the same address, and from another.
            with httpx.Client(base_url=client.base_url, timeout=PATIENCE_S, trust_env=False) as honest:
                assert score(honest, ITEM)[0]["passed"] is True
            with elsewhere(client) as honest:
                assert score(honest, ITEM)[0]["passed"] is True
                assert metric(honest, "selfplay_reward_connections") <= 21.0
                assert metric(honest, CUT, reason="evicted") >= 80.0


def test_all_connections_together_are_bounded() -> None:
    limits = ServiceLimits(connections=30, client_connections=25, headers_s=600)
    with serving({"exact": ExactVerifier()}, limits) as client, crowd(client, 25, HEAD):
        for number in range(2, 30):
            with elsewhere(client, f"127.0.0.{number}") as honest:
                assert score(honest, ITEM)[0]["passed"] is True
                assert metric(honest, "selfplay_reward_connections") <= 30.0


def test_what_is_being_judged_is_not_cut_off() -> None:
    gate = Gate()
    with serving({"gate": gate}, ServiceLimits(client_connections=3)) as client, ThreadPoolExecutor(3) as senders:
        body = json.dumps({"items": [{"completion": "x"}]})

        def send() -> int:
            with httpx.Client(base_url=client.base_url, timeout=PATIENCE_S, trust_env=False) as one:
                return one.post("/v1/score", content=body, headers={"Content-Type": "application/json"}).status_code

        with elsewhere(client) as other:
            held = [senders.submit(send) for _ in range(3)]
            eventually(lambda: metric(other, "selfplay_reward_connections") == 4.0)
            waits = ("selfplay_reward_running_items", "selfplay_reward_queue_items")
            eventually(lambda: sum(metric(other, name, verifier="gate") for name in waits) == 3.0)
            with connected(client) as connection:
                assert heard(connection).startswith(b"HTTP/1.1 503")
            assert metric(other, CUT, reason="refused") == 1.0
            gate.open()
            assert [one.result() for one in held] == [200] * 3


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("begins", [len(CHUNKED), len(CHUNKED) - 4, 0], ids=["headers", "parts of them", "at once"])
def test_a_body_in_pieces_of_a_byte_is_refused_before_they_are_counted_out(begins: int) -> None:
    body = json.dumps({"items": [ITEM | {"completion": "a" * 60_000}]}).encode()
    with serving({"exact": ExactVerifier()}) as client:
        with connected(client) as connection:
            connection.sendall(CHUNKED[:begins])
            if begins:
                eventually(lambda: metric(client, "selfplay_reward_connections") == 2.0)
            with contextlib.suppress(ConnectionError):
                connection.sendall(CHUNKED[begins:] + in_chunks(body, 1))
            assert heard(connection)[:12] == b"HTTP/1.1 413"
        assert metric(client, CUT, reason="chunks") == 1.0
        for size in (64, 20_000):
            with connected(client) as connection:
                connection.sendall(CHUNKED + in_chunks(body, size))
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        few = json.dumps({"items": [ITEM]}).encode()
        with connected(client) as connection:
            for _ in range(2):
                connection.sendall(CHUNKED + in_chunks(few, 1))
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("10.0.0.7", 1), "10.0.0.7"),
        (("::ffff:10.0.0.7", 1, 0, 0), "10.0.0.7"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (None, ""),
    ],
)
def test_a_client_is_a_host_or_a_network(address: object, client: str) -> None:
    assert client_of(address) == client
