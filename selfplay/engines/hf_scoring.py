"""Summed log-probabilities under a transformers model: exact, and in memory that does not grow with the vocabulary.

The output layer is applied to target positions alone, in blocks of tokens, or of the vocabulary where that is large:
a [batch, time, vocabulary] tensor never exists. Where several long sequences share a prefix (K candidates of one
pair), the prefix is run once, and its keys and values serve them all.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from typing import Any

from selfplay.engines.batching import by_length
from selfplay.engines.loading import ModelError

Spans = list[tuple[int, int]]
Encoded = tuple[list[int], Spans]
"""The ids of a sequence, and half-open spans of positions with start >= 1 whose log-probabilities are wanted."""

LOGIT_ELEMENTS = 1 << 24
"""Most entries of [tokens, vocabulary] logits held at once."""
FEWEST_TOKENS = 1024
"""Where fewer tokens than this fit beside a whole vocabulary, blocks are cut through the vocabulary instead."""
SHARED_TOKENS = 256
"""Shortest shared prefix that is worth a pass of its own (benchmarks/scoring_speed.py)."""
SHARED_SAVING = 0.2
"""Least share of all tokens that sharing must save."""

VOCABULARY_BLOCK = 4096
"""Width of those blocks."""

_examined: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def score_sequences(network: Any, encoded: Sequence[Encoded], batch_tokens: int) -> list[list[float]]:
    """Summed log-probabilities of the spans of any number of sequences.

    Args:
        network: a causal language model of transformers.
        encoded: the sequences.
        batch_tokens: most padded tokens of one forward pass (one sequence at least).

    Returns:
        For each sequence one sum a span, in nats.

    Raises:
        ModelError: the model makes its logits in a way that is not known here.
    """
    groups = shared_prefixes(encoded) if examine(network) else []
    sums: list[list[float]] = [[]] * len(encoded)
    for group in groups:
        found = _after_prefix(network, [encoded[index] for index in group], batch_tokens)
        for index, values in zip(group, found, strict=True):
            sums[index] = values
    left = sorted(set(range(len(encoded))).difference(*groups))
    for batch in by_length([len(encoded[index][0]) for index in left], batch_tokens):
        indices = [left[place] for place in batch]
        for index, values in zip(indices, segment_sums(network, [encoded[i] for i in indices]), strict=True):
            sums[index] = values
    return sums


def segment_sums(network: Any, encoded: Sequence[Encoded]) -> list[list[float]]:
    """Summed log-probabilities of each span of the sequences of one batch, from one forward pass.

    Returns:
        For each sequence one sum a span, in nats.
    """
    import torch

    ids, mask = _padded([sequence for sequence, _ in encoded])
    with torch.inference_mode():
        hidden = network.base_model(
            input_ids=ids.to(network.device), attention_mask=mask.to(network.device), use_cache=False
        ).last_hidden_state
        # The state before a token predicts it.
        return _sums(network, hidden, ids, [[(start - 1, end - 1) for start, end in spans] for _, spans in encoded])


def shared_prefixes(encoded: Sequence[Encoded]) -> list[list[int]]:
    """Groups of sequences whose common prefix, what stands before their first span, is worth a pass of its own."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, (ids, spans) in enumerate(encoded):
        if spans and spans[0][0] >= SHARED_TOKENS:
            groups.setdefault(tuple(ids[: spans[0][0]]), []).append(index)
    worth = []
    for prefix, group in groups.items():
        whole = sum(len(encoded[index][0]) for index in group)
        if len(prefix) * (len(group) - 1) >= SHARED_SAVING * whole:
            worth.append(group)
    return worth


