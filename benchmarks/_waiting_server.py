"""A server in vLLM's place whose completions take as long as it is told, most of it waiting, as on devices of its own.

It has vLLM's endpoints for what the client asks, holds the model by transformers, and takes weights as the real one
does; a completion has as many tokens as it may have.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from selfplay.trl_trainers.vllm_rollouts.process_state import undisturbed_dice
from selfplay.trl_trainers.vllm_server.process import HOST, RolloutServer


class Model:
    """The model that the server holds; one thread at a time."""

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._torch = torch
        with undisturbed_dice():
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


class WaitingServer(RolloutServer):
    """A `RolloutServer` in a thread of this process."""

    wait_s: ClassVar[float] = 0.0
    """Seconds that a completion takes at least."""
    _held: Held | None = None

    def _start(self) -> None:
        self._held = Held((HOST, 0), Waiting)
        self._held.model = Model(self._arguments[self._arguments.index("--model") + 1])
        self._held.wait_s = type(self).wait_s
        self.url = f"http://{HOST}:{self._held.server_address[1]}"
        threading.Thread(target=self._held.serve_forever, args=(0.05,), daemon=True).start()

    def ended(self) -> str:
        """It ends where it is told to, and nowhere else."""
        return "" if self._held is not None else "was ended"

    def progress(self) -> float | None:
        """It always goes on."""
        return time.monotonic()

    def close(self) -> None:
        """Ends it."""
        if self._held is not None:
            held, self._held = self._held, None
            held.shutdown()
            held.server_close()
