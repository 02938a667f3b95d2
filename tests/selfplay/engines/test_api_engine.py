"""The engine of OpenAI-compatible endpoints, against a real server that also misbehaves."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config.annotation import Budget, OpenAIEngine
from selfplay.config.compute import EngineSettings
from selfplay.engines.api.budget import BudgetSpent, Ledger, TokenUsage
from selfplay.engines.api.engine import ApiEngine, sample_seeds
from selfplay.engines.api.tokenizer import EndpointTokenizer, TokenizerError
from selfplay.engines.base import Missing, ModelRef, Sample, Sampling, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.store import SampleStore, ShardStore
from tests.selfplay.engines.openai_server import OpenAIServer, faults, numbered, openai_server, scores_of
from verifiers.endpoint.client import EndpointClosed, EndpointError, EndpointRefused

HOW = Sampling(0.7, 64)
QUICK: dict[str, Any] = {"pause_s": 0.01, "longest_pause_s": 0.05, "timeout_s": 10, "concurrency": 2}
KEY = "sk-very/secret-key-0123456789"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server() as server:
        yield server


_open: list[ApiEngine] = []


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def engine(
    server: OpenAIServer, folder: Path, ledger: Ledger | None = None, endpoint: Any = None, **settings: Any
) -> ApiEngine:
    """An engine that is closed when the test ends."""
    whole = {"kind": "openai", "model": "m", "endpoint": QUICK | {"base_url": server.url} | (endpoint or {})} | settings
    store = SampleStore(folder / "answers.sqlite")
    _open.append(ApiEngine(OpenAIEngine.model_validate(whole), store, "teacher", ledger))
    return _open[-1]


def missing(engine: ApiEngine, prompt: str = "p") -> Missing:
    found = engine.try_generate([prompt], HOW, [1])[0]
    assert isinstance(found, Missing)
    return found


@pytest.mark.parametrize("style", ["chat", "raw"])
def test_completions_come_in_order_with_seeds_of_their_own(server: OpenAIServer, tmp_path: Path, style: str) -> None:
    prompts = ["a", "b", "a", "c"]
    found = engine(server, tmp_path, prompt_style=style).generate(prompts, HOW, seed=5)
    seeds = sample_seeds(5, prompts)
    assert [sample.text for sample in found] == [numbered(p, s) for p, s in zip(prompts, seeds, strict=True)]
    assert len(set(seeds)) == 4
    assert found[0] == Sample(numbered("a", seeds[0]), (), True, 1, 1)
    body = server.requests[0]
    assert {k: body[k] for k in ("model", "temperature", "top_p", "max_tokens")} == {
        "model": "m",
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": 64,
    }
    assert ("messages" in body) == (style == "chat")


def test_a_sample_depends_on_its_prompt_and_not_on_the_others(server: OpenAIServer, tmp_path: Path) -> None:
    one = engine(server, tmp_path).generate(["x", "y", "z"], HOW, seed=1)
    asked = len(server.requests)
    assert engine(server, tmp_path).generate(["z", "x"], HOW, seed=1) == [one[2], one[0]]
    assert len(server.requests) == asked
    assert engine(server, tmp_path).generate(["x"], HOW, seed=2)[0] != one[0]


def test_finished_answers_are_not_asked_for_again(server: OpenAIServer, tmp_path: Path) -> None:
    server.faults = faults("", "400")
    prompts = ["a", "b", "c"]
    first = engine(server, tmp_path, endpoint={"concurrency": 1})
    with pytest.raises(EndpointError, match=r"teacher: the endpoint answered 400: .*fault 400"):
        first.generate(prompts, HOW, seed=0)
    assert engine(server, tmp_path).generate(prompts, HOW, seed=0)
    assert sorted(server.prompts()) == ["a", "b", "b", "c"]


@pytest.mark.parametrize("other", [{"model": "n"}, {"extra_body": {"top_k": 5}}, {"prompt_style": "raw"}])
def test_another_model_or_request_is_other_work(server: OpenAIServer, tmp_path: Path, other: dict[str, Any]) -> None:
    for settings in ({}, other, {"endpoint": {"concurrency": 1}}, {"prices": {"prompt": 1.0}}):
        engine(server, tmp_path, **settings).generate(["a"], HOW, seed=0)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "fault", ["429 0", "429", "500", "503", "408", "truncate", "garbage", "close", "empty", "hang"]
)
def test_what_may_pass_is_tried_again(server: OpenAIServer, tmp_path: Path, fault: str) -> None:
    server.faults = faults(fault, fault)
    found = engine(server, tmp_path, endpoint={"timeout_s": 0.2 if fault == "hang" else 10}).generate(["p"], HOW, 0)
    assert found[0].text == numbered("p", sample_seeds(0, ["p"])[0])
    assert len(server.requests) == 3
    assert len({json.dumps(body) for body in server.requests}) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("400", "request", 'answered 400: {"error": {"message": "fault 400"}}'),
        ("413", "request", "answered 413"),
        ("422", "request", "answered 422"),
        ("huge", "request", "longer than 65536 bytes"),
        ("401", "endpoint", "/chat/completions answered 401"),
        ("404", "endpoint", "answered 404"),
        ("302", "endpoint", "answered 302"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    server: OpenAIServer, tmp_path: Path, fault: str, kind: str, says: str
) -> None:
    server.faults = faults(fault)
    found = missing(engine(server, tmp_path, endpoint={"max_reply_bytes": 1 << 16}))
    assert (found.kind, len(server.requests)) == (kind, 1)
    assert says in found.reason


def test_tries_are_counted(server: OpenAIServer, tmp_path: Path) -> None:
    server.fault_of = lambda body: "500"
    found = missing(engine(server, tmp_path, endpoint={"attempts": 4}))
    assert (found.kind, len(server.requests)) == ("endpoint", 4)
    assert found.reason.startswith("gave no answer in 4 tries: the endpoint answered 500")


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_wait_that_a_server_asks_for_is_kept_and_bounded(server: OpenAIServer, tmp_path: Path, form: str) -> None:
    in_an_hour = email.utils.formatdate(time.time() + 3600, usegmt=True)
    server.faults = faults("429 " + ("3600" if form == "seconds" else in_an_hour))
    engine(server, tmp_path, endpoint={"longest_pause_s": 0.4, "pause_s": 0.0}).generate(["p"], HOW, 0)
    first, second = server.times
    assert 0.35 <= second - first < 30


def test_a_wait_is_for_all_requests(server: OpenAIServer, tmp_path: Path) -> None:
    server.faults = faults("429 3600")
    waiting = engine(server, tmp_path, endpoint={"longest_pause_s": 0.4, "attempts": 1})
    missing(waiting, "a")
    assert isinstance(waiting.try_generate(["b"], HOW, [1])[0], Sample)
    first, second = server.times
    assert 0.35 <= second - first < 30


@pytest.mark.parametrize("concurrency", [1, 3])
def test_requests_under_way_are_limited(server: OpenAIServer, tmp_path: Path, concurrency: int) -> None:
    def slow(prompt: str, seed: int) -> str:
        time.sleep(0.02)
        return "done"

    server.reply = slow
    shared = engine(server, tmp_path, endpoint={"concurrency": concurrency})
    threads = [
        threading.Thread(target=shared.generate, args=([f"{n}-{i}" for i in range(6)], HOW, 0)) for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.answered == 12
    assert server.most_at_once == concurrency


def test_an_endpoint_that_is_down_is_not_asked_for_ever(server: OpenAIServer, tmp_path: Path) -> None:
    server.fault_of = lambda body: "close"
    found = engine(server, tmp_path, endpoint={"attempts": 2}).try_generate(
        [str(n) for n in range(100)], HOW, [0] * 100
    )
    reasons = [item.reason for item in found if isinstance(item, Missing)]
    assert len(reasons) == 100
    assert len(server.requests) <= 2 * (8 + 2)
    assert f"{server.url} does not answer: the connection failed" in reasons[-1]


def test_one_success_in_between_keeps_an_endpoint_up(server: OpenAIServer, tmp_path: Path) -> None:
    server.fault_of = lambda body: "" if int(body["messages"][0]["content"]) % 5 == 0 else "500"
    found = engine(server, tmp_path, endpoint={"attempts": 1, "concurrency": 1}).try_generate(
        [str(n) for n in range(50)], HOW, [0] * 50
    )
    assert sum(isinstance(item, Sample) for item in found) == 10


def test_nobody_listens(tmp_path: Path) -> None:
    with openai_server() as gone:
        lost = engine(gone, tmp_path, endpoint={"attempts": 2})
    assert "the connection failed: ConnectError" in missing(lost).reason


def test_a_budget_stops_and_keeps_what_is_finished(server: OpenAIServer, tmp_path: Path) -> None:
    prompts = [str(n) for n in range(20)]
    poor = {"budget": {"tokens": 10}, "endpoint": {"concurrency": 1}}
    with pytest.raises(BudgetSpent, match=r"teacher: teacher\.budget\.tokens: 10 of 10 are spent"):
        engine(server, tmp_path, **poor).generate(prompts, HOW, 0)
    assert server.answered == 5
    with pytest.raises(BudgetSpent):
        engine(server, tmp_path, **poor).generate(prompts, HOW, 0)
    assert server.answered == 5, "what an earlier session spent counts"
    rich = engine(server, tmp_path, budget={"tokens": 41}, endpoint={"concurrency": 1})
    assert len(rich.generate(prompts, HOW, 0)) == 20
    assert server.answered == 20


def test_cost_is_that_of_the_tokens(server: OpenAIServer, tmp_path: Path) -> None:
    ledger = Ledger("cold_start.budget", Budget(cost=1.0))
    prices = {"prompt": 100_000.0, "completion": 300_000.0}
    paying = engine(server, tmp_path, ledger, prices=prices, endpoint={"concurrency": 1})
    found = paying.try_generate([f"two words{n}" for n in range(5)], HOW, [0] * 5)
    # 2 words in and 1 word out cost 0.5.
    assert [isinstance(item, Sample) for item in found] == [True, True, False, False, False]
    assert ledger.spent == TokenUsage(4, 2, 1.0)
    last = found[-1]
    assert isinstance(last, Missing)
    assert (last.kind, last.reason) == ("budget", "cold_start.budget.cost: 1 of 1 are spent")


def test_a_wider_ledger_stops_all(server: OpenAIServer, tmp_path: Path) -> None:
    wide = Ledger("all", Budget(tokens=4))
    for name in ("a", "b"):
        narrow = Ledger(name, Budget(tokens=100), wide)
        engine(server, tmp_path / name, narrow).try_generate(["x"], HOW, [0])
    with pytest.raises(BudgetSpent, match=r"all\.tokens: 4 of 4"):
        narrow.demand()
    assert wide.spent.tokens == 4


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    return KEY


def test_the_key_goes_into_the_header_alone(server: OpenAIServer, tmp_path: Path, secret: str) -> None:
    server.key = secret
    keyed = {"endpoint": {"api_key_env": "TEACHER_KEY"}}
    found = engine(server, tmp_path, **keyed).generate(["p"], HOW, 0)
    assert server.headers[0]["Authorization"] == f"Bearer {secret}"
    assert secret not in json.dumps(server.requests)
    server.faults = faults("echo_key")
    echoed = engine(server, tmp_path, **keyed).generate(["q"], HOW, 0)
    assert echoed[0].text == "my key is Bearer [key]"
    server.key = "another"
    refused = missing(engine(server, tmp_path, **keyed))
    assert 'answered 401: {"error": {"message": "bad key: Bearer [key]' in refused.reason
    assert secret not in str(found) + repr(refused) + repr(keyed)
    for file in tmp_path.rglob("*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("value", "says"), [("", "is not set; it must hold the key"), ("two words", "holds is no key"), ("é" * 9, "no key")]
)
def test_a_key_that_is_none_is_refused(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("TEACHER_KEY", value)
    with pytest.raises(EndpointRefused, match=says) as error:
        engine(server, tmp_path, endpoint={"api_key_env": "TEACHER_KEY"})
    assert not value or value not in str(error.value)


def test_closing_ends_what_is_under_way(server: OpenAIServer, tmp_path: Path) -> None:
    server.fault_of = lambda body: "hang"
    waiting = engine(server, tmp_path)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            waiting.generate(["p"], HOW, 0)
        except EndpointClosed as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not server.requests:
        time.sleep(0.005)
    waiting.close()
    waiting.close()
    thread.join(20)
    assert len(ended) == 1
    with pytest.raises(EndpointClosed):
        waiting.generate(["q"], HOW, 0)


def test_fields_are_added_and_left_out(server: OpenAIServer, tmp_path: Path) -> None:
    settings = {"extra_body": {"seed": None, "reasoning_effort": "low"}, "length_field": "max_completion_tokens"}
    engine(server, tmp_path, **settings).generate(["p"], HOW, 0)
    body = server.requests[0]
    assert (body["reasoning_effort"], body["max_completion_tokens"]) == ("low", 64)
    assert "seed" not in body
    assert "max_tokens" not in body


def test_a_cut_completion_is_not_complete(server: OpenAIServer, tmp_path: Path) -> None:
    server.reply = lambda prompt, seed: "word " * 9
    assert not engine(server, tmp_path).generate(["p"], Sampling(0.0, 8), 0)[0].complete
    assert engine(server, tmp_path).generate(["p"], Sampling(0.0, 9), 0)[0].complete


@pytest.mark.parametrize("mode", ["prompt_logprobs", "echo"])
def test_scores_equal_those_of_transformers(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef, in_process: Any, mode: str
) -> None:
    server.score, server.score_modes = scores_of(tiny_model.path), (mode,)
    requests = [
        ScoringRequest("Tom has ", ("3 apples", " and eats 2.")),
        ScoringRequest("Ann: ", (" x", (5, 6, 7)), ends=False),
    ]
    remote = engine(server, tmp_path, tokenizer=tiny_model.path)
    local = ShardedEngine(tiny_model, EngineSettings(), in_process, ShardStore(tmp_path / "shards"))
    found, expected = remote.score_with_lengths(requests), local.score_with_lengths(requests)
    for ours, theirs in zip(found, expected, strict=True):
        assert [count for _, count in ours] == [count for _, count in theirs]
        assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-4)
    assert remote.find_score_mode() == mode
    asked = len(server.requests)
    assert remote.score(requests) == [tuple(value for value, _ in row) for row in found]
    assert len(server.requests) == asked


def test_an_endpoint_without_prompt_logprobs_is_refused(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef
) -> None:
    server.score, server.score_modes = scores_of(tiny_model.path), ()
    with pytest.raises(EndpointRefused, match=r"gives no log-probabilities of prompts .*such as vLLM's server"):
        engine(server, tmp_path, tokenizer=tiny_model.path).score([ScoringRequest("a", ("b",))])
    with pytest.raises(EndpointRefused, match="scoring needs the model's tokenizer"):
        engine(server, tmp_path).score([ScoringRequest("a", ("b",))])
    assert len(server.requests) == 2


@pytest.mark.parametrize("change", [lambda s: [*s, -1.0, -1.0], lambda s: [*s[:-1], 0.5], lambda s: [*s[:-1], None]])
def test_scores_that_cannot_be_are_refused(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef, change: Any
) -> None:
    """Too many tokens, as after a begin-of-text token of the server's own; a probability above 1; a hole."""
    real = scores_of(tiny_model.path)
    server.score, server.score_modes = (lambda ids: change(real(ids))), ("echo",)
    with pytest.raises(EndpointRefused, match="by echo"):
        engine(server, tmp_path, tokenizer=tiny_model.path).find_score_mode()


def test_raw_prompts_are_sent_as_token_ids(server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef) -> None:
    engine(server, tmp_path, prompt_style="raw", tokenizer=tiny_model.path).generate(["Tom has 3"], HOW, 0)
    assert server.requests[0]["prompt"] == EndpointTokenizer(tiny_model.path).ids("Tom has 3")


def test_the_tokenizer_is_that_of_transformers(tiny_model: ModelRef) -> None:
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(tiny_model.path), EndpointTokenizer(tiny_model.path)
    for text in ("Tom has 3 apples.\n\n", "", "<!-- BEGIN PROBLEM -->ü€", " leading"):
        assert ours.ids(text) == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.end == theirs.eos_token_id


def test_a_tokenizer_that_is_none_is_named(tmp_path: Path) -> None:
    for content in ("{}", "[", ""):
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (tmp_path / file).write_text(content)
        with pytest.raises(TokenizerError, match=r"give a folder with tokenizer\.json"):
            EndpointTokenizer(str(tmp_path))
