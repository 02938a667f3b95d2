"""A server in vLLM's place whose completions take as long as it is told, most of it waiting, as on devices of its own.

`python -m benchmarks._waiting_server DEVICE ARGUMENTS... --host HOST --port PORT`, as `vllm_server.inside` is run. It
has vLLM's endpoints for what the client asks, holds the model by transformers, and takes weights as the real one does;
a completion has as many tokens as it may have, and comes `WAIT` seconds after it was asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.process.inside import take_channel

WAIT = "BENCHMARK_WAIT_S"
"""Names in the environment the seconds that a completion takes."""


class Model:
    """The model that the server holds; one thread at a time."""

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(1)
        self._torch = torch
        self._network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._lock = threading.Lock()

    def take(self, file: str) -> None:
        """Takes weights from a file."""
        from safetensors.torch import load_file

        with self._lock:
            self._network.load_state_dict(load_file(file), strict=False)

    def scores(self, ids: list[int]) -> list[Any]:
        """Log-probabilities of a prompt, as vLLM tells them."""
        with self._lock, self._torch.no_grad():
            rows = self._network(self._torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        told = [{str(token): {"logprob": float(row[token])}} for token, row in zip(ids[1:], rows, strict=True)]
        return [None, *told]

    def write(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A completion and its log-probabilities, as vLLM tells them."""
        torch = self._torch
        dice, written, said = torch.Generator().manual_seed(asked["seed"]), [], []
        with self._lock, torch.no_grad():
            found = self._network(torch.tensor([asked["prompt"]]), use_cache=True)
            while True:
                rates = (found.logits[0, -1] / asked["temperature"]).log_softmax(-1)
                token = int(torch.multinomial(rates.exp(), 1, generator=dice))
                written.append(token)
                said.append(float(rates[token]))
                if len(written) == asked["max_tokens"]:
                    break
                last = {"past_key_values": found.past_key_values, "use_cache": True}
                found = self._network(torch.tensor([[token]]), **last)
        told = {"tokens": [f"token_id:{token}" for token in written], "token_logprobs": said}
        return {"token_ids": written, "logprobs": told | {"top_logprobs": [None] * len(said)}}


class Waiting(BaseHTTPRequestHandler):
    """Answers as vLLM does, late."""

    server: Held
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health, the model's name, and what TRL asks of the server's settings."""
        mode = {"vllm_config": {"model_config": {"logprobs_mode": "processed_logprobs"}}}
        self._tell({"/v1/models": {"data": [{"id": "policy"}]}, "/server_info": mode}.get(self._path(), {}))

    def do_POST(self) -> None:
        """Weights, log-probabilities, completions."""
        begun = time.monotonic()
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        model = self.server.model
        if self._path() == "/collective_rpc":
            model.take(asked["args"][0])
            self._tell({"results": [None]})
        elif self._path() == "/reset_prefix_cache":
            self._tell({"success": True})
        elif "prompt_logprobs" in asked:
            self._tell({"choices": [{"prompt_logprobs": model.scores(ids)} for ids in asked["prompt"]]})
        else:
            choice = model.write(asked)
            time.sleep(max(0.0, begun + self.server.wait_s - time.monotonic()))
            self._tell({"choices": [choice]})

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _tell(self, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Held(ThreadingHTTPServer):
    """With its model."""

    request_queue_size = 1024
    model: Model
    wait_s: float


def serve(arguments: list[str]) -> None:
    """Serves until the owner ends."""
    take_channel()
    parser = argparse.ArgumentParser()
    for name in ("--model", "--host"):
        parser.add_argument(name)
    parser.add_argument("--port", type=int)
    given, _ = parser.parse_known_args(arguments)
    model = Model(given.model)
    server = Held((given.host, given.port), Waiting)
    server.model, server.wait_s = model, float(os.environ[WAIT])
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[2:])
