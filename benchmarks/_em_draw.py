"""Many completions of one prompt: its keys and values are computed once, and rows that have ended are dropped.

The engine's own generation computes the prompt for each completion, and goes on with all rows of a batch until the
longest has ended. For 1,024 rationales of a pair, most of them short, that is most of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfplay.engines.base import ModelRef, Sample, Sampling
from selfplay.engines.hf_engine import completed, end_ids, prompt_ids
from selfplay.engines.loading import load

ROWS = 512
"""Completions that are drawn side by side."""
LEFT = 0.75
"""Share of the rows from which on those that have ended are dropped."""


def draw_many(model: ModelRef, prompt: str, sampling: Sampling, count: int, seed: int) -> list[Sample]:
    """`count` completions of one prompt from the model itself, at temperature 1, on the CPU."""
    import torch

    network, tokenizer = load(model, "cpu")
    ids = prompt_ids(tokenizer, prompt, model.chat, sampling)
    ends = end_ids(network.generation_config, tokenizer)
    chance = torch.Generator().manual_seed(seed)
    found: list[Sample] = []
    with torch.inference_mode():
        while len(found) < count:
            rows = min(ROWS, count - len(found))
            tokens, logprobs = _rows(network, ids, rows, sampling.max_new_tokens, ends, chance)
            for own, values in zip(tokens, logprobs, strict=True):
                row = completed(tokenizer, own, ends)
                kept = tuple(values[: len(row["token_ids"])])
                found.append(Sample(row["text"], tuple(row["token_ids"]), row["complete"], logprobs=kept))
    return found


def _rows(
    network: Any, ids: Sequence[int], rows: int, longest: int, ends: Sequence[int], chance: Any
) -> tuple[list[list[int]], list[list[float]]]:
    """Token ids of each row, its end included, and their log-probabilities."""
    import torch

    output = network(input_ids=torch.tensor([ids]), use_cache=True)
    cache, logits = output.past_key_values, output.logits[:, -1].repeat(rows, 1)
    cache.batch_repeat_interleave(rows)
    tokens: list[list[int]] = [[] for _ in range(rows)]
    logprobs: list[list[float]] = [[] for _ in range(rows)]
    # Of each row of the batch: the completion that it is, and whether that goes on.
    places, goes_on = list(range(rows)), [True] * rows
    for step in range(longest):
        logprob = logits.float().log_softmax(dim=-1)
        drawn = torch.multinomial(logprob.exp(), 1, generator=chance)
        values = logprob.gather(1, drawn)[:, 0].tolist()
        for row, (token, value) in enumerate(zip(drawn[:, 0].tolist(), values, strict=True)):
            if goes_on[row]:
                tokens[places[row]].append(token)
                logprobs[places[row]].append(value)
                goes_on[row] = token not in ends
        left = [row for row, on in enumerate(goes_on) if on]
        if not left or step == longest - 1:
            break
        if len(left) < LEFT * len(places):
            cache.batch_select_indices(torch.tensor(left))
            drawn, places, goes_on = drawn[left], [places[row] for row in left], [True] * len(left)
        output = network(input_ids=drawn, past_key_values=cache, use_cache=True)
        cache, logits = output.past_key_values, output.logits[:, -1]
    return tokens, logprobs
