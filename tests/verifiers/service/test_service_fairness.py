"""Nobody waits behind another's work: turns by client, quick before long, bounds for each."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from verifiers.model import Task, Test, Verdict
from verifiers.rules.text import ExactVerifier
from verifiers.service import desk as service_desk
from verifiers.service import requests as service_requests
from verifiers.service.guard import Guard, Turns
from verifiers.service.hasty import HastyVerifier, hasty_verifier
from verifiers.service.metrics import ServiceMetrics
from verifiers.service.settings import ServiceLimits

sys.path.insert(0, str(Path(__file__).parent))
from live_service import Gate, elsewhere, eventually, metric, score, serving

TOKENS = ["first-of-two-tokens", "second-of-two-tokens"]


def items(*texts: str) -> list[dict[str, Any]]:
    return [{"completion": text} for text in texts]


def waiting(client: httpx.Client) -> float:
    return metric(client, "selfplay_reward_queue_items", verifier="gate")


def judged_in_order(gate: Gate) -> list[str]:
    return [text for batch in gate.batches for text in batch]


def test_a_client_does_not_wait_behind_the_thousands_of_another() -> None:
    gate = Gate()
    limits = ServiceLimits(threads=1, batch_items=4)
    with serving({"gate": gate}, limits) as client, elsewhere(client) as other, ThreadPoolExecutor(3) as senders:
        many = senders.submit(score, client, *items(*map(str, range(200))))
        eventually(lambda: len(gate.batches) == 1)
        more = senders.submit(score, client, *items(*map(str, range(200, 400))))
        held = 400.0 - len(gate.batches[0])
        eventually(lambda: waiting(other) == held)
        few = senders.submit(score, other, *items("mine", "too"))
        eventually(lambda: waiting(other) == held + 2)
        gate.open()
        for one in (many, more, few):
            assert all(row["passed"] for row in one.result())
    begun = len(gate.batches[0])
    assert set(judged_in_order(gate)[begun : begun + 2]) == {"mine", "too"}


def test_of_one_client_the_small_requests_come_first_and_the_large_are_not_forgotten() -> None:
    gate = Gate()
    with serving({"gate": gate}, ServiceLimits(threads=1, batch_items=1)) as client, ThreadPoolExecutor(9) as senders:
        many = senders.submit(score, client, *items(*["many"] * 40))
        eventually(lambda: len(gate.batches) == 1)
        small = [senders.submit(score, client, *items("small")) for _ in range(8)]
        eventually(lambda: waiting(client) == 47.0)
        gate.open()
        for one in (many, *small):
            one.result()
    begun = judged_in_order(gate)[1:12]
    assert begun.count("small") == 8
    assert begun.count("many") >= 2


def test_a_client_has_room_of_its_own() -> None:
    gate = Gate()
    limits = ServiceLimits(max_items=4, client_items=5, queue_items=8, threads=1, batch_items=1)
    with serving({"gate": gate}, limits) as client, elsewhere(client) as other, ThreadPoolExecutor(3) as senders:
        held = senders.submit(score, client, *items(*"abcd"))
        eventually(lambda: waiting(client) == 3.0)
        answer = client.post("/v1/score", json={"items": items(*"xyz")})
        assert (answer.status_code, answer.json()["error"]) == (429, "client_overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        theirs = senders.submit(score, other, *items(*"xyz"))
        eventually(lambda: waiting(client) == 6.0)
        answer = other.post("/v1/score", json={"items": items(*"xy")})
        assert (answer.status_code, answer.json()["error"]) == (503, "overloaded")
        gate.open()
        assert len(held.result()) == 4
        assert len(theirs.result()) == 3


def test_bytes_of_a_client_are_bounded_too() -> None:
    gate = Gate()
    limits = ServiceLimits(max_body_bytes=1_000, client_bytes=1_500, queue_bytes=10_000)
    with serving({"gate": gate}, limits) as client, elsewhere(client) as other, ThreadPoolExecutor(2) as senders:
        item = {"completion": "x" * 800}
        held = senders.submit(score, client, item)
        eventually(lambda: metric(client, "selfplay_reward_queue_bytes") > 800)
        assert client.post("/v1/score", json={"items": [item]}).status_code == 429
        theirs = senders.submit(score, other, item)
        eventually(lambda: metric(other, "selfplay_reward_queue_bytes") > 1_600)
        gate.open()
        assert held.result()[0]["passed"] is theirs.result()[0]["passed"] is True


def test_each_of_several_tokens_is_a_client() -> None:
    gate = Gate()
    limits = ServiceLimits(max_items=2, client_items=2, threads=1, batch_items=1)
    with serving({"gate": gate}, limits, tokens=TOKENS) as client, ThreadPoolExecutor(3) as senders:

        def post(token: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return client.post("/v1/score", json={"items": items("a", "b")}, headers=headers)

        def held() -> float:
            page = client.get("/metrics", headers={"Authorization": f"Bearer {TOKENS[1]}"}).text
            [line] = [line for line in page.splitlines() if line.startswith("selfplay_reward_queue_items{")]
            return float(line.split()[-1])

        first = senders.submit(post, TOKENS[0])
        eventually(lambda: held() == 1.0)
        again = senders.submit(post, TOKENS[0])
        assert again.result().status_code == 429
        second = senders.submit(post, TOKENS[1])
        eventually(lambda: held() == 3.0)
        assert post("another-token-of-nobody").status_code == 401
        gate.open()
        assert first.result().status_code == second.result().status_code == 200


class Quick:
    """Passes at once, unless it is told that it can't."""

    name = "gate"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def verify(self, task: Task, completion: str) -> Verdict:
        return self.verify_many([(task, completion)])[0]

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        self.seen += [text for _, text in items]
        return [
            Verdict(None, None, "not_checked") if text == "slow" else Verdict(True, 1.0, "quick") for _, text in items
        ]

    def close(self) -> None:
        self.seen.append("closed")


