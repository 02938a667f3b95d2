"""An endpoint's answer with a wrong type in any field is a faulty answer: it costs itself, and never the run."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfplay.config.annotation import OpenAIEngine
from selfplay.engines.api.engine import ApiEngine
from selfplay.engines.api.wire import read_sample, read_scores
from selfplay.engines.base import Missing, ModelRef, Sample, Sampling, ScoringRequest
from selfplay.run.store import SampleStore
from verifiers.endpoint.client import EndpointError
from verifiers.judge.verifier import ModelJudge
from verifiers.model import Task

CHAT = {
    "choices": [{"message": {"content": "4", "reasoning_content": "so"}, "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
RAW = {"choices": [{"text": "4", "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
IDS = (5, 6, 7)
ROWS = [None, {"6": {"logprob": -1.0, "rank": 1}}, {"7": {"logprob": -0.5}, "8": {"logprob": -2.0}}]
NAMED = {"choices": [{"text": "", "prompt_logprobs": ROWS}], "usage": RAW["usage"]}
ECHOED = {"choices": [{"text": "", "logprobs": {"token_logprobs": [None, -1.0, -0.5, -3.0]}}], "usage": RAW["usage"]}
ANSWERS: dict[str, dict[str, Any]] = {"chat": CHAT, "raw": RAW, "prompt_logprobs": NAMED, "echo": ECHOED}
VALUES = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        3.5,
        -0.0,
        1e308,
        10**400,
        -(10**400),
        2**63,
        "",
        "x",
        "\ud800",
        "7",
        [],
        {},
        [1],
        [[]],
    ),
    *([None], ["x"], {"a": 1}, {"content": 1}, [{"text": {}}], float("nan"), float("inf"), -float("inf")),
]


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in inner:
        yield from paths(held, (*at, key))


def changed(answer: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    found = copy.deepcopy(answer)
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return found


CASES = [(kind, path) for kind, answer in ANSWERS.items() for path in paths(answer)]
JSON = st.recursive(
    st.sampled_from(VALUES) | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "text", "6", "logprob"]), inner)
    ),
    max_leaves=8,
)


def read(kind: str, answer: Any) -> None:
    """Reads an answer as the engine does: a result of the right types, or a ValueError."""
    if kind in ("chat", "raw"):
        sample = read_sample(answer, keep_thinking=True)
        assert isinstance(sample.text, str)
        assert all(
            type(count) is int and 0 <= count < 1 << 41 for count in (sample.prompt_tokens, sample.completion_tokens)
        )
        return
    scored = read_scores(answer, IDS, kind)  # type: ignore[arg-type]
    assert len(scored.logprobs) == len(IDS)
    assert all(isinstance(value, float) and -1e309 < value <= 1e-3 for value in scored.logprobs)


@pytest.mark.parametrize("kind", ANSWERS)
def test_right_answers_are_read(kind: str) -> None:
    read(kind, ANSWERS[kind])


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_every_type_in_every_field_is_read_or_faulty(kind: str, path: tuple[str | int, ...]) -> None:
    for value in VALUES:
        with contextlib.suppress(ValueError):
            read(kind, changed(ANSWERS[kind], path, value))


@settings(max_examples=300)
@given(case=st.sampled_from(CASES), value=JSON)
def test_whatever_stands_in_a_field_is_read_or_faulty(case: tuple[str, tuple[str | int, ...]], value: Any) -> None:
    kind, path = case
    with contextlib.suppress(ValueError):
        read(kind, changed(ANSWERS[kind], path, value))


class Server:
    """Answers every request with the next of the bodies, and the last one again and again."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                body = server.bodies.pop(0) if len(server.bodies) > 1 else server.bodies[0]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    own = Server()
    yield own
    own.http.shutdown()
    own.http.server_close()


def bodies(kind: str) -> list[bytes]:
    """An answer with each value in each of its fields, and some that are no JSON objects."""
    found = [json.dumps(changed(ANSWERS[kind], path, v)) for path in paths(ANSWERS[kind]) for v in VALUES]
    return [*(body.encode() for body in found), b"", b"{", b"[" * 100_000, b"\xff\xfe", b"9" * 5000, b"null", b'"x"']


def settings_of(server: Server, **more: Any) -> OpenAIEngine:
    endpoint = {"base_url": server.url, "attempts": 1, "pause_s": 0, "concurrency": 4}
    return OpenAIEngine.model_validate({"kind": "openai", "model": "m", "endpoint": endpoint} | more)


@pytest.mark.parametrize("style", ["chat", "raw"])
def test_an_engine_goes_on_after_any_answer(server: Server, tmp_path: Path, style: str) -> None:
    """As rollouts, annotators, judges of prompts and teachers ask."""
    store = SampleStore(tmp_path / "answers.sqlite")
    engine = ApiEngine(settings_of(server, prompt_style=style), store, "teacher")
    try:
        wrong = bodies(style)
        server.bodies = [*wrong, json.dumps(ANSWERS[style]).encode()]
        for number in range(len(wrong)):
            [found] = engine.try_generate([f"p{number}"], Sampling(0.5, 8), [number])
            assert isinstance(found, Sample | Missing)
            engine._down, engine._silent = "", 0
        [last] = engine.try_generate(["last"], Sampling(0.5, 8), [1])
        assert isinstance(last, Sample)
        assert last.text == "4"
    finally:
        engine.close()
        store.close()


def test_scores_go_on_after_any_answer(server: Server, tmp_path: Path, tiny_model: ModelRef) -> None:
    store = SampleStore(tmp_path / "answers.sqlite")
    engine = ApiEngine(settings_of(server, tokenizer=tiny_model.path), store, "scorer")
    engine._score_mode = "prompt_logprobs"
    try:
        for body in bodies("prompt_logprobs"):
            server.bodies = [body]
            engine._down, engine._silent = "", 0
            with pytest.raises(EndpointError):
                engine.score([ScoringRequest("one two", (" three",))])
    finally:
        engine.close()
        store.close()


def test_a_judge_goes_on_after_any_answer(server: Server) -> None:
    judge = ModelJudge(base_url=server.url, model="m", attempts=1)
    try:
        for body in bodies("chat"):
            server.bodies = [body]
            assert judge.verify(Task("2 + 2?", "4"), "4").passed is None
    finally:
        judge.close()


@pytest.mark.parametrize(
    "row", [b"", b"{", b"3", b"[]", b"{}", b'{"text": 1}', b'{"text": "a"}', b"\xff", b"[" * 10_000]
)
def test_a_kept_answer_that_is_damaged_is_asked_for_again(server: Server, tmp_path: Path, row: bytes) -> None:
    store = SampleStore(tmp_path / "answers.sqlite")
    engine = ApiEngine(settings_of(server), store, "teacher")
    server.bodies = [json.dumps(CHAT).encode()]
    try:
        whole = engine.generate(["p"], Sampling(0.5, 8), 0)
        with store._lock, store._database:
            store._database.execute("UPDATE answers SET answer = ?", (row,))
        assert engine.generate(["p"], Sampling(0.5, 8), 0) == whole
    finally:
        engine.close()
        store.close()
