"""The reward service judges: right, wrong and not checked, each item on its own, with the answers documented."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Verdict
from verifiers.rules.text import ExactVerifier
from verifiers.service import answers
from verifiers.service.answers import filled, score_answer
from verifiers.service.items import ScoredItem
from verifiers.service.models import RewardsResponse, ScoreItem, ScoreResponse
from verifiers.service.settings import ServiceLimits

sys.path.insert(0, str(Path(__file__).parent))
from live_service import Gate, eventually, function, metric, score, serving


def faulty(task: Task, completion: str) -> bool:
    """Judges well, except where it is told to fail."""
    if completion == "raise":
        raise ValueError("no idea")
    if completion == "exit":
        sys.exit(3)
    return completion == task.answer


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    verifiers = {"math": MathVerifier(workers=1), "exact": ExactVerifier(), "faulty": function(faulty, "faulty")}
    with serving(verifiers) as found:
        yield found


def test_each_item_gets_its_own_verdict(client: httpx.Client) -> None:
    found = score(
        client,
        {"verifier": "math", "id": "right", "answer": "1/2", "completion": r"so \boxed{\frac{2}{4}}"},
        {"verifier": "math", "id": 7, "answer": 4, "completion": r"\boxed{3}"},
        {"verifier": "math", "answer": "4", "completion": "I don't know"},
        {"verifier": "math", "completion": r"\boxed{3}"},
        {"verifier": "faulty", "answer": "a", "completion": "a"},
        {"verifier": "faulty", "answer": "a", "completion": "raise"},
        {"verifier": "faulty", "answer": "a", "completion": "exit"},
        {"verifier": "faulty", "answer": "a", "completion": "b"},
        {"verifier": "exact", "answer": "yes", "completion": "yes"},
    )
    assert [(row["id"], row["verifier"], row["passed"], row["reward"], row["status"]) for row in found] == [
        ("right", "math", True, 1.0, "correct"),
        (7, "math", False, 0.0, "wrong"),
        (None, "math", False, 0.0, "no_answer"),
        (None, "math", None, None, "gold_unparsable"),
        (None, "faulty", True, 1.0, "correct"),
        (None, "faulty", None, None, "not_checked"),
        (None, "faulty", None, None, "not_checked"),
        (None, "faulty", False, 0.0, "wrong"),
        (None, "exact", True, 1.0, "correct"),
    ]
    assert "ValueError: no idea" in found[5]["reason"]
    assert found[0]["details"] == {"answer": r"\frac{2}{4}", "gold": "1/2"}


def test_rewards_stand_beside_the_verdicts(client: httpx.Client) -> None:
    items = [{"verifier": "math", "answer": "2", "completion": text} for text in (r"\boxed{2}", r"\boxed{3}")]
    items.append({"verifier": "math", "completion": "2"})
    body = client.post("/v1/score", json={"items": items}).json()
    assert body["rewards"] == [1.0, 0.0, None]
    ScoreResponse.model_validate_json(client.post("/v1/score", json={"items": items}).content)


def test_an_empty_batch_is_a_batch(client: httpx.Client) -> None:
    assert client.post("/v1/score", json={"items": []}).json() == {"verdicts": [], "rewards": []}
    assert client.post("/v1/openrlhf?verifier=math", json={"query": []}).json()["rewards"] == []


def test_a_large_batch_keeps_its_order(client: httpx.Client) -> None:
    items = [{"verifier": "faulty", "id": at, "answer": str(at % 3), "completion": "1"} for at in range(3000)]
    found = score(client, *items)
    assert [row["id"] for row in found] == list(range(3000))
    assert [row["passed"] for row in found] == [at % 3 == 1 for at in range(3000)]


def test_tests_with_args_need_an_entry_point() -> None:
    seen: list[Task] = []
    with serving({"own": function(lambda task, text: seen.append(task) or True)}) as client:
        call = {"args": [1, {"a": [2.5, None]}], "expected": [3]}
        output = {"input": "1", "output": "2"}
        whole = score(
            client,
            {"completion": "a", "tests": [call], "entry_point": "f", "time_limit_s": 2},
            {"completion": "b", "tests": [call]},
            {"completion": "c", "tests": [call, output], "entry_point": "f"},
            {"completion": "d", "tests": [output]},
        )
    assert [row["status"] for row in whole] == ["correct", "not_checked", "not_checked", "correct"]
    assert "entry_point" in whole[1]["reason"]
    assert seen[0].tests[0].args == (1, {"a": [2.5, None]})
    assert (seen[0].entry_point, seen[0].time_limit_s, seen[0].tests[0].expected) == ("f", 2.0, [3])
    assert (seen[1].tests[0].input, seen[1].tests[0].output) == ("1", "2")


def test_a_hung_item_costs_its_verdict_alone_and_shows_in_ready() -> None:
    gate = Gate()
    limits = ServiceLimits(request_s=0.3, threads=1)
    with serving({"gate": gate, "exact": ExactVerifier()}, limits, patience_s=0.1) as client:
        hung, judged = score(
            client,
            {"verifier": "gate", "completion": "x"},
            {"verifier": "exact", "answer": "a", "completion": "a"},
        )
        assert (hung["reward"], hung["status"], hung["reason"]) == (None, "not_checked", "not judged within 0.3 s")
        assert judged["passed"] is True
        eventually(lambda: client.get("/ready").status_code == 503)
        rows = {row["name"]: row["ready"] for row in client.get("/ready").json()["verifiers"]}
        assert rows == {"gate": False, "exact": True}
        assert client.get("/health").json() == {"status": "ok"}
        gate.open()
        eventually(lambda: client.get("/ready").status_code == 200)


def test_known_verdicts_are_asked_again() -> None:
    well = threading.Event()
    well.set()
    verifier = function(lambda task, text: well.is_set() and text == "a")
    known = {"own": [(Task(), "a", True), (Task(), "b", False)]}
    with serving({"own": verifier}, known=known, recheck_s=0.02) as client:
        assert client.get("/ready").json()["ready"] is True
        well.clear()
        eventually(lambda: client.get("/ready").status_code == 503)
        assert "should have passed" in client.get("/ready").json()["verifiers"][0]["detail"]
        assert metric(client, "selfplay_reward_ready", verifier="own") == 0.0
        well.set()
        eventually(lambda: client.get("/ready").status_code == 200)
        assert metric(client, "selfplay_reward_items_total") == 0.0


def test_what_waits_is_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first call waits for the gate, and would make the client look slow.
    monkeypatch.setattr("verifiers.service.desk._CALL_S", 600.0)
    monkeypatch.setattr("verifiers.service.desk._SHARED_CALL_S", 600.0)
    gate = Gate()
    with serving({"gate": gate}, ServiceLimits(threads=1, batch_items=8)) as client:
        threads = [threading.Thread(target=score, args=(client, {"completion": str(at)})) for at in range(13)]
        threads[0].start()
        eventually(lambda: len(gate.batches) == 1)
        for thread in threads[1:]:
            thread.start()
        eventually(lambda: metric(client, "selfplay_reward_queue_items", verifier="gate") == 12.0)
        assert metric(client, "selfplay_reward_running_items", verifier="gate") == 1.0
        gate.open()
        for thread in threads:
            thread.join()
    assert len(gate.batches) < 13
    assert sum(map(len, gate.batches)) == 13
    assert gate.closed


def test_metrics_tell_what_happened() -> None:
    with serving({"faulty": function(faulty, "faulty")}) as client:
        score(client, *[{"answer": "a", "completion": text} for text in ("a", "b", "b", "raise")])
        client.post("/v1/score", content=b"{", headers={"Content-Type": "application/json"})
        client.get("/nowhere")
        assert metric(client, "selfplay_reward_items_total", verifier="faulty", status="correct", outcome="passed") == 1
        assert metric(client, "selfplay_reward_items_total", verifier="faulty", status="wrong", outcome="failed") == 2
        unchecked = {"verifier": "faulty", "status": "not_checked", "outcome": "unchecked"}
        assert metric(client, "selfplay_reward_items_total", **unchecked) == 1
        assert metric(client, "selfplay_reward_item_seconds_count", verifier="faulty") == 4
        assert metric(client, "selfplay_reward_requests_total", endpoint="/v1/score", code="200") == 1
        assert metric(client, "selfplay_reward_requests_total", endpoint="/v1/score", code="400") == 1
        assert metric(client, "selfplay_reward_requests_total", endpoint="other", code="404") == 1
        assert metric(client, "selfplay_reward_rejected_total", error="invalid_json") == 1
        assert metric(client, "selfplay_reward_request_seconds_count", endpoint="/v1/score") == 2
        assert metric(client, "selfplay_reward_queue_bytes") == 0
        page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=")
    assert len(list(text_string_to_metric_families(page.text))) > 10


def test_a_plug_in_cannot_invent_labels_without_end() -> None:
    def odd(task: Task, completion: str) -> Verdict:
        return Verdict(True, 1.0, completion)

    with serving({"own": function(odd)}) as client:
        score(client, *[{"completion": f"status_{at}"} for at in range(200)], {"completion": "Not a\nname"})
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
    found = [s for s in samples if s.name == "selfplay_reward_items_total"]
    assert len(found) == 33
    assert {s.value for s in found if s.labels["status"] == "other"} == {169.0}


class Odd:
    """No JSON, and it says so at length."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.builds(Odd),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=())) | st.integers(), inner)
        | st.tuples(inner)
    ),
    max_leaves=30,
)


