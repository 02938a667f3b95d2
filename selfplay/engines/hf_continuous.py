"""Generation with transformers' continuous batching: a prompt that waits takes the place of one that has ended."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from selfplay.engines.base import Sampling

PAGE = 16
"""Tokens of a page of the cache."""
STEP_TOKENS = 512
"""Tokens that one forward pass may hold, where the recipe says nothing: few, since attention masks grow with them."""
_WAIT_S = 1.0


class BatchingError(RuntimeError):
    """The library's continuous batching failed; the message gives its reason."""


def complete(
    network: Any,
    encoded: Sequence[Sequence[int]],
    sampling: Sampling,
    ends: Sequence[int],
    seed: int,
    batch_tokens: int,
    args: Mapping[str, Any],
) -> list[list[int]]:
    """The ids of one completion a prompt, its end included; the same seed and prompts give the same ids.

    Args:
        network: a model of transformers; its attention is as before afterwards.
        encoded: the prompts' token ids.
        sampling: how completions are drawn.
        ends: ids that end a completion.
        seed: of all of them together, since the library draws from one stream.
        batch_tokens: tokens that the cache holds, unless `args` give its size; at least the longest sequence.
        args: of transformers' ContinuousBatchingConfig.

    Raises:
        BatchingError: the library failed.
    """
    from transformers import ContinuousBatchingConfig, GenerationConfig

    drawn = sampling.temperature > 0
    # The likeliest 50 tokens would be all that is drawn from by default.
    how = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0} if drawn else {}
    generation = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens, eos_token_id=list(ends), pad_token_id=ends[0], do_sample=drawn, **how
    )
    longest = max(len(ids) for ids in encoded) + sampling.max_new_tokens
    # Its name in releases before 5.17 was block_size.
    known = {field.name for field in dataclasses.fields(ContinuousBatchingConfig)}
    named = "page_size" if "page_size" in known else "block_size"
    page = args.get(named) or PAGE
    # The library would look at the memory that is free now; what is drawn must not depend on it.
    sizes = {"num_blocks": math.ceil(max(batch_tokens, longest) / page) + 1, "max_batch_tokens": STEP_TOKENS}
    settings = ContinuousBatchingConfig(**{**sizes, **args, named: page, "seed": seed})
    before = network.config._attn_implementation
    manager = network.init_continuous_batching(generation_config=generation, continuous_batching_config=settings)
    try:
        # Added before it starts: else what one pass holds would depend on how fast the others arrive.
        names = manager.add_requests([list(ids) for ids in encoded])
        manager.start()
        found = _collect(manager, set(names))
    finally:
        manager.stop(block=True)
        manager.destroy()
        network.set_attn_implementation(before)
    return [found[name] for name in names]


def _collect(manager: Any, waiting: set[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    while waiting - found.keys():
        running = manager.is_running()
        result = manager.get_result(timeout=_WAIT_S)
        if result is None and not running:
            raise BatchingError(
                f"transformers' continuous batching ended with {len(waiting) - len(found)} of {len(waiting)} prompts "
                "undone; see workers.log, or leave engine.continuous_batching out"
            )
        if result is None or not result.is_finished():
            continue
        if result.error is not None:
            raise BatchingError(
                f"transformers' continuous batching failed on a prompt: {result.error}; see "
                "engine.continuous_batching, or leave it out"
            )
        found[result.request_id] = list(result.generated_tokens)
    return found
