"""A real OpenAI-compatible server on loopback, in a thread of the test process, that can also misbehave.

Its answers are a function of prompt and seed, so that a test can tell what must come. Faults come first: each request
takes the next one from a list, or what a function of the request says.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Reply = Callable[[str, int], str]
"""Prompt and seed to the text of a completion."""
Score = Callable[[Sequence[int]], list[float]]
"""Token ids to the log-probability of each but the first."""

GARBAGE = b'{"choices": [{"mess'
HUGE = 1 << 21


def numbered(prompt: str, seed: int) -> str:
    """A completion that no other prompt and seed have."""
    return hashlib.sha256(f"{prompt}|{seed}".encode()).hexdigest()


class OpenAIServer:
    """What the server does, and what it has seen."""

    def __init__(self, reply: Reply = numbered, score: Score | None = None) -> None:
        self.reply, self.score = reply, score
        self.faults: deque[str] = deque()
        self.fault_of: Callable[[Body], str] = lambda body: ""
        self.key: str | None = None
        self.score_modes: tuple[str, ...] = ("prompt_logprobs", "echo")
        self.usage = True
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.answered = 0
        self.most_at_once = 0
        self.hold = threading.Event()
        """Requests with the fault `hang` wait for it."""
        self._now = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        """What a recipe has as `base_url`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def prompts(self) -> list[str]:
        """The prompts asked so far, as often as they were asked."""
        return [prompt_of(body) for body in self.requests]

    def close(self) -> None:
        """Lets go of those who wait, and ends."""
        self.hold.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def begin(self, body: Body, headers: dict[str, str]) -> str:
        """Notes a request; returns its fault."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            return self.faults.popleft() if self.faults else self.fault_of(body)

    def end(self, answered: bool) -> None:
        """Notes that a request is over."""
        with self._lock:
            self._now -= 1
            self.answered += answered

    def answer(self, path: str, body: Body) -> Body:
        """The JSON of a good answer."""
        if path.endswith("/chat/completions"):
            text = self.reply(prompt_of(body), body.get("seed", 0))
            choice: Body = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        else:
            text = self.reply(prompt_of(body), body.get("seed", 0))
            choice = {"index": 0, "text": text, "finish_reason": "stop"} | self._scores(body)
        limit = body.get("max_tokens", body.get("max_completion_tokens", 1 << 20))
        if len(text.split()) > limit:
            choice["finish_reason"] = "length"
        usage = {"prompt_tokens": len(prompt_of(body).split()), "completion_tokens": len(text.split())}
        return {"object": "completion", "model": body["model"], "choices": [choice]} | (
            {"usage": usage} if self.usage else {}
        )

    def _scores(self, body: Body) -> Body:
        if self.score is None:
            return {}
        ids = body["prompt"]
        if "prompt_logprobs" in body and "prompt_logprobs" in self.score_modes:
            rows = [{str(i): {"logprob": s, "rank": 1}} for i, s in zip(ids[1:], self.score(ids), strict=True)]
            return {"prompt_logprobs": [None, *rows]}
        if body.get("echo") and "echo" in self.score_modes:
            return {"logprobs": {"token_logprobs": [None, *self.score(ids), -1.0]}}
        return {}


def prompt_of(body: Body) -> str:
    """The prompt of a request, whichever its kind."""
    if "messages" in body:
        return str(body["messages"][-1]["content"])
    return body["prompt"] if isinstance(body["prompt"], str) else " ".join(map(str, body["prompt"]))


@contextmanager
def openai_server(reply: Reply = numbered, **settings: Any) -> Iterator[OpenAIServer]:
    """A server for the length of a `with`."""
    server = OpenAIServer(reply, settings.pop("score", None))
    for name, value in settings.items():
        setattr(server, name, value)
    try:
        yield server
    finally:
        server.close()


def faults(*names: str) -> deque[str]:
    """The faults of the first requests, in order; an empty name is none."""
    return deque(names)


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = server.begin(body, dict(self.headers.items()))
            answered = False
            try:
                answered = self._respond(body, fault)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                server.end(answered)

        def _respond(self, body: Body, fault: str) -> bool:
            if server.key is not None and self.headers.get("Authorization") != f"Bearer {server.key}":
                self._send(401, {"error": {"message": f"bad key: {self.headers.get('Authorization')}"}})
            elif fault == "hang":
                server.hold.wait(30)
                self.close_connection = True
            elif fault == "close":
                self.close_connection = True
            elif fault == "truncate":
                content = json.dumps(server.answer(self.path, body)).encode()
                self._head(200, len(content))
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif fault == "garbage":
                self._send_bytes(200, GARBAGE)
            elif fault == "huge":
                self._send_bytes(200, b'{"pad": "' + b"x" * HUGE + b'"}')
            elif fault == "empty":
                self._send(200, {"choices": []})
            elif fault == "echo_key":
                self._send_text(body, f"my key is {self.headers.get('Authorization')}")
            elif fault:
                code, _, after = fault.partition(" ")
                self._send(int(code), {"error": {"message": f"fault {code}"}}, after)
            else:
                self._send(200, server.answer(self.path, body))
                return True
            return False

        def _send_text(self, body: Body, text: str) -> None:
            answer = server.answer(self.path, body)
            answer["choices"][0]["message"]["content"] = text
            self._send(200, answer)

        def _send(self, code: int, content: Body, retry_after: str = "") -> None:
            self._send_bytes(code, json.dumps(content).encode(), retry_after)

        def _send_bytes(self, code: int, content: bytes, retry_after: str = "") -> None:
            self._head(code, len(content), retry_after)
            self.wfile.write(content)

        def _head(self, code: int, length: int, retry_after: str = "") -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: tests look at what was noted."""

    return Handler


def scores_of(folder: str) -> Score:
    """Real log-probabilities, by transformers, of the model in a folder."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def score(ids: Iterable[int]) -> list[float]:
        tokens = torch.tensor([list(ids)])
        with torch.inference_mode():
            logprobs = network(tokens).logits[0, :-1].log_softmax(-1)
        return [float(x) for x in logprobs.gather(1, tokens[0, 1:, None]).squeeze(1)]

    return score
