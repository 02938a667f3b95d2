"""TRL's client of a vLLM server, asking for each completion by itself, so that a server that dies loses few of them.

A request for a completion bears the seed that it has of the step, the call and its place, as within the trainer's
process; what was finished is kept, and only the others are asked of the next server. Weights go by NCCL, which is
TRL's own, or, on a CPU, by a file in the workers' folder.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from trl.generation.vllm_client import VLLMClient, parse_logprobs

from selfplay.config.errors import UserError
from selfplay.run.seeding import derive
from selfplay.trl_trainers.vllm_rollouts.probe import Logprobs, TokenIds
from selfplay.trl_trainers.vllm_server.process import RolloutServer, ServerGone, free_port

AT_ONCE = 1024
"""Most requests under way; an engine that holds fewer sequences has the others wait."""
TICK_S = 0.5
WATCH_S = 5.0
"""Between two looks at how far a server is that finishes nothing."""
NOTHING: dict[str, Any] = {
    "prompt_ids": [],
    "completion_ids": [],
    "logprobs": None,
    "logprob_token_ids": None,
}
"""The answer that tells all ranks at once, through TRL's own broadcast, that the server was lost."""


class ServerRefusal(UserError):
    """The server does not take what it is asked."""


@dataclass(slots=True)
class Drawing:
    """Completions of one call: what is asked for each, and what has come."""

    asked: list[dict[str, Any]]
    done: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def missing(self) -> list[int]:
        """Places without a completion."""
        return [place for place in range(len(self.asked)) if place not in self.done]

    def answer(self) -> dict[str, Any]:
        """All of them, as TRL's client gives them."""
        choices = [self.done[place] for place in range(len(self.asked))]
        logprobs, tokens = parse_logprobs([choice["logprobs"] for choice in choices])
        return {
            "prompt_ids": [one["prompt"] for one in self.asked],
            "completion_ids": [choice["token_ids"] for choice in choices],
            "logprobs": logprobs,
            "logprob_token_ids": tokens,
        }


class RolloutClient(VLLMClient):
    """The one client of a `RolloutServer`, on the first rank."""

    def __init__(self, server: RolloutServer, device: Any, seed: int, ends: Sequence[int], patience_s: float) -> None:
        """
        Args:
            server: is open.
            device: of the trainer's first rank.
            seed: of all completions.
            ends: ids that end a completion, besides those that the engine knows.
            patience_s: longest wait for anything but completions.
        """
        self._server, self._device = server, device
        self._seed, self._ends, self._patience_s = seed, list(ends), patience_s
        self._step, self._calls = 0, 0
        self._drawing: Drawing | None = None
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

    def renew(self) -> None:
        """Starts the server again, and meets it; it has the weights of the model's folder then.

        Raises:
            ServerLost: it has failed too often.
        """
        finished, self._finished = self._finished, 0
        self.close_communicator()
        self._server.renew(self._lost or "failed", finished)
        self._connect()

    @property
    def restarts(self) -> int:
        """How often the server was started again."""
        return self._server.restarts

    def at(self, step: int) -> None:
        """Says at which step of the training the next completions are drawn."""
        if step != self._step:
            self._step, self._calls = step, 0

    def generate(
        self,
        prompts: list[list[int]],
        features: Any = None,
        n: int = 1,
        structured_outputs_regex: str | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        **sampling: Any,
    ) -> dict[str, Any]:
        """TRL's, or `NOTHING` where the server was lost: what was finished is kept for the same call again."""
        if self._drawing is None:
            further = sampling | (generation_kwargs or {})
            if structured_outputs_regex is not None:
                further["structured_outputs"] = {"regex": structured_outputs_regex}
            self._drawing = self._drawing_of(prompts, n, further)
        try:
            self._draw(self._drawing)
        except ServerGone as fault:
            kept = f"{len(self._drawing.done)} of {len(self._drawing.asked)} completions are kept"
            self._lost = f"{fault}; {kept}"
            return NOTHING
        drawn, self._drawing = self._drawing, None
        self._calls += 1
        return drawn.answer()

    def _drawing_of(self, prompts: list[list[int]], n: int, sampling: dict[str, Any]) -> Drawing:
        shared = {"model": self.model, "n": 1, "return_token_ids": True, "return_tokens_as_token_ids": True}
        shared |= sampling | {"stop_token_ids": self._ends}
        asked = []
        for place, prompt in enumerate(prompt for prompt in prompts for _ in range(n)):
            seed = derive(self._seed, self._step, self._calls, place)
            asked.append(shared | {"prompt": prompt} | ({"seed": seed} if sampling.get("temperature") else {}))
        return Drawing(asked)

    def _draw(self, drawing: Drawing) -> None:
        """Asks for what is missing. Raises ServerGone, once nothing is under way any more."""

        def ask(place: int) -> None:
            answer = self._post(f"{self.base_url}/v1/completions", json=drawing.asked[place], timeout=None)
            drawing.done[place] = answer["choices"][0]
            self._finished += 1

        missing = drawing.missing
        if not missing:
            return
        with ThreadPoolExecutor(min(len(missing), AT_ONCE)) as threads:
            pending = {threads.submit(ask, place) for place in missing}
            try:
                heard, looked, steps = time.monotonic(), time.monotonic(), self._server.progress()
                while pending:
                    done, pending = wait(pending, TICK_S, FIRST_EXCEPTION)
                    for one in done:
                        one.result()
                    if reason := self._server.ended():
                        raise ServerGone(reason)
                    now = time.monotonic()
                    if done:
                        heard = now
                    if now - looked > WATCH_S:
                        looked, before, steps = now, steps, self._server.progress()
                        heard = heard if steps in (None, before) else now
                    if now - heard > self._server.limits.silence_s:
                        raise ServerGone(f"wrote nothing for {self._server.limits.silence_s:g} s")
            except BaseException as fault:
                for one in pending:
                    one.cancel()
                reason = self._server.ended()
                # Those that wait for an answer would wait for ever.
                self._server.close()
                if reason and isinstance(fault, ServerGone):
                    raise ServerGone(reason) from fault
                raise

    def scores(self, sequences: TokenIds) -> Logprobs:
        """The log-probability of each token but the first, under the model itself. Raises ServerGone."""
        asked = {"model": self.model, "prompt": [list(ids) for ids in sequences], "max_tokens": 1, "temperature": 0.0}
        choices = self._told(f"{self.base_url}/v1/completions", json=asked | {"prompt_logprobs": 0})["choices"]
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
                return
            from safetensors.torch import save_file

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="weights-"))
            file = Path(folder) / "weights.safetensors"
            # An adapter is taken out of the base again once all have been read.
            save_file({name: value.detach().cpu().clone().contiguous() for name, value in named_params}, file)
            self._told(f"{self.base_url}/collective_rpc", json={"method": "take_weights", "args": [str(file)]})

    def _told(self, url: str, **asked: Any) -> Any:
        """Posts, and remembers how the server was lost."""
        try:
            return self._post(url, **asked)
        except ServerGone as fault:
            self._lost = str(fault)
            raise

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
