"""Large bodies are read in a process of their own, to the same items and the same refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.process.child import Child
from verifiers.model import Task, Test
from verifiers.rules.text import ExactVerifier
from verifiers.service import reader as service_reader
from verifiers.service.guard import Refused
from verifiers.service.items import PackedItem, ScoredItem, packed
from verifiers.service.reader import Reader
from verifiers.service.reader_process import Bodies
from verifiers.service.requests import LEFT
from verifiers.service.settings import ServiceLimits

sys.path.insert(0, str(Path(__file__).parent))
from live_service import serving

LIMITS = ServiceLimits(max_item_s=100, max_items=2000)
FILL = "f" * LEFT
TASKS = [
    Task(),
    Task(problem="p\n\u2028", answer="1/2", time_limit_s=2.5),
    Task(tests=(Test("1\n", "2"), Test("\x00", "é")), language="cpp", memory_mb=64, checker="int main() {}"),
    Task(tests=(Test(args=([1, {"a": None}], 10**30), expected=[1.5, "x"]), Test(args=())), entry_point="f"),
    Task(float_tolerance=0.0, tolerance_kind="relative", comparison="tokens"),
]


class OneProcess:
    """The process that reads, as a thread of the test."""

    def __init__(self, module: str, arguments: Sequence[object]) -> None:
        served, bounds = json.loads(str(arguments[0]))
        self._bodies = Bodies(served, ServiceLimits(**bounds))
        self._written = b""
        self.frames: list[bytes] = []

    def write_frame(self, data: bytes, until: float) -> None:
        self._verifier = json.loads(data)
        self._written = b""

    def write(self, data: bytes, until: float) -> None:
        self._written += data
        if len(self._written) - 8 == int.from_bytes(self._written[:8], "big"):
            self.frames = list(self._bodies.answer(self._written[8:], self._verifier))

    def frame(self, until: float) -> bytes:
        return self.frames.pop(0)

    def kill(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.setattr(service_reader, "Child", OneProcess)
    return Reader(["exact", "code"], LIMITS)


@pytest.mark.parametrize("task", TASKS)
def test_a_packed_item_is_the_item(task: Task) -> None:
    completion = 'a "\\" \u2028 \x00 𝔸'
    line = packed(ScoredItem(7, "code", task, completion))
    assert b"\n" not in line
    found, text = PackedItem(7, "code", line).pair()
    assert (found, text) == (task, completion)
    for field in fields(Task):
        assert type(getattr(found, field.name)) is type(getattr(task, field.name))


def test_items_come_in_order_whatever_their_sizes(reader: Reader) -> None:
    sizes = [0, 300_000, 5, 200_000, 200_000, *range(300)]
    rows = [{"verifier": "exact", "id": at, "answer": "a", "completion": "c" * size} for at, size in enumerate(sizes)]
    rows[2] |= {"tests": [{"input": "", "output": ""}] * 30, "id": "two"}
    body = json.dumps({"items": rows}).encode()
    items, groups = reader.read([body[:10], body[10:70_000], body[70_000:]])
    assert [item.id for item in items] == [0, 1, "two", *range(3, len(rows))]
    assert [len(item.pair()[1]) for item in items if not item.fault] == [*sizes[:2], *sizes[3:]]
    assert items[2].fault is not None
    assert "30 tests of 5 s" in items[2].fault.reason
    assert groups == []


def test_lists_of_openrlhf_keep_their_groups(reader: Reader) -> None:
    lists = {"query": ["p a", "q b", "p c", "z"], "prompts": ["p", "q", "p", "y"], "labels": ["1", 2, None, "3"]}
    items, groups = reader.read([json.dumps(lists).encode()], "exact")
    assert [item.pair()[1] for item in items if not item.fault] == [" a", " b", " c"]
    assert [item.fault is None for item in items] == [True, True, True, False]
    assert groups == ["0", "1", "0", "2"]


BODIES: list[tuple[bytes, int, str | None]] = [
    (b'{"items": [{"verifier": "exact", "completion": "%s"}, {"verifier": "exact"}]}', 422, "items.1.completion"),
    (b'{"items": [{"verifier": "exact", "completion": "%s", "time_limit_s": NaN}]}', 400, None),
    (b'{"items": [{"verifier": "exact", "completion": "%s\\ud800"}]}', 400, None),
    (b'{"items": [{"verifier": "exact", "completion": "%s\xff"}]}', 400, None),
    (b'{"items": [{"verifier": "exact", "completion": "%s"', 400, None),
    (b'{"items": "%s", "more": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, None),
    (b'{"items": "%s"}', 422, "items"),
    (b'{"items": [' + b'{"tests":[{}]},' * 9000 + b'"%s"]}', 422, "items.0.verifier"),
    (b'{"items": [' + b"{}," * 1_100_000 + b'"%s"]}', 422, None),
]


@pytest.mark.parametrize(("body", "status", "field"), BODIES, ids=range(len(BODIES)))
def test_refusals_are_those_of_small_bodies(reader: Reader, body: bytes, status: int, field: str | None) -> None:
    with pytest.raises(Refused) as found:
        reader.read([body.replace(b"%s", FILL.encode())])
    assert found.value.status_code == status
    assert found.value.problem.field == field
    assert found.value.problem.error == ("invalid_json" if status == 400 else "invalid_request")
    assert len(found.value.problem.message) < 1000
    [item], _ = reader.read([b'{"items": [{"verifier": "exact", "completion": "x"}]}'])
    assert item.pair() == (Task(), "x")


def test_nothing_is_read_once_the_service_ends(reader: Reader) -> None:
    reader.close()
    with pytest.raises(Refused) as found:
        reader.read([b"{}"])
    assert (found.value.status_code, found.value.problem.error) == (503, "overloaded")


def test_the_service_reads_them_elsewhere_and_goes_on_where_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def start(*arguments: Any) -> Child:
        started.append(Child(*arguments))
        return started[-1]

    monkeypatch.setattr(service_reader, "Child", start)

    def post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
        return client.post(path, json=body)

    with serving({"exact": ExactVerifier()}) as client:
        small = post(client, "/v1/score", {"items": [{"answer": "a", "completion": "a"}]})
        assert small.json()["rewards"] == [1.0]
        assert started == []
        items = [{"id": at, "answer": FILL, "completion": FILL[at:]} for at in range(2)]
        large = post(client, "/v1/score", {"items": items})
        assert [(row["id"], row["passed"]) for row in large.json()["verdicts"]] == [(0, True), (1, False)]
        rollouts = {"query": ["p" + FILL, "p"], "prompts": ["p", "q"], "labels": [FILL, "a"]}
        assert post(client, "/v1/openrlhf", rollouts).json()["extra_logs"]["not_checked"] == [0.0, 1.0]
        started[0].kill()
        lost = post(client, "/v1/score", {"items": items})
        assert (lost.status_code, lost.json()["error"]) == (503, "overloaded")
        assert post(client, "/v1/score", {"items": items}).json()["rewards"] == [1.0, 0.0]
    assert len(started) == 2
    assert started[1].ended == -1
