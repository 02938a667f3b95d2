"""A server with vLLM's endpoints and a toy engine behind it, in a thread; it dies where a test says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from safetensors.torch import load_file
from trl.generation import vllm_client

from selfplay.trl_trainers.vllm_rollouts.process_state import undisturbed_dice
from selfplay.trl_trainers.vllm_server import served
from selfplay.trl_trainers.vllm_server.process import HOST, RolloutServer
from tests.selfplay.trl_trainers.toy_vllm import SamplingParams, ToyLLM

__all__ = ["toy_server"]


class Handler(BaseHTTPRequestHandler):
    """Answers as vLLM does."""

    server: Listener
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        mode = {"vllm_config": {"model_config": {"logprobs_mode": "processed_logprobs"}}}
        known: dict[str, Any] = {"/v1/models": {"data": [{"id": "policy"}]}, "/server_info": mode}
        self._tell(known[self.path.partition("?")[0]])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        toy = self.server.toy
        if self.headers["Authorization"] != f"Bearer {toy.key}":
            self.send_error(401)
        elif self.path == "/collective_rpc":
            assert asked["method"] == "take_weights"
            toy.engine.collective_rpc("reload_weights", {"weights_iterator": load_file(asked["args"][0]).items()})
            self._tell({"results": [None]})
        elif self.path.partition("?")[0] in ("/reset_prefix_cache", "/pause", "/resume"):
            self.server.toy.told.append(self.path)
            self._tell({"success": True})
        elif "prompt_logprobs" in asked:
            prompts = [{"prompt_token_ids": ids} for ids in asked["prompt"]]
            found = toy.engine.generate(prompts, SamplingParams(prompt_logprobs=0))
            self._tell({"choices": [{"prompt_logprobs": _plain(one.prompt_logprobs)} for one in found]})
        else:
            toy.requests.append(asked)
            if toy.dies_at and len(toy.requests) >= toy.dies_at:
                toy.die()
                self.close_connection = True
                return
            names = ("max_tokens", "temperature", "seed", "stop_token_ids", "top_p")
            how = SamplingParams(**{name: asked[name] for name in names})
            [found] = toy.engine.generate([{"prompt_token_ids": asked["prompt"]}], how)
            [one] = found.outputs
            said = [next(iter(position.values())).logprob for position in one.logprobs]
            told = {"tokens": [f"token_id:{token}" for token in one.token_ids], "token_logprobs": said}
            told |= {"top_logprobs": [None] * len(said)}
            self._tell({"choices": [{"token_ids": one.token_ids, "logprobs": told}]})

    def _tell(self, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _plain(positions: list[Any]) -> list[Any]:
    return [None, *({str(t): {"logprob": found.logprob} for t, found in row.items()} for row in positions[1:])]


class Listener(ThreadingHTTPServer):
    """With its owner."""

    toy: ToyServer


class ToyServer(RolloutServer):
    """A `RolloutServer` without a process; its engine opens the model of the arguments."""

    engine: ToyLLM
    opened: ClassVar[list[ToyServer]] = []
    llm: ClassVar[type[ToyLLM]]
    dies_at: int = 0
    """The request for a completion, counted over all servers, at which it dies; 0 for none."""
    deaths: int = 0

    def __init__(self, *given: Any, **others: Any) -> None:
        super().__init__(*given, **others)
        self.requests: list[dict[str, Any]] = []
        self.told: list[str] = []
        """Requests that ask for nothing to be written, in order."""
        self._listener: Listener | None = None
        type(self).opened.append(self)

    def _start(self) -> None:
        words = self._arguments
        with undisturbed_dice():  # which are another process's
            self.engine = type(self).llm(model=words[words.index("--model") + 1], seed=0)
        self._listener = Listener((HOST, 0), Handler)
        self._listener.toy = self
        self.url = f"http://{HOST}:{self._listener.server_address[1]}"
        threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True).start()

    def die(self) -> None:
        """Ends as a process does that is killed."""
        self.dies_at = 0
        self.deaths += 1
        self.close()

    def ended(self) -> str:
        return "was ended by SIGKILL" if self._listener is None else ""

    def progress(self) -> float | None:
        return float(len(self.requests))

    def close(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener.shutdown()
            listener.server_close()


@pytest.fixture
def toy_server(toy_vllm: type[ToyLLM], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ToyServer]]:
    """Stands in the server's place."""

    class Server(ToyServer):
        opened: ClassVar[list[ToyServer]] = []
        llm = toy_vllm

    monkeypatch.setattr(served, "RolloutServer", Server)
    monkeypatch.setattr(vllm_client, "is_vllm_available", lambda **_: True)
    yield Server
    for server in Server.opened:
        server.close()
