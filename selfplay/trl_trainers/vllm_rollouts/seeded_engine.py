"""vLLM as TRL asks it, with a seed for each completion: of these alone, and of no neighbour, it depends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfplay.run.seeding import derive
from selfplay.trl_trainers.vllm_rollouts.probe import Logprobs, TokenIds


class SeededEngine:
    """A vLLM engine in this process; whatever is not here is its own.

    Opened beside a trainer it must not move the trainer's random numbers, nor take its own from them: a training that
    goes on from a checkpoint draws what the unbroken one drew.
    """

    def __init__(self, llm: Any, seed: int, ends: Sequence[int], keeps_base: bool = False) -> None:
        """
        Args:
            llm: vLLM's.
            seed: of this replica.
            ends: ids that end a completion, besides those that the engine knows.
            keeps_base: whether it is sent adapters alone.
        """
        self._keeps_base = keeps_base
        self._llm = llm
        self._seed = seed
        self._ends = list(ends)
        self._step, self._calls = 0, 0
        self.adapter: Any = None
        """vLLM's request for the adapter that it computes with; None for the model alone."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llm, name)

    def at(self, step: int) -> None:
        """Says at which step of the training the next completions are drawn."""
        if step != self._step:
            self._step, self._calls = step, 0

    def generate(self, prompts: Sequence[Any], sampling_params: Any, **others: Any) -> Any:
        """One completion a prompt; all have the same settings."""
        each = []
        for place in range(len(prompts)):
            params = sampling_params.clone()
            params.seed = derive(self._seed, self._step, self._calls, place) if params.temperature > 0 else None
            params.stop_token_ids = self._ends
            params.detokenize = False
            each.append(params)
        self._calls += 1
        return self._llm.generate(prompts, sampling_params=each, **others, **self._adapted())

    def sleep(self, level: int = 1) -> None:
        """vLLM's; a base to which only adapters are sent is kept meanwhile, since nothing would bring it back."""
        self._llm.sleep(level=1 if self._keeps_base else level)

    def _adapted(self) -> dict[str, Any]:
        return {} if self.adapter is None else {"lora_request": self.adapter}

    def scores(self, sequences: TokenIds) -> Logprobs:
        """The log-probability of each token but the first, under the model itself."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        asked = [{"prompt_token_ids": list(ids)} for ids in sequences]
        found = self._llm.generate(asked, sampling_params=params, use_tqdm=False, **self._adapted())
        return [
            [position[token].logprob for token, position in zip(ids[1:], output.prompt_logprobs[1:], strict=True)]
            for ids, output in zip(sequences, found, strict=True)
        ]
