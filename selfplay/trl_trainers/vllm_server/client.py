"""TRL's client of a vLLM server, asking for each completion by itself, so that a server that dies loses few of them.

A request for a completion bears the seed that it has of the step, the call and its place, as within the trainer's
process; what was finished is kept, and only the others are asked of the next server. Weights go by NCCL, which is
TRL's own, or, on a CPU, by a file in the workers' folder.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from trl.generation.vllm_client import VLLMClient

from selfplay.config.errors import UserError
from selfplay.run.seeding import derive
from selfplay.trl_trainers.vllm_rollouts.probe import Logprobs, TokenIds
from selfplay.trl_trainers.vllm_server.drawing import AT_ONCE, Ahead, Drawing
from selfplay.trl_trainers.vllm_server.process import RolloutServer, ServerGone, free_port

NOTHING: dict[str, Any] = {
    "prompt_ids": [],
    "completion_ids": [],
    "logprobs": None,
    "logprob_token_ids": None,
}
"""The answer that tells all ranks at once, through TRL's own broadcast, that the server was lost."""


class ServerRefusal(UserError):
    """The server does not take what it is asked."""


class TooStale(RuntimeError):
    """Completions are of older weights than they may be."""


class RolloutClient(VLLMClient):
    """The one client of a `RolloutServer`, on the first rank."""

    def __init__(
        self,
        server: RolloutServer,
        device: Any,
        seed: int,
        ends: Sequence[int],
        patience_s: float,
        most_stale: int = 0,
    ) -> None:
        """
        Args:
            server: is open.
            device: of the trainer's first rank.
            seed: of all completions.
            ends: ids that end a completion, besides those that the engine knows.
            patience_s: longest wait for anything but completions.
            most_stale: syncs by which the weights may be ahead of those that wrote a completion.
        """
        self._server, self._device = server, device
        self._seed, self._ends, self._patience_s = seed, list(ends), patience_s
        self._step, self._calls = 0, 0
        self._most_stale = most_stale
        self._stalest: list[int] = []
        """For each call, the syncs by which its oldest completion was behind."""
        self._weights, self._synced_at = 0, -1
        """The number of the weights that the server has, and the step of which they are."""
        self._drawing: Drawing | None = None
        self._begins: int | None = None
        self._ahead: Ahead | None = None
        self._kept: dict[str, Any] | None = None
        self._lost, self._finished = "", 0
        self._connect()

    def _connect(self) -> None:
        super().__init__(base_url=self._server.url, group_port=free_port())
        self.init_communicator(self._device)

    def check_server(self, total_timeout: float = 0.0, retry_interval: float = 2.0) -> None:
        """The server was waited for. What comes next bears the key, passes no proxy, and is asked once."""
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {self._server.key}"
        self.session.mount("http://", HTTPAdapter(max_retries=0, pool_maxsize=AT_ONCE))

    def renew(self, reason: str | None) -> None:
        """Starts the server again, and meets it; it has the weights of the model's folder then.

        Args:
            reason: how it was lost, as a verb; None where the last call of `generate` has met that.

        Raises:
            ServerLost: it has failed too often.
        """
        finished, self._finished = self._finished, 0
        self.close_communicator()
        self._server.renew(reason or self._lost, finished)
        self._connect()

    def figures(self) -> dict[str, float]:
        """How often the server was started again, and how old completions were since the last time."""
        stalest, self._stalest = self._stalest, []
        return {"sampling/restarts": float(self._server.restarts)} | (
            {"sampling/staleness": float(max(stalest))} if stalest else {}
        )

    def at(self, step: int) -> None:
        """Says at which step of the training the next completions are drawn."""
        if step != self._step:
            self._step, self._calls = step, 0

    def begins(self, step: int) -> None:
        """Has the next call begin what a later step's first call will ask for, and wait for nothing."""
        self._begins = step

    def join(self) -> str | None:
        """Waits for what was begun; how the server was lost meanwhile, if it was."""
        return None if self._ahead is None else self._ahead.join()

    def ahead_state(self) -> dict[str, Any] | None:
        """The batch that was begun, once nothing of it is under way, for a checkpoint; plain JSON."""
        if self._ahead is None:
            return None
        # Where the server was lost, the next sync finds it so.
        self.join()
        return self._ahead.drawing.state()

    def take(self, state: dict[str, Any] | None) -> None:
        """Goes on from a state."""
        self._kept = state

    def generate(
        self,
        prompts: list[list[int]],
        features: Any = None,
        n: int = 1,
        structured_outputs_regex: str | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        **sampling: Any,
    ) -> dict[str, Any]:
        """TRL's, or `NOTHING` where the server was lost: what was finished is kept for the same call again.

        Raises:
            TooStale: a completion is of weights that are older than they may be.
        """
        further = sampling | (generation_kwargs or {})
        if structured_outputs_regex is not None:
            further["structured_outputs"] = {"regex": structured_outputs_regex}
        if self._begins is not None:
            step, self._begins = self._begins, None
            self._ahead = Ahead(self._drawing_of(prompts, n, further, step, 0), self.draw)
            return NOTHING
        if self._drawing is None:
            self._drawing = self._begun(self._drawing_of(prompts, n, further, self._step, self._calls))
        try:
            self.draw(self._drawing)
        except ServerGone as fault:
            self._lost = f"{fault}; {len(self._drawing.done)} of {len(self._drawing.asked)} completions are kept"
            return NOTHING
        drawn, self._drawing = self._drawing, None
        self._calls += 1
        staleness = self._weights - min(drawn.weights.values())
        if staleness > self._most_stale:
            raise TooStale(f"completions of step {self._step} are {staleness} syncs behind")
        self._stalest.append(staleness)
        return drawn.answer()

    def _begun(self, fresh: Drawing) -> Drawing:
        """The same drawing as it was begun ahead, or before a training was cut off, if it was."""
        if self._calls == 0 and self._ahead is not None and self._ahead.drawing.step == self._step:
            begun, self._ahead = self._ahead.drawing, None
            if begun.asked != fresh.asked:
                raise RuntimeError(f"what was drawn ahead for step {self._step} is of other prompts")
            return begun
        if self._calls == 0 and self._kept is not None and self._kept["step"] == self._step:
            # The weights of then came before the first that this client has sent.
            fresh.take(self._kept, self._weights - 1)
            self._kept = None
        return fresh

    def _drawing_of(self, prompts: list[list[int]], n: int, sampling: dict[str, Any], step: int, call: int) -> Drawing:
        shared = {"model": self.model, "n": 1, "return_token_ids": True, "return_tokens_as_token_ids": True}
        shared |= sampling | {"stop_token_ids": self._ends}
        asked = []
        for place, prompt in enumerate(prompt for prompt in prompts for _ in range(n)):
            seed = derive(self._seed, step, call, place)
            asked.append(shared | {"prompt": prompt} | ({"seed": seed} if sampling.get("temperature") else {}))
        return Drawing(step, asked)

    def draw(self, drawing: Drawing) -> None:
        """Asks for what a drawing lacks. Raises ServerGone, once nothing of it is under way any more."""

        def ask(asked: dict[str, Any]) -> dict[str, Any]:
            answer = self._post(f"{self.base_url}/v1/completions", json=asked, timeout=None)
            self._finished += 1
            choice: dict[str, Any] = answer["choices"][0]
            return choice

        drawing.run(ask, self._server, self._weights)

    def pause(self) -> None:
        """Freezes what is being written, until `resume`. Raises ServerGone."""
        self._post(f"{self.base_url}/pause", params={"mode": "keep"})

    def resume(self) -> None:
        """Goes on with what was frozen. Raises ServerGone."""
        self._post(f"{self.base_url}/resume")

    def end(self) -> None:
        """Ends the server, so that nothing that it was asked is waited for any more."""
        self._server.close()

    def scores(self, sequences: TokenIds) -> Logprobs:
        """The log-probability of each token but the first, under the model itself. Raises ServerGone."""
        asked = {"model": self.model, "prompt": [list(ids) for ids in sequences], "max_tokens": 1, "temperature": 0.0}
        choices = self._post(f"{self.base_url}/v1/completions", json=asked | {"prompt_logprobs": 0})["choices"]
        return [
            [
                float(position[str(token)]["logprob"])
                for token, position in zip(ids[1:], choice["prompt_logprobs"][1:], strict=True)
            ]
            for ids, choice in zip(sequences, choices, strict=True)
        ]

    def init_communicator(self, device: Any = 0) -> None:
        """TRL's, where there is NCCL."""
        if device.type != "cpu":
            super().init_communicator(device)

    def update_named_params(self, metadata: Any, named_params: Iterator[tuple[str, Any]]) -> None:
        """TRL's, where there is NCCL; else by a file. All parameters are read, also where the server is lost."""
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: [None for _ in named_params])
            if self._device.type != "cpu":
                super().update_named_params(metadata, named_params)
            else:
                self._send_file(named_params)
        # A new server gets the weights of a step again.
        self._weights += self._step != self._synced_at
        self._synced_at = self._step

    def _send_file(self, named_params: Iterator[tuple[str, Any]]) -> None:
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory(prefix="weights-") as folder:
            file = Path(folder) / "weights.safetensors"
            # An adapter is taken out of the base again once all have been read.
            save_file({name: value.detach().cpu().clone().contiguous() for name, value in named_params}, file)
            self._post(f"{self.base_url}/collective_rpc", json={"method": "take_weights", "args": [str(file)]})

    def _post(self, url: str, **asked: Any) -> Any:
        path = url.removeprefix(self.base_url)
        try:
            answer = self.session.post(url, **({"timeout": self._patience_s} | asked))
        except requests.Timeout as error:
            raise ServerGone(f"did not answer {path} within {self._patience_s:g} s") from error
        except requests.RequestException as error:
            raise ServerGone(f"hung up at {path}") from error
        if answer.status_code == requests.codes.ok:
            return answer.json()
        said = f"{path}: answered {answer.status_code}: {answer.text[:500]}"
        if answer.status_code >= requests.codes.internal_server_error:
            raise ServerGone(f"failed at {said}")
        raise ServerRefusal(f"training.grpo.rollouts: the vLLM server refuses a request at {said}; see workers.log")