@given(
    details=st.dictionaries(st.text(st.characters(exclude_categories=())), anything),
    reason=st.text(st.characters(exclude_categories=())),
)
def test_whatever_a_plug_in_says_the_answer_is_json_of_the_schema(details: dict[str, Any], reason: str) -> None:
    verdict = Verdict(True, 1.0, "correct", reason, details, math.nan)
    body = score_answer([ScoredItem(1, "own")], [verdict])
    assert ScoreResponse.model_validate_json(body).verdicts[0].reward == 1.0


def test_details_without_end_are_cut() -> None:
    endless: dict[str, Any] = {"text": "x" * 10**6, "list": list(range(10**5))}
    endless["self"] = endless
    assert len(score_answer([ScoredItem(1, "own")], [Verdict(True, 1.0, "correct", "r" * 10**6, endless)])) < 100_000


def rewards(client: httpx.Client, path: str, **body: Any) -> RewardsResponse:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return RewardsResponse.model_validate_json(answer.content)


def test_openrlhf_gets_a_number_for_every_sample(client: httpx.Client) -> None:
    found = rewards(
        client,
        "/v1/openrlhf?verifier=faulty",
        query=["P a", "P b", "P raise", "Q raise", "<s>Q a<|im_end|>\n<|endoftext|>", "Q a</s>"],
        prompts=["P ", "P ", "P ", "Q ", "Q ", "Q "],
        labels=["a"] * 6,
    )
    assert found.rewards == [1.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert found.scores == found.rewards
    assert found.extra_logs.not_checked == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert found.extra_logs.passed == [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]


def test_openrlhf_may_ask_for_zeros_and_send_queries_alone(client: httpx.Client) -> None:
    body = {"query": ["a", "raise"], "labels": ["a", "a"], "a_field_of_tomorrow": 1}
    assert rewards(client, "/v1/openrlhf?verifier=faulty&unchecked=zero", **body).rewards == [1.0, 0.0]
    assert rewards(client, "/v1/openrlhf?verifier=faulty", query=["raise", "b"]).rewards == [0.0, 0.0]


def test_labels_are_answers_or_tasks(client: httpx.Client) -> None:
    seen: list[Task] = []
    with serving({"own": function(lambda task, text: seen.append(task) or True)}) as own:
        found = rewards(
            own,
            "/v1/openrlhf",
            query=["x"] * 8,
            labels=[
                r"{1,2}",
                '{"answer": "4"}',
                '{"tests": [{"input": "1", "output": "2"}], "time_limit_s": 2.0}',
                {"answer": "5"},
                0.5,
                '{"not": "a task"}',
                None,
                {"answer": []},
            ],
        )
    assert found.extra_logs.not_checked == [0.0] * 7 + [1.0]
    answers = [task.answer for task in seen]
    assert answers == [r"{1,2}", "4", None, "5", "0.5", '{"not": "a task"}', None]
    assert (seen[2].tests[0].output, seen[2].time_limit_s) == ("2", 2.0)


@pytest.mark.parametrize("part", [45, 4_000])
def test_marks_at_an_end_are_taken_off_however_many(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(answers, "_END_PART", part)
    ends = ["", "</s>", "</s> <eos>\n" * 1_000, "<pad>" * 1_000, "<|im_end|>\x1c\u3000" * 100, " " * 5_000]
    for end in ends:
        for begin in ("", "4", "a <|b|> c", "<|" + "x" * 31 + "|>", "</s", "<|end|"):
            assert answers._unmarked(begin + end) == begin


def test_a_judge_sees_the_prompt() -> None:
    seen: list[Task] = []
    with serving({"own": function(lambda task, text: seen.append(task) or True)}) as own:
        rewards(own, "/v1/openrlhf", query=["P x"], prompts=["P "], labels=["a"])
        score(own, {"completion": "x", "problem": "Q"})
    assert [task.problem for task in seen] == ["P ", "Q"]


def test_a_query_without_its_prompt_is_not_checked(client: httpx.Client) -> None:
    body = {"query": ["something else", "P a"], "prompts": ["P ", "P "], "labels": ["a", "a"]}
    found = rewards(client, "/v1/openrlhf?verifier=faulty", **body)
    assert found.extra_logs.not_checked == [1.0, 0.0]


@given(
    st.lists(st.tuples(st.sampled_from("PQR"), st.none() | st.floats(0, 1)), min_size=1),
)
def test_stand_ins_leave_the_mean_of_their_group(samples: list[tuple[str, float | None]]) -> None:
    groups, given_rewards = zip(*samples, strict=True)
    numbers = filled(given_rewards, groups, "group_mean")
    for group in set(groups):
        known = [reward for name, reward in samples if name == group and reward is not None]
        whole = [number for name, number in zip(groups, numbers, strict=True) if name == group]
        expected = sum(known) / len(known) if known else 0.0
        assert sum(whole) / len(whole) == pytest.approx(expected)


def test_an_item_can_say_all_that_a_task_can() -> None:
    """Each field of a task set to something else than its default comes through."""
    said: dict[str, Any] = {
        "answer": "4",
        "problem": "2+2?",
        "tests": [{"input": "1", "output": "2"}],
        "entry_point": "f",
        "language": "cpp",
        "time_limit_s": 1.5,
        "memory_mb": 64,
        "float_tolerance": 0.1,
        "tolerance_kind": "absolute",
        "comparison": "any_order",
        "checker": "exit(0)",
    }
    task = ScoreItem.model_validate(said | {"completion": "x"}).task()
    assert {field.name for field in fields(Task)} == set(said)
    assert {name for name in said if getattr(task, name) == getattr(Task(), name)} == set()
    assert asdict(task) | {"tests": None} == said | {"tests": None}


def test_about_names_verifiers_and_limits(client: httpx.Client) -> None:
    about = client.get("/v1/verifiers").json()
    assert [row["name"] for row in about["verifiers"]] == ["math", "exact", "faulty"]
    assert about["limits"]["max_items"] == ServiceLimits().max_items
