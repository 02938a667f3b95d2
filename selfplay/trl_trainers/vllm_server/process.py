"""The process of the server that rolls out: started, watched, started again where it died or hangs, and ended."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from sandbox.process.child import Child, exit_reason
from selfplay.compute.rendezvous import LOOPBACK
from selfplay.config.errors import UserError
from selfplay.config.section import Supervision
from selfplay.trl_trainers.vllm_rollouts.process_state import VARIABLES
from selfplay.trl_trainers.vllm_server.inside import HERE, KEY

HOST = "127.0.0.1"
DEVELOPMENT = {
    # The endpoints that exchange weights; `Door` stands before them.
    "VLLM_SERVER_DEV_MODE": "1",
    # What computes begins as a fresh interpreter, which then ends with the server.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
COUNTERS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total")
"""Of vLLM's metrics, those that grow with every step that it makes."""
_TICK_S = 0.2
_ANSWER_S = 20.0


class ServerGone(Exception):
    """The server died, hangs, or cannot go on; the message says which, as a verb."""


class ServerLost(UserError):
    """The server cannot be kept going; the message says why, and what to do."""


class RolloutServer:
    """One server at a time, at a free port of the loopback, with a key that only its owner knows."""

    def __init__(
        self, arguments: Sequence[str], device: str, gpus: str, limits: Supervision, module: str = HERE
    ) -> None:
        """
        Args:
            arguments: of vLLM's server, without where it listens.
            device: `cpu` or `cuda`.
            gpus: those that it sees, as CUDA_VISIBLE_DEVICES names them.
            limits: how long it may take, and how often it is started again.
            module: what is run, as `inside` is.
        """
        self._arguments, self._device, self._gpus = list(arguments), device, gpus
        self._module = module
        self.limits = limits
        self.key = secrets.token_hex(16)
        self.url = ""
        self.restarts = 0
        """In all."""
        self._child: Child | None = None
        self._lock = threading.Lock()
        """For what a batch that is drawn ahead does from its own thread."""
        self._barren = 0
        self._opener = build_opener(ProxyHandler({}))

    def open(self) -> None:
        """Starts it, and waits until it answers; where that fails, again, as often as the limits say.

        Raises:
            ServerLost: it fails each time.
        """
        while True:
            try:
                return self._start()
            except ServerGone as fault:
                self._count(str(fault), 0)

    def renew(self, reason: str, finished: int) -> None:
        """Ends it and starts another.

        Args:
            reason: why, as a verb.
            finished: completions that it has written since the last time.

        Raises:
            ServerLost: it has failed too often without having written any.
        """
        self._count(reason, finished)
        self.open()

    def _count(self, reason: str, finished: int) -> None:
        self.close()
        self.restarts += 1
        self._barren = 1 if finished else self._barren + 1
        print(f"training.grpo.rollouts: the vLLM server {reason}", file=sys.stderr, flush=True)
        if self._barren > self.limits.restarts:
            times = "once" if self._barren == 1 else f"{self._barren} times in a row"
            raise ServerLost(
                f"training.grpo.rollouts: the vLLM server failed {times} without finishing one more completion; at "
                f"last it {reason}; see workers.log, and raise the limits in training.grpo.vllm.supervision if it was "
                "only slow"
            )

    def _start(self) -> None:
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        own = [self._device, *self._arguments, "--host", HOST, "--port", str(port)]
        # What it prints goes where the worker's goes.
        self._child = Child(self._module, own, environment=self._environment(), stderr=2)
        until = time.monotonic() + self.limits.opening_s
        while not self.answers():
            if reason := self.ended():
                raise ServerGone(reason)
            if time.monotonic() > until:
                raise ServerGone(f"was not ready within {self.limits.opening_s:g} s")
            time.sleep(_TICK_S)

    def _environment(self) -> dict[str, str]:
        # It is no rank of the trainer's group.
        kept = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "LOCAL_WORLD_SIZE")}
        return kept | DEVELOPMENT | LOOPBACK | {KEY: self.key, "CUDA_VISIBLE_DEVICES": self._gpus}

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._child is not None
        return self._child.pid

    def ended(self) -> str:
        """How its process ended, as a verb; empty while it runs."""
        with self._lock:
            if self._child is None:
                return "was ended"
            return exit_reason(self._child.end()) if self._child.wait(0) else ""

    def answers(self) -> bool:
        """Whether it says that it is well."""
        return self._asked("/health") is not None

    def progress(self) -> float | None:
        """A number that grows with every token that it reads or writes; None where it does not answer."""
        text = self._asked("/metrics")
        if text is None:
            return None
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(COUNTERS)]
        return sum(map(float, found))

    def _asked(self, path: str) -> str | None:
        request = Request(self.url + path, headers={"Authorization": f"Bearer {self.key}"})
        try:
            with self._opener.open(request, timeout=_ANSWER_S) as answer:
                return str(answer.read().decode())
        except (URLError, OSError):
            return None

    def close(self) -> None:
        """Ends it and all that it has started."""
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None


def free_port() -> int:
    """A port of the loopback at which nothing listens."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Arguments of vLLM's EngineArgs as vLLM's server takes them; None leaves one out."""
    words = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, dict | list | tuple):
            words += [f"--{option}", json.dumps(value)]
        elif value is not None:
            words += [f"--{option}", str(value)]
    return words
