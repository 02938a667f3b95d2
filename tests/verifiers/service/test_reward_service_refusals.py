"""What the reward service refuses, with which words, and that it goes on judging afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.model import SandboxUnavailable
from verifiers.mathematics import MathVerifier
from verifiers.model import Task
from verifiers.registry import verifier as register
from verifiers.rules.text import ExactVerifier
from verifiers.service.items import ScoredItem
from verifiers.service.known import open_all
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.queue import JudgingQueue
from verifiers.service.settings import (
    Served,
    ServiceLimits,
    UnusableService,
    merged,
    parse_verifiers,
    read_limits,
    read_verifiers,
)

sys.path.insert(0, str(Path(__file__).parent))
from live_service import Gate, eventually, function, metric, score, serving

TOKEN = "correct-horse-battery"
JSON = {"Content-Type": "application/json"}
ITEM: dict[str, Any] = {"answer": "a", "completion": "a"}
LIMITS = ServiceLimits(
    max_items=4, max_body_bytes=20_000, max_completion_chars=100, max_tests=3, max_item_s=60, body_s=0.5, queue_items=8
)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving({"exact": ExactVerifier()}, LIMITS) as found:
        yield found


def refused(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"error", "message", "field"}
    assert problem["error"] == error
    return problem


def test_a_full_queue_pushes_back_and_room_is_found_again() -> None:
    gate = Gate()
    limits = ServiceLimits(max_items=3, queue_items=4, threads=1)
    with serving({"gate": gate}, limits) as client, ThreadPoolExecutor(2) as senders:
        items = [{"completion": str(at)} for at in range(3)]
        held = senders.submit(score, client, *items)
        eventually(lambda: metric(client, "selfplay_reward_running_items", verifier="gate") == 3.0)
        answer = client.post("/v1/score", json={"items": items[:2]})
        problem = refused(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert "3 items wait or are being judged, and there is room for 4" in problem["message"]
        fits = senders.submit(score, client, items[0])
        eventually(lambda: metric(client, "selfplay_reward_queue_items", verifier="gate") == 1.0)
        refused(client.post("/v1/openrlhf", json={"query": ["x"]}), 503, "overloaded")
        assert metric(client, "selfplay_reward_rejected_total", error="overloaded") == 2.0
        gate.open()
        assert [row["passed"] for row in held.result()] == [True] * 3
        assert fits.result()[0]["passed"] is True
        assert score(client, *items)[2]["passed"] is True


def test_bodies_under_way_are_bounded_together() -> None:
    gate = Gate()
    limits = ServiceLimits(max_body_bytes=1_000, queue_bytes=1_500)
    with serving({"gate": gate}, limits) as client, ThreadPoolExecutor(1) as sender:
        item = {"completion": "x" * 800}
        held = sender.submit(score, client, item)
        eventually(lambda: metric(client, "selfplay_reward_running_items", verifier="gate") == 1.0)
        assert 800 < metric(client, "selfplay_reward_queue_bytes") < 1_000
        answer = client.post("/v1/score", json={"items": [item]})
        refused(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        gate.open()
        assert held.result()[0]["passed"] is True
        assert metric(client, "selfplay_reward_queue_bytes") == 0.0
        score(client, item)


def padded(size: int) -> bytes:
    body = json.dumps({"items": [ITEM]}).encode()
    return body + b" " * (size - len(body))


def streamed(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 1000):
        yield body[at : at + 1000]


def test_large_bodies_are_refused_however_they_come(client: httpx.Client) -> None:
    assert client.post("/v1/score", content=padded(20_000), headers=JSON).status_code == 200
    assert client.post("/v1/score", content=streamed(padded(20_000)), headers=JSON).status_code == 200
    for content in (padded(20_001), streamed(padded(20_001)), streamed(padded(2_000_000))):
        problem = refused(client.post("/v1/score", content=content, headers=JSON), 413, "too_large")
        assert "20000 bytes" in problem["message"]
    assert metric(client, "selfplay_reward_queue_bytes") == 0.0
    assert score(client, ITEM)[0]["passed"] is True


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30)


def head(client: httpx.Client, extra: str) -> bytes:
    host = f"{client.base_url.host}:{client.base_url.port}"
    return f"POST /v1/score HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{extra}\r\n\r\n".encode()


def test_a_body_that_never_comes_is_not_waited_for(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(head(client, "Content-Length: 10000") + b'{"items"')
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    eventually(lambda: metric(client, "selfplay_reward_queue_bytes") == 0.0)


def test_a_client_that_leaves_takes_its_items_with_it() -> None:
    gate = Gate()
    with serving({"gate": gate}, ServiceLimits(threads=1)) as client, ThreadPoolExecutor(1) as sender:
        held = sender.submit(score, client, {"completion": "stays"})
        eventually(lambda: len(gate.batches) == 1)
        body = json.dumps({"items": [{"completion": "leaves"}] * 5}).encode()
        with connected(client) as connection:
            connection.sendall(head(client, f"Content-Length: {len(body)}") + body)
            eventually(lambda: metric(client, "selfplay_reward_queue_items", verifier="gate") == 5.0)
        eventually(lambda: metric(client, "selfplay_reward_queue_items", verifier="gate") == 0.0)
        with connected(client) as connection:
            connection.sendall(head(client, "Content-Length: 10000") + b'{"items"')
        gone = {"endpoint": "/v1/score", "code": "disconnected"}
        eventually(lambda: metric(client, "selfplay_reward_requests_total", **gone) == 2.0)
        gate.open()
        assert held.result()[0]["passed"] is True
    assert gate.batches == [["stays"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"\xff\xfe", 400),
        (b'{"items": [{"answer": "a", "completion": "\xff"}]}', 400),
        (b'{"items": [{"answer": "a", "completion": "a"}', 400),
        (b'{"items": [{"answer": NaN, "completion": "a"}]}', 400),
        (b'{"items": [{"float_tolerance": -Infinity, "completion": "a"}]}', 400),
        (b'{"items": [{"time_limit_s": 1e999, "completion": "a"}]}', 422),
        (b'{"items": [{"answer": 1e999, "completion": "a"}]}', 422),
        (b'{"items": [{"tests": [{"args": [[1e999]], "expected": 1}], "completion": "a"}]}', 422),
        (b'{"items": [{"answer": "a", "completion": "\\ud800"}]}', 400),
        (b'{"items": ' + b"[" * 9000 + b"]" * 9000 + b"}", 400),
        (b'{"items": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", 400),
        (b'{"items": [{"id": ' + b"9" * 15000 + b', "completion": "a"}]}', 400),
        (b'{"items": [{"id": ' + b"9" * 4000 + b', "completion": "a"}]}', 422),
        (b'{"items": [{"answer": ' + b"9" * 4000 + b', "completion": "a"}]}', 200),
        (b'{"items": [{"answer": "a\\u0000", "id": "\\u0000", "completion": "\\u0000a"}]}', 200),
        (b'{"items": [{"answer": "b", "answer": "a", "completion": "a"}]}', 200),
        (b'{"items": [{"answer": true, "completion": "a"}]}', 422),
        (b'{"items": [{"memory_mb": "512", "completion": "a"}]}', 422),
        (b'{"items": [{"completion": "a", "__class__": "x"}]}', 422),
        (b'{"items": [{"tests": [{"input": "1"}], "completion": "a"}]}', 422),
        (b'{"items": [null]}', 422),
        (b'{"items": {"0": {}}}', 422),
        (b"[]", 422),
        (b'"items"', 422),
        (b"null", 422),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
def test_hostile_bodies(client: httpx.Client, body: bytes, status: int) -> None:
    for path in ("/v1/score", "/v1/openrlhf"):
        answer = client.post(path, content=body, headers=JSON)
        wanted = status if path == "/v1/score" else (400 if status == 400 else 422)
        assert answer.status_code == wanted, answer.text
        if wanted != 200:
            refused(answer, wanted, "invalid_json" if wanted == 400 else "invalid_request")
    assert score(client, ITEM)[0]["passed"] is True


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"completion": "x" * 101}, "items.1.completion", "at most 100 characters"),
        ({"tests": [{"input": "", "output": ""}] * 4}, "items.1.tests", "at most 3 items"),
        ({"time_limit_s": 61}, "items.1.time_limit_s", "less than or equal to 60"),
        ({"memory_mb": 5000}, "items.1.memory_mb", "less than or equal to 4096"),
        ({"language": "cobol"}, "items.1.language", "'python', 'cpp', 'cpp17'"),
        ({"verifier": "exactly"}, "items.1.verifier", "should be 'exact'"),
        ({"time_limit_s": 0}, "items.1.time_limit_s", "greater than 0"),
        ({"answr": "a"}, "items.1.answr", "Extra inputs are not permitted"),
        ({"tests": [{"input": "1", "output": 2}]}, "items.1.tests.0.output", "valid string"),
        ({"id": 1.5}, "items.1.id", "valid"),
        ({"completion": None}, "items.1.completion", "valid string"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("items") else "",
)
def test_items_beyond_the_limits(client: httpx.Client, change: dict[str, Any], field: str, words: str) -> None:
    answer = client.post("/v1/score", json={"items": [ITEM, ITEM | change]})
    problem = refused(answer, 422, "invalid_request")
    assert problem["field"] == field
    assert problem["message"].startswith(f"{field}: ")
    assert words in problem["message"]


def test_tests_that_take_too_long_together_cost_their_item_alone(client: httpx.Client) -> None:
    tests = [{"input": "", "output": ""}] * 3
    found = score(client, ITEM | {"tests": tests, "time_limit_s": 25}, ITEM | {"tests": tests, "time_limit_s": 20})
    assert [row["status"] for row in found] == ["not_checked", "correct"]
    assert "3 tests of 25 s each" in found[0]["reason"]


def test_a_rollout_beyond_the_limits_costs_its_reward_alone(client: httpx.Client) -> None:
    body = {"query": ["a", "x" * 101], "labels": ["a", "a"]}
    logs = client.post("/v1/openrlhf", json=body).json()["extra_logs"]
    assert logs == {"not_checked": [0.0, 1.0], "passed": [1.0, 0.0]}


def test_too_many_items(client: httpx.Client) -> None:
    problem = refused(client.post("/v1/score", json={"items": [ITEM] * 5}), 422, "invalid_request")
    assert (problem["field"], "at most 4 items" in problem["message"]) == ("items", True)
    problem = refused(client.post("/v1/openrlhf", json={"query": ["a"] * 5}), 422, "invalid_request")
    assert problem["field"] == "query"
    unequal = {"query": ["a"], "labels": ["a", "b"]}
    assert refused(client.post("/v1/openrlhf", json=unequal), 422, "invalid_request")["field"] == "labels"


def test_where_several_are_served_one_must_be_named() -> None:
    with serving({"math": MathVerifier(workers=1), "exact": ExactVerifier()}) as client:
        problem = refused(client.post("/v1/score", json={"items": [ITEM]}), 422, "invalid_request")
        assert problem["message"] == "items.0.verifier: Field required"
        problem = refused(client.post("/v1/score", json={"items": [ITEM | {"verifier": "no"}]}), 422, "invalid_request")
        assert problem["message"] == "items.0.verifier: Input should be 'math' or 'exact'"
        problem = refused(client.post("/v1/openrlhf", json={"query": ["a"]}), 422, "invalid_request")
        assert problem["message"] == "verifier: Field required"
        answer = client.post("/v1/openrlhf?verifier=exact&unchecked=maybe", json={"query": ["a"]})
        assert "group_mean" in refused(answer, 422, "invalid_request")["message"]


def test_paths_and_methods(client: httpx.Client) -> None:
    assert "/v1/score" in refused(client.get("/v1/scores"), 404, "not_found")["message"]
    refused(client.post("/v1/score/", json={"items": []}), 404, "not_found")
    answer = client.get("/v1/score")
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    refused(client.request("BREW", "/health"), 405, "method_not_allowed")
    assert client.get("/docs").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_only_plain_json_is_read(client: httpx.Client, headers: dict[str, str]) -> None:
    refused(client.post("/v1/score", content=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8700", "localhost.evil.example", "127.0.0.1.evil", ""])
def test_without_a_token_other_hosts_are_not_answered(client: httpx.Client, host: str) -> None:
    refused(client.post("/v1/score", json={"items": []}, headers={"Host": host}), 421, "wrong_host")
    refused(client.get("/health", headers={"Host": host}), 421, "wrong_host")
    for name in ("LOCALHOST", "localhost:1", "[::1]:8700", "127.0.0.1"):
        assert client.get("/health", headers={"Host": name}).status_code == 200


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"any:{password}".encode()).decode()


def test_the_token() -> None:
    with serving({"exact": ExactVerifier()}, tokens=[TOKEN]) as client:
        for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Token {TOKEN}", TOKEN):
            answer = client.post("/v1/score", json={"items": []}, headers={"Authorization": given})
            refused(answer, 401, "unauthorized")
            assert "Bearer" in answer.headers["www-authenticate"]
        for given in ("Basic !!!", basic("x"), "Basic " + base64.b64encode(TOKEN.encode()).decode()):
            refused(client.get("/v1/verifiers", headers={"Authorization": given}), 401, "unauthorized")
        raw = client.get("/metrics", headers=[(b"Authorization", b"Bearer \xe9\xff")])
        refused(raw, 401, "unauthorized")
        for path in ("/metrics", "/openapi.json", "/nowhere"):
            refused(client.get(path), 401, "unauthorized")
        for path in ("/health", "/ready"):
            assert client.get(path, headers={"Host": "other.example"}).status_code == 200
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(TOKEN)):
            answer = client.post("/v1/score", json={"items": [ITEM]}, headers={"Authorization": given})
            assert answer.json()["rewards"] == [1.0]
        counted = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        assert 'selfplay_reward_rejected_total{error="unauthorized"} 13.0' in counted


def test_a_fault_of_the_service_says_nothing_of_its_insides(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: ServiceMetrics) -> bytes:
        raise RuntimeError("a secret of this machine")

    with serving({"exact": ExactVerifier()}) as client:
        with monkeypatch.context() as patch:
            patch.setattr(ServiceMetrics, "text", broken)
            answer = client.get("/metrics")
        refused(answer, 500, "internal")
        assert "secret" not in answer.text
        eventually(lambda: "a secret of this machine" in caplog.text)
        assert score(client, ITEM)[0]["passed"] is True
        assert metric(client, "selfplay_reward_rejected_total", error="internal") == 1.0


def test_a_verifier_that_never_returns_does_not_keep_the_service_from_closing() -> None:
    hanging, left = threading.Event(), threading.Event()

    def hang(*_: object) -> bool:
        hanging.set()
        return left.wait(60)

    async def scene() -> float:
        queue = JudgingQueue({"own": function(hang)}, ServiceLimits(request_s=0.05), ServiceMetrics())
        queue.start()
        [verdict] = await queue.judge([ScoredItem(None, "own", Task(), "x")])
        assert verdict.status == "not_checked"
        begun = time.monotonic()
        await queue.close(0.1)
        return time.monotonic() - begun

    seconds = asyncio.run(scene())
    assert hanging.is_set()
    left.set()
    assert seconds < 30


@pytest.mark.parametrize(
    "served",
    [
        Served("programs", "code"),
        Served("programs", "composite", {"components": {"a": {"verifier": "math"}, "b": {"verifier": "code"}}}),
    ],
    ids=["alone", "within"],
)
def test_no_sandbox_no_service(served: Served) -> None:
    closed = []

    def unavailable() -> None:
        raise SandboxUnavailable("no user namespaces here")

    class Watched(ExactVerifier):
        def close(self) -> None:
            closed.append(True)

    register("watched")(Watched)
    words = "verifier programs runs programs, and has no sandbox here: no user namespaces here"
    with pytest.raises(UnusableService, match=words):
        open_all([Served("first", "watched"), served], probe_sandbox=unavailable)
    assert closed == []
    with pytest.raises(UnusableService, match="no verifier is called"):
        open_all([Served("first", "watched"), Served("second", "none_such")], probe_sandbox=unavailable)
    assert closed == [True]
    open_all(parse_verifiers("exact"), probe_sandbox=unavailable)


def test_known_items_decide_whether_a_verifier_is_fit(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "verifiers:\n  strict:\n    verifier: exact\n    params: {ignore_case: false}\n    known:\n"
        "    - {passed: true, item: {answer: Yes it is, completion: yes it is}}\n"
    )
    with pytest.raises(UnusableService, match=r"strict .* was wrong, and should have passed"):
        open_all(read_verifiers(file)[0])
    file.write_text(file.read_text().replace("ignore_case: false", "ignore_case: true"))
    assert open_all(read_verifiers(file)[0])["strict"].served.verifier == "exact"


def test_shipped_verifiers_are_fit_with_parameters_and_without() -> None:
    form = Served("form", "format", {"thinking": False, "box": False})
    for one in open_all([*parse_verifiers("choice,exact,format,length,regex,language"), form]).values():
        one.verifier.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no verifier"),
        (" , ", "names no verifier"),
        ("math,math", "math is named twice"),
        ("a b", "'a b' is no name"),
        ("mth", "no verifier is called 'mth'"),
        ("nowhere:nothing", "could not be loaded"),
    ],
)
def test_verifiers_that_cannot_be_served(text: str, words: str) -> None:
    with pytest.raises(UnusableService, match=words):
        open_all(parse_verifiers(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("verifiers: [", "cannot be read as YAML"),
        ("verifiers: {}", "names no verifier"),
        ("- math", "the file"),
        ("verifiers: {math: {param: {}}}", r"verifiers\.math\.param: Extra inputs"),
        ("verifiers: {math: {known: [{passed: 1, item: {}}]}}", r"verifiers\.math\.known\.0\.passed"),
        ("verifiers: {math: {params: {wrkers: 2}}}", "wrkers"),
        ("verifiers: {regex: {params: {pattern: '['}}}", "is none that RE2 can match"),
    ],
)
def test_files_that_cannot_be_served(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(UnusableService, match=words):
        open_all(read_verifiers(file)[0])


def test_names_are_unique_over_all_sources() -> None:
    assert parse_verifiers("math, mine=exact") == [Served("math", "math"), Served("mine", "exact")]
    with pytest.raises(UnusableService, match="math is named twice"):
        merged(parse_verifiers("math"), parse_verifiers("math=exact"))


def test_limits_that_contradict_each_other() -> None:
    with pytest.raises(UnusableService, match="would never find room"):
        read_limits(["max_items=10", "queue_items=5"])
    with pytest.raises(UnusableService, match="--limit threads: Input should be greater than 0"):
        read_limits(["threads=0"])
