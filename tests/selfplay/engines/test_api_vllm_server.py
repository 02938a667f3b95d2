"""The engine of endpoints against vLLM's own server; runs in the environment that `make vllm` makes."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from selfplay.config.annotation import OpenAIEngine
from selfplay.config.compute import EngineSettings
from selfplay.engines.api.engine import ApiEngine
from selfplay.engines.api.probe import probe
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.store import SampleStore, ShardStore
from verifiers.endpoint.client import EndpointRefused

PROMPTS = [f"Write a problem.\nConcepts:\n{n}. adding\nDifficulty Level: {n % 4}\n" for n in range(12)]
REQUESTS = [
    ScoringRequest("Write a problem.\n1. doubling\n", ("Double it.", "Tom has 5 plums. How many?")),
    ScoringRequest("Concepts:\n1. limit\n", ("a" * 90, "b"), ends=False),
    ScoringRequest("prefix ", ((5, 6, 7), "and text")),
]
KEY = "a-key-for-this-test"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make vllm"),
]


@pytest.fixture(scope="module")
def server(small_model: ModelRef) -> Iterator[str]:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port = probe_socket.getsockname()[1]
    settings = ["--served-model-name", "small", "--dtype", "float32", "--enforce-eager", "--max-model-len", "512"]
    line = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", small_model.path, *settings]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": KEY}
    process = subprocess.Popen([*line, "--host", "127.0.0.1", "--port", str(port)], env=environment)
    deadline = time.monotonic() + 300
    try:
        while not _healthy(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def remote(server: str, small_model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiEngine]:
    monkeypatch.setenv("SMALL_KEY", KEY)
    engine = ApiEngine(settings(server, small_model), SampleStore(tmp_path / "answers.sqlite"), "small")
    yield engine
    engine.close()


def settings(url: str, served: ModelRef, **more: Any) -> OpenAIEngine:
    whole = {
        "kind": "openai",
        "model": "small",
        "prompt_style": "raw",
        "tokenizer": served.path,
        "extra_body": {"top_k": -1, "skip_special_tokens": False},
        "endpoint": {"base_url": url, "api_key_env": "SMALL_KEY", "concurrency": 8},
    }
    return OpenAIEngine.model_validate(whole | more)


@pytest.fixture
def local(small_model: ModelRef, in_process: Any, tmp_path: Path) -> ShardedEngine:
    return ShardedEngine(small_model, EngineSettings(), in_process, ShardStore(tmp_path / "shards"))


def test_greedy_completions_are_those_of_transformers(remote: ApiEngine, local: ShardedEngine) -> None:
    ours, theirs = (engine.generate(PROMPTS, Sampling(0.0, 24), 0) for engine in (remote, local))
    for a, b in zip(ours, theirs, strict=True):
        # vLLM leaves out bytes at the end that are no character yet; an untrained model ends with such.
        assert a.text.rstrip("\ufffd") == b.text.rstrip("\ufffd")
        assert (a.complete, a.prompt_tokens) == (b.complete, b.prompt_tokens)
        assert a.completion_tokens == b.completion_tokens


@pytest.mark.parametrize("mode", ["prompt_logprobs", "echo"])
def test_scores_are_those_of_transformers(
    remote: ApiEngine, local: ShardedEngine, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr("selfplay.engines.api.engine.SCORE_MODES", (mode,))
    assert remote.find_score_mode() == mode
    for ours, theirs in zip(remote.score(REQUESTS), local.score(REQUESTS), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3, rel=1e-5)


def test_a_sample_has_a_seed_of_its_own(remote: ApiEngine, server: str, small_model: ModelRef, tmp_path: Path) -> None:
    first = remote.generate(PROMPTS, Sampling(1.0, 24), 3)
    again = ApiEngine(settings(server, small_model), SampleStore(tmp_path / "other.sqlite"), "small")
    assert again.generate(PROMPTS[::-1], Sampling(1.0, 24), 3)[::-1] == first
    assert len({sample.text for sample in first}) > 6
    again.close()


def test_the_probe_finds_what_it_can_do(server: str, small_model: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", KEY)
    found = probe(settings(server, small_model), "teacher", Sampling(0.7, 64), scores=True)
    assert found == f"small at {server} answers, scores by prompt_logprobs"
    with pytest.raises(EndpointRefused, match="/completions answered 404"):
        probe(settings(server, small_model, model="large"), "teacher", Sampling(0.7, 64), scores=False)
    monkeypatch.setenv("SMALL_KEY", "another-key-than-it-has")
    with pytest.raises(EndpointRefused, match="/completions answered 401"):
        probe(settings(server, small_model), "teacher", Sampling(0.7, 64), scores=False)
