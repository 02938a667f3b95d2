"""Summed log-probabilities under a transformers model: exact, and in memory that does not grow with the vocabulary.

The output layer is applied to target positions alone, in blocks of tokens, or of the vocabulary where that is large:
a [batch, time, vocabulary] tensor never exists. Sequences that share a prefix (K candidates of one pair) share one
pass over it, whose keys and values serve them all, and a sequence that occurs twice is scored once.
"""

from __future__ import annotations

import copy
import functools
import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfplay.engines.base import Encoded, Spans
from selfplay.engines.jobs import by_length
from selfplay.engines.model_files import ModelError

LOGIT_ELEMENTS = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Most entries of [tokens, vocabulary] logits held at once; on a CPU as many as its caches hold."""
SHARED_SAVING = 0.2
"""Least share of a group's tokens that sharing its prefix must save (benchmarks/scoring_speed.py)."""
CPU_TOKENS = 1024
"""Most padded tokens of a forward pass on a CPU: larger batches leave its caches."""

_examined: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class PrefixGroup:
    """Sequences with a common prefix, by their indices."""

    prefix: list[int]
    members: list[int]


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
    shareable = examine(network)
    on_cpu = network.device.type == "cpu"
    batch_tokens = min(batch_tokens, CPU_TOKENS) if on_cpu else batch_tokens
    # Keys and values are held twice there: of the prefixes, and of what goes on from them.
    shared_tokens = batch_tokens if on_cpu else max(1, batch_tokens // 2)
    keys = [(tuple(ids), tuple(spans)) for ids, spans in encoded]
    place_of = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    distinct: list[Encoded] = [(list(ids), list(spans)) for ids, spans in place_of]
    groups = shared_prefixes(distinct) if shareable else []
    sums: list[list[float]] = [[]] * len(distinct)
    for places in by_length([len(group.prefix) for group in groups], shared_tokens):
        batch = [groups[place] for place in places]
        sums_after_prefixes(network, batch, distinct, shared_tokens, sums)
    left = sorted(set(range(len(distinct))).difference(*(group.members for group in groups)))
    for places in by_length([len(distinct[index][0]) for index in left], batch_tokens):
        indices = [left[place] for place in places]
        for index, values in zip(indices, segment_sums(network, [distinct[i] for i in indices]), strict=True):
            sums[index] = values
    return [sums[place_of[key]] for key in keys]


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


def shared_prefixes(encoded: Sequence[Encoded]) -> list[PrefixGroup]:
    """Groups of sequences whose common prefix, what stands before their first span, is worth a pass of its own."""
    found: dict[tuple[int, ...], list[int]] = {}
    for index, (ids, spans) in enumerate(encoded):
        if spans:
            found.setdefault(tuple(ids[: spans[0][0]]), []).append(index)
    groups = []
    for prefix, members in found.items():
        whole = sum(len(encoded[index][0]) for index in members)
        if len(members) > 1 and len(prefix) * (len(members) - 1) >= SHARED_SAVING * whole:
            groups.append(PrefixGroup(list(prefix), members))
    return groups


def sums_after_prefixes(
    network: Any, groups: Sequence[PrefixGroup], encoded: Sequence[Encoded], batch_tokens: int, sums: list[list[float]]
) -> None:
    """Fills in the sums of all members of the groups; all prefixes are run at once, and each of them once."""
    import torch

    ids, mask = _padded([group.prefix for group in groups])
    with torch.inference_mode():
        output = network.base_model(
            input_ids=ids.to(network.device), attention_mask=mask.to(network.device), use_cache=True
        )
        last = output.last_hidden_state[torch.arange(len(groups)), mask.sum(dim=1) - 1]
        members = [(row, index) for row, group in enumerate(groups) for index in group.members]
        # Sorted by what follows the prefix, which alone is padded; the places of the prefix count as well.
        tokens = [len(encoded[index][0]) - len(groups[row].prefix) + ids.shape[1] for row, index in members]
        for places in by_length(tokens, batch_tokens):
            rows = torch.tensor([members[place][0] for place in places])
            indices = [members[place][1] for place in places]
            cache = _rows_of(output.past_key_values, rows.to(network.device))
            found = _continued(network, cache, last[rows.to(network.device)], mask[rows], [encoded[i] for i in indices])
            for index, values in zip(indices, found, strict=True):
                sums[index] = values


def _rows_of(cache: Any, rows: Any) -> Any:
    """A cache of some rows of another, which stays as it is."""
    chosen = copy.copy(cache)
    chosen.layers = [copy.copy(layer) for layer in cache.layers]
    chosen.batch_select_indices(rows)
    return chosen


def _continued(network: Any, cache: Any, last: Any, mask: Any, encoded: Sequence[Encoded]) -> list[list[float]]:
    """The sums of sequences whose prefixes are in the cache.

    Args:
        network: the model.
        cache: keys and values of the prefixes, one row a sequence; it grows.
        last: the state at the end of each prefix [sequences, width], which predicts the first token after it.
        mask: which places of the cache are no padding [sequences, longest prefix].
        encoded: the sequences, prefixes included.
    """
    import torch

    lengths = mask.sum(dim=1)
    ids, own = _padded([sequence[length:] for (sequence, _), length in zip(encoded, lengths.tolist(), strict=True)])
    # Between a prefix and what follows it may lie padding: masked, and not counted in the positions.
    hidden = network.base_model(
        input_ids=ids.to(network.device),
        attention_mask=torch.cat([mask, own], dim=1).to(network.device),
        position_ids=(lengths[:, None] + torch.arange(ids.shape[1])).to(network.device),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    states = torch.cat([last[:, None], hidden[:, :-1]], dim=1)
    spans = [
        [(start - length, end - length) for start, end in spans]
        for (_, spans), length in zip(encoded, lengths.tolist(), strict=True)
    ]
    return _sums(network, states, ids, spans, shift=0)


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
    elements = LOGIT_ELEMENTS["cpu" if states.device.type == "cpu" else "cuda"]
    side = math.isqrt(elements)
    rows, function = elements // head.weight.shape[0], _by_tokens
    fewest = max(1, side // 8)
    if rows < fewest:
        # A head of another kind (an adapter on it, a quantised one) is only known as a whole.
        plain = type(head) is torch.nn.Linear
        rows, function = (side, functools.partial(_by_vocabulary, width=side)) if plain else (fewest, _by_tokens)
    parts = [
        function(network, head, states[start : start + rows], targets[start : start + rows])
        for start in range(0, len(targets), rows)
    ]
    return torch.cat(parts) if parts else states.new_zeros(0)


def _by_tokens(network: Any, head: Any, states: Any, targets: Any) -> Any:
    import torch

    return -torch.nn.functional.cross_entropy(
        _finished(network.config, head(states).float()), targets, reduction="none"
    )


def _by_vocabulary(network: Any, head: Any, states: Any, targets: Any, width: int) -> Any:
    """The same with the vocabulary in blocks: a large one is not read anew for every few tokens."""
    import torch

    chosen = states.new_zeros(len(targets), dtype=torch.float32)
    total = torch.full_like(chosen, -torch.inf)
    for start in range(0, head.weight.shape[0], width):
        block = slice(start, start + width)
        bias = None if head.bias is None else head.bias[block]
        logits = _finished(network.config, torch.nn.functional.linear(states, head.weight[block], bias).float())
        own = logits.gather(1, (targets - start).clamp(0, logits.shape[1] - 1)[:, None]).squeeze(1)
        chosen = torch.where((targets >= start) & (targets < start + logits.shape[1]), own, chosen)
        total = torch.logaddexp(total, logits.logsumexp(dim=1))
    return chosen - total


def _finished(config: Any, logits: Any) -> Any:
    """Changes of the output layer's product in some architectures: Granite, Cohere, Gemma 2."""
    import torch

    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    if getattr(config, "logit_scale", None):
        logits = logits * config.logit_scale
    cap = getattr(config, "final_logit_softcapping", None)
    return torch.tanh(logits / cap) * cap if cap else logits


def examine(network: Any) -> bool:
    """Tries the model on a few tokens, once for each loaded model.

    Returns:
        Whether sequences may share a prefix: its cache is keys and values of all positions and nothing else (no
        sliding window, no recurrent state), and gives the same sums.

    Raises:
        ModelError: its own logits are not those made here, so that sums would be wrong.
    """
    if network not in _examined:
        _demand_known_head(network)
        _examined[network] = _can_share(network)
    return _examined[network]


def _demand_known_head(network: Any) -> None:
    import torch

    ids = torch.arange(4, device=network.device)[None]
    with torch.inference_mode():
        theirs = network(input_ids=ids, use_cache=False).logits[0].float()
        hidden = network.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
        ours = _finished(network.config, network.get_output_embeddings()(hidden).float())
    room = _room(network)
    if not torch.allclose(ours, theirs, rtol=room, atol=room * float(theirs.abs().max())):
        raise ModelError(
            f"the logits of a {type(network).__name__} are not its output layer times a known factor, so its "
            "log-probabilities cannot be summed in bounded memory; take another generator"
        )


def _can_share(network: Any) -> bool:
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    with torch.inference_mode():
        output = network.base_model(
            input_ids=torch.zeros(1, 2, dtype=torch.long, device=network.device), use_cache=True
        )
    cache: Any = getattr(output, "past_key_values", None)
    if type(cache) is not DynamicCache or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return False
    trial: list[Encoded] = [([1, 2, 3, 4, 5], [(3, 5)]), ([1, 2, 3, 6], [(3, 4)]), ([7, 8, 9, 1], [(2, 4)])]
    groups = [PrefixGroup([1, 2, 3], [0, 1]), PrefixGroup([7, 8], [2])]
    shared: list[list[float]] = [[]] * len(trial)
    sums_after_prefixes(network, groups, trial, 64, shared)
    alone, room = segment_sums(network, trial), _room(network)
    pairs = [pair for x, y in zip(shared, alone, strict=True) for pair in zip(x, y, strict=True)]
    return all(abs(a - b) <= room * (1 + abs(b)) for a, b in pairs)


def _room(network: Any) -> float:
    """How far two ways to compute the same may lie apart, as a share, in the model's number format."""
    import torch

    return 1e-3 if network.dtype == torch.float32 else 3e-2
