"""The server's side: vLLM's own server, which ends with its owner and lets nobody in without the run's key.

`python -m selfplay.trl_trainers.vllm_server.inside DEVICE ARGUMENTS...` takes the arguments of that server. The
endpoints by which weights are exchanged are those that vLLM has for development, which ask nobody who they are; so
`Door` stands before all of them. `WeightTaker` is in each of its workers, and takes weights where there is no NCCL.
"""

from __future__ import annotations

import hmac
import os
import runpy
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from sandbox.process.inside import die_with_parent, take_channel
from selfplay.engines import vllm_opening

KEY = "SELFPLAY_ROLLOUT_KEY"
"""Names in the server's environment what a request must bear."""
OPEN_TO_ALL = ("/health",)
SERVER = "vllm.entrypoints.openai.api_server"
HERE = "selfplay.trl_trainers.vllm_server.inside"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Door:
    """ASGI middleware that answers 401 where a request does not bear the key."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._wanted = f"Bearer {os.environ[KEY]}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_TO_ALL or self._bears_the_key(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"the key of the run is missing"})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _bears_the_key(self, scope: Message) -> bool:
        shown = dict(scope.get("headers", ())).get(b"authorization", b"")
        return hmac.compare_digest(shown, self._wanted)


class WeightTaker:
    """A part of each of vLLM's workers (`worker_extension_cls`): takes weights from a file of the trainer's."""

    model_runner: Any

    def take_weights(self, file: str) -> None:
        """Loads a file of safetensors in the names of a checkpoint into the model."""
        vllm_opening.prepare("cpu")
        self.model_runner.reload_weights(weights_iterator=_tensors(Path(file)))


def _tensors(file: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as found:
        for name in found.keys():  # noqa: SIM118 - it is no mapping
            yield name, found.get_tensor(name)


def serve(device: str, arguments: list[str]) -> None:
    """Serves until the owner ends."""
    take_channel()
    if device == "cpu":
        vllm_opening.prepare(device)
    # The command `vllm serve` does not begin where vLLM is installed under another name, as its CPU build is.
    sys.argv = [SERVER, *arguments]
    runpy.run_module(SERVER, run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
elif __name__ == "__mp_main__":
    # A process that the server has spawned, which holds the model, begins by importing this. By itself it would outlive
    # a server that is killed, and keep the GPU's memory.
    die_with_parent(os.getppid())