def test_what_takes_long_waits_among_its_like_with_the_rest_of_its_request() -> None:
    gate, quick = Gate(), Quick()
    limits = ServiceLimits(threads=1, batch_items=2)
    with serving({"gate": gate}, limits, quick={"gate": quick}) as client, ThreadPoolExecutor(2) as senders:
        hostile = [senders.submit(score, client, *items("slow", *["rest"] * 200)) for _ in range(2)]
        eventually(lambda: len(gate.batches) == 1)
        for _ in range(20):
            assert score(client, *items("fine"))[0]["status"] == "quick"
        gate.open()
        for one in hostile:
            found = one.result()
            assert found[0]["status"] == "correct"
            assert all(row["passed"] for row in found)
    assert quick.seen.count("rest") < 200
    assert quick.seen[-1] == "closed"


def test_a_client_whose_items_take_long_no_longer_asks_the_quick_desk_where_others_do() -> None:
    gate, quick = Gate(), Quick()
    gate.open()
    with serving({"gate": gate}, quick={"gate": quick}) as client, elsewhere(client) as other:
        for _ in range(4):
            score(client, *items("slow"))
        assert quick.seen == ["slow"] * 4
        score(other, *items("fine"))
        assert [row["status"] for row in score(client, *items("slow", "fine"))] == ["correct"] * 2
        assert score(other, *items("fine"))[0]["status"] == "quick"
    assert quick.seen[4:] == ["fine", "fine", "closed"]


def test_others_that_have_long_gone_send_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, quick = Gate(), Quick()
    gate.open()
    with serving({"gate": gate}, quick={"gate": quick}) as client, elsewhere(client) as other:
        score(other, *items("fine"))
        for _ in range(4):
            score(client, *items("slow"))
        monkeypatch.setattr(service_desk, "_OF_LATE_S", 0.0)
        assert score(client, *items("fine"))[0]["status"] == "quick"


def test_a_client_that_leaves_takes_out_what_takes_long_too() -> None:
    gate, quick = Gate(), Quick()
    limits = ServiceLimits(threads=1, batch_items=1, request_s=0.3)
    with serving({"gate": gate}, limits, quick={"gate": quick}, patience_s=0.1) as client:
        assert [row["status"] for row in score(client, *items("slow", "slow"))] == ["not_checked"] * 2
        assert waiting(client) == 0.0
        gate.open()


def hasty(verdict: Verdict, tests: int = 0) -> tuple[Verdict, Task]:
    """The verdict that a hasty verifier makes of one, and the task that it was asked for."""
    seen: list[Task] = []

    class Inner(ExactVerifier):
        def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
            seen.extend(task for task, _ in items)
            return [verdict for _ in items]

    task = Task(tests=(Test("", ""),) * tests, time_limit_s=5.0)
    return HastyVerifier(Inner(), 0.5).verify(task, ""), seen[0]


@pytest.mark.parametrize(
    ("verdict", "tests", "final"),
    [
        (Verdict(True, 1.0, "correct", seconds=3.0), 0, True),
        (Verdict(False, 0.0, "wrong", seconds=0.01), 0, True),
        (Verdict(False, 0.0, "wrong", seconds=0.4), 0, False),
        (Verdict(None, None, "gold_unparsable", seconds=0.01), 0, True),
        (Verdict(None, None, "timed_out", seconds=0.5), 0, False),
        (Verdict(True, 1.0, "accepted", seconds=3.0), 2, True),
        (Verdict(False, 0.0, "wrong_answer", seconds=3.0), 2, True),
        (Verdict(False, 0.0, "time_limit", seconds=0.5), 2, False),
    ],
)
def test_haste_makes_no_verdict_another(verdict: Verdict, tests: int, final: bool) -> None:
    found, task = hasty(verdict, tests)
    assert found == verdict if final else found.passed is None
    assert task.time_limit_s == (0.5 if tests else 5.0)


