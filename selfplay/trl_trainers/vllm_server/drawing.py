"""Completions that a server is asked for, each by itself: those that have come are kept, whatever becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trl.generation.vllm_client import parse_logprobs

from selfplay.run.seeding import content_id
from selfplay.trl_trainers.vllm_rollouts.generation import begun
from selfplay.trl_trainers.vllm_server.process import RolloutServer, ServerGone

AT_ONCE = 1024
"""Most requests under way; an engine that holds fewer sequences has the others wait."""
TICK_S = 0.5
WATCH_S = 5.0
"""Between two looks at how far a server is that finishes nothing."""
Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Gives the completion that a request asks for. Raises ServerGone."""


@dataclass(slots=True)
class Drawing:
    """Completions of one call: what is asked for each, and what has come."""

    step: int
    """The step of the training that they are for."""
    asked: list[dict[str, Any]]
    done: dict[int, dict[str, Any]] = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)
    """The number of the weights that wrote each."""

    @property
    def missing(self) -> list[int]:
        """Places without a completion."""
        return [place for place in range(len(self.asked)) if place not in self.done]

    @property
    def prompts(self) -> str:
        """A hash of all prompts."""
        return content_id(*(one["prompt"] for one in self.asked))

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

    def state(self) -> dict[str, Any]:
        """The completions that have come, for `take`; plain JSON."""
        kept = {place: {name: one[name] for name in ("token_ids", "logprobs")} for place, one in self.done.items()}
        return {"step": self.step, "prompts": self.prompts, "done": kept}

    def take(self, state: dict[str, Any], weights: int) -> None:
        """Takes what had come when a checkpoint was written, of weights with that number.

        Raises:
            ValueError: it was asked for by other prompts.
        """
        if state["prompts"] != self.prompts:
            raise ValueError("the completions of a checkpoint are of other prompts than the training's next")
        self.done = {int(place): one for place, one in state["done"].items()}
        self.weights = dict.fromkeys(self.done, weights)

    def run(self, ask: Ask, server: RolloutServer, weights: int) -> None:
        """Asks for what is missing. Raises ServerGone, once nothing is under way any more and the server has ended."""

        def fetch(place: int) -> None:
            self.done[place] = ask(self.asked[place])
            self.weights[place] = weights

        missing = self.missing
        if not missing:
            return
        with ThreadPoolExecutor(min(len(missing), AT_ONCE)) as threads:
            pending = {threads.submit(fetch, place) for place in missing}
            try:
                _watch(pending, server)
            except BaseException as fault:
                for one in pending:
                    one.cancel()
                reason = server.ended()
                # Those that wait for an answer would wait for ever.
                server.close()
                if reason and isinstance(fault, ServerGone):
                    raise ServerGone(reason) from fault
                raise


def _watch(pending: set[Future[None]], server: RolloutServer) -> None:
    """Waits until all is there. Raises ServerGone."""
    silence = server.limits.silence_s
    heard = looked = time.monotonic()
    steps = server.progress()
    left = pending
    while left:
        done, left = wait(left, TICK_S, FIRST_EXCEPTION)
        for one in done:
            one.result()
        if left and (reason := server.ended()):
            raise ServerGone(reason)
        now = time.monotonic()
        if done:
            heard = now
        if now - looked > WATCH_S:
            looked, before, steps = now, steps, server.progress()
            heard = heard if steps in (None, before) else now
        if left and now - heard > silence:
            raise ServerGone(f"wrote nothing for {silence:g} s")


class Ahead:
    """A drawing that goes on in a thread of its own."""

    def __init__(self, drawing: Drawing, run: Callable[[Drawing], None]) -> None:
        self.drawing = drawing
        self._over = begun(partial(run, drawing), "ahead")

    def join(self) -> str | None:
        """Waits for its end; how the server was lost, if it was."""
        try:
            self._over.result()
        except ServerGone as fault:
            self._over = Future()
            self._over.set_result(None)
            return str(fault)
        return None