def _after_prefix(network: Any, group: Sequence[Encoded], batch_tokens: int) -> list[list[float]]:
    """The sums of sequences with a common prefix, which is run once."""
    import torch

    length = group[0][1][0][0]
    with torch.inference_mode():
        prefix = torch.tensor([group[0][0][:length]], device=network.device)
        output = network.base_model(input_ids=prefix, use_cache=True)
        last = output.last_hidden_state[:, -1:]
        sums: list[list[float]] = [[]] * len(group)
        for batch in by_length([len(ids) for ids, _ in group], batch_tokens):
            cache = copy.deepcopy(output.past_key_values)
            cache.batch_repeat_interleave(len(batch))
            ids, mask = _padded([group[index][0][length:] for index in batch])
            seen = torch.cat([torch.ones(len(batch), length, dtype=torch.long), mask], dim=1)
            hidden = network.base_model(
                input_ids=ids.to(network.device),
                attention_mask=seen.to(network.device),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            states = torch.cat([last.expand(len(batch), -1, -1), hidden[:, :-1]], dim=1)
            spans = [[(start - length, end - length) for start, end in group[index][1]] for index in batch]
            for index, values in zip(batch, _sums(network, states, ids, spans, shift=0), strict=True):
                sums[index] = values
    return sums


def _padded(sequences: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Ids and attention mask, padded on the right, on the CPU: [sequences, longest]."""
    import torch

    longest = max(len(sequence) for sequence in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids, mask


def _sums(network: Any, hidden: Any, ids: Any, spans: Sequence[Spans], shift: int = 1) -> list[list[float]]:
    """Sums over spans of places in `hidden` [batch, time, width]; a place's target is `shift` further in `ids`."""
    import torch

    where = [(row, start, end) for row, own in enumerate(spans) for start, end in own]
    rows = torch.cat([torch.full((end - start,), row) for row, start, end in where])
    places = torch.cat([torch.arange(start, end) for _, start, end in where])
    states = hidden[rows.to(hidden.device), places.to(hidden.device)]
    logprobs = target_logprobs(network, states, ids[rows, places + shift].to(hidden.device))
    sums: list[list[float]] = [[] for _ in spans]
    lengths = [end - start for _, start, end in where]
    for (row, _, _), part in zip(where, logprobs.double().cpu().split(lengths), strict=True):
        sums[row].append(float(part.sum()))
    return sums


def target_logprobs(network: Any, states: Any, targets: Any) -> Any:
    """Log-probabilities of target tokens [tokens], from the states that predict them [tokens, width]."""
    import torch

    head = network.get_output_embeddings()
    fitting = max(1, LOGIT_ELEMENTS // head.weight.shape[0])
    # A head of another kind (an adapter on it, a quantised one) is only known as a whole.
    if type(head) is torch.nn.Linear and fitting < min(FEWEST_TOKENS, len(targets)):
        parts = [
            _by_vocabulary(network, head, states[start : start + FEWEST_TOKENS], targets[start : start + FEWEST_TOKENS])
            for start in range(0, len(targets), FEWEST_TOKENS)
        ]
    else:
        parts = [
            _by_tokens(network, head, states[start : start + fitting], targets[start : start + fitting])
            for start in range(0, len(targets), fitting)
        ]
    return torch.cat(parts) if parts else states.new_zeros(0)


def _by_tokens(network: Any, head: Any, states: Any, targets: Any) -> Any:
    logits = _finished(network.config, head(states).float())
    chosen = logits.gather(1, targets[:, None]).squeeze(1)
    return chosen - logits.logsumexp(dim=1)


def _by_vocabulary(network: Any, head: Any, states: Any, targets: Any) -> Any:
    """The same with the vocabulary in blocks, so that a large one is read once, and not once for every few tokens."""
    import torch

    chosen = states.new_zeros(len(targets), dtype=torch.float32)
    total = torch.full_like(chosen, -torch.inf)
    for start in range(0, head.weight.shape[0], VOCABULARY_BLOCK):
        block = slice(start, start + VOCABULARY_BLOCK)
        bias = None if head.bias is None else head.bias[block]
        logits = _finished(network.config, torch.nn.functional.linear(states, head.weight[block], bias).float())
        own = logits.gather(1, (targets - start).clamp(0, logits.shape[1] - 1)[:, None]).squeeze(1)
        chosen = torch.where((targets >= start) & (targets < start + logits.shape[1]), own, chosen)
        total = torch.logaddexp(total, logits.logsumexp(dim=1))
    return chosen - total


def _finished(config: Any, logits: Any) -> Any:
    """What some architectures do to the output layer's product: Granite, Cohere, Gemma 2."""
    import torch

    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    if getattr(config, "logit_scale", None):
        logits = logits * config.logit_scale
    cap = getattr(config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits


def examine(network: Any) -> bool:
    """Compares the model's own logits of a few tokens with those made here, once for each loaded model.

    Returns:
        Whether its cache is keys and values of all positions and nothing else (no sliding window, no recurrent
        state), so that sequences may share a prefix.

    Raises:
        ModelError: the logits differ, so that sums would be wrong.
    """
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if network not in _examined:
        ids = torch.arange(4, device=network.device)[None]
        with torch.inference_mode():
            theirs = network(input_ids=ids, use_cache=False).logits[0].float()
            output = network.base_model(input_ids=ids, use_cache=True)
            ours = _finished(network.config, network.get_output_embeddings()(output.last_hidden_state[0]).float())
        room = 1e-3 if network.dtype == torch.float32 else 3e-2
        if not torch.allclose(ours, theirs, rtol=room, atol=room * float(theirs.abs().max())):
            raise ModelError(
                f"the logits of a {type(network).__name__} are not its output layer times a known factor, so its "
                "log-probabilities cannot be summed in bounded memory; take another generator"
            )
        cache: Any = getattr(output, "past_key_values", None)
        _examined[network] = type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)
    return _examined[network]