def test_long_texts_are_left_at_once() -> None:
    items = [(Task(answer="a"), text) for text in ("a", "x" * 100_001, "b")]
    found = HastyVerifier(ExactVerifier(), 0.5).verify_many(items)
    assert [verdict.passed for verdict in found] == [True, None, False]
    assert found[1].status == "not_checked"


def brief(made: Any) -> Any:
    """The time that all tests of an item have together."""
    return made._inner.inner._deadline_s


def test_what_is_opened_twice() -> None:
    assert hasty_verifier("exact", {}, None, 0.5) is None
    assert hasty_verifier("math", {"deadline_s": 0.2}, None, 0.5) is None
    assert hasty_verifier("code", {"partial_credit": True}, None, 0.5) is None
    assert brief(hasty_verifier("code", {}, None, 0.5)) == 2.0
    assert brief(hasty_verifier("code", {"deadline_s": 1.0}, None, 0.5)) == 1.0
    found = hasty_verifier("math", {}, {"math": {"workers": 1}}, 0.5)
    assert found is not None
    assert found.verify(Task(answer="4"), r"\boxed{4}").passed is True
    found.close()


def test_turns_go_round_and_those_who_left_lose_theirs() -> None:
    async def scene() -> list[str]:
        turns, order = Turns(), list[str]()

        async def take(client: str) -> None:
            async with turns.turn(client):
                await asyncio.sleep(0)
                order.append(client)

        async def holds() -> None:
            async with turns.turn("first"):
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(holds())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(take(client)) for client in ("a", "a", "gone", "a", "b", "c", "b")]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10), turns.turn("last"):
            return order

    assert asyncio.run(scene()) == ["a", "b", "c", "a", "b", "a"]


def test_refusals_of_a_client_are_answered_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("verifiers.service.guard.asyncio.sleep", sleep)
    guard = Guard(
        None,  # type: ignore[arg-type]
        ServiceLimits(),
        ServiceMetrics(),
        tokens=(),
        paths=frozenset(),
        posts=frozenset(),
    )

    async def scene() -> None:
        for _ in range(60):
            await guard._pause("a")
        await guard._pause("b")

    asyncio.run(scene())
    assert max(slept[:18]) == slept[-1] == 0.0
    assert 0.5 < max(slept) <= 1.0
    assert slept[:60] == sorted(slept[:60])


@pytest.mark.parametrize(
    ("size", "count", "beside"), [(100, 1, False), (100_000, 1, True), (1, 100, False), (1, 300, True)]
)
def test_large_bodies_are_read_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, count: int, beside: bool
) -> None:
    threads: list[str] = []
    read = service_requests.read_body

    def noted(*arguments: Any) -> Any:
        threads.append(threading.current_thread().name)
        return read(*arguments)

    monkeypatch.setattr(service_requests, "read_body", noted)
    with serving({"exact": ExactVerifier()}) as client:
        score(client, *[{"answer": "a", "completion": "a" * size}] * count)
    assert threads[0].startswith("Thread-") is not beside


class Clock:
    """Stands in the place of the modules time and asyncio where the guard asks them."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_what_is_large_rests_and_comes_slowly_while_others_want_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    turns = Turns()
    monkeypatch.setattr("verifiers.service.guard.time", clock)
    monkeypatch.setattr("verifiers.service.guard.asyncio.sleep", clock.sleep)
    assert turns._rest_s(clock.now - 0.1) == 0.0
    assert asyncio.run(turns.pace(1 << 20)) == 0.0
    turns.saw_quick()
    assert turns._rest_s(clock.now - 0.1) == pytest.approx(0.2)
    assert turns._rest_s(clock.now - 60) == 1.0
    waits = [asyncio.run(turns.pace(1 << 20)) for _ in range(3)]
    assert waits == pytest.approx([1 / 32] * 3)
    clock.now += 1.0
    assert turns._rest_s(clock.now - 0.1) == 0.0
    assert asyncio.run(turns.pace(1 << 20)) == 0.0


def test_of_a_body_full_of_faults_the_first_is_told() -> None:
    types = service_requests.RequestTypes(["exact"], ServiceLimits())
    with pytest.raises(ValidationError) as found:
        types.batch.model_validate({"items": [{"completion": ""}, {}, {}, 1]})
    assert [fault["loc"][:2] for fault in found.value.errors()] == [("items", 1)]


def test_what_the_end_of_the_service_cuts_off_is_told_so() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    async def scene() -> None:
        scope = {"type": "http", "method": "POST", "path": "/v1/score", "client": ("127.0.0.1", 1)}
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        guard = Guard(
            app, ServiceLimits(), ServiceMetrics(), tokens=(), paths=frozenset(), posts=frozenset({"/v1/score"})
        )
        task = asyncio.create_task(guard({**scope, "headers": headers}, receive, send))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(scene())
    assert sent[0]["status"] == 503
    assert b"ending" in sent[1]["body"]
