"""The work of the transformers engine inside a worker: batched generation, and log-probabilities in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from selfplay.engines.base import ModelRef, Sampling, ScoreRequest
from selfplay.engines.loading import load

LOGIT_ELEMENTS = 1 << 24
"""Most entries of [tokens, vocabulary] log-probabilities held at once."""


def generate_shard(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Completes a shard's prompts. Job: model, device, prompts, chat, sampling, seed, batch_tokens."""
    import torch

    model: ModelRef = job["model"]
    network, tokenizer = load(model, job["device"])
    prompts = [_templated(tokenizer, prompt) if job["chat"] else prompt for prompt in job["prompts"]]
    encoded = [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    torch.manual_seed(job["seed"])
    rows: list[dict[str, Any]] = [{}] * len(prompts)
    sampling: Sampling = job["sampling"]
    for batch in _batches([len(ids) + sampling.max_new_tokens for ids in encoded], job["batch_tokens"]):
        for index, row in zip(batch, _complete(network, tokenizer, [encoded[i] for i in batch], sampling), strict=True):
            rows[index] = row
    return rows


def _templated(tokenizer: Any, prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _complete(network: Any, tokenizer: Any, encoded: Sequence[list[int]], sampling: Sampling) -> list[dict[str, Any]]:
    import torch

    longest = max(len(ids) for ids in encoded)
    device = network.device
    padded = [[tokenizer.pad_token_id] * (longest - len(ids)) + ids for ids in encoded]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in encoded]
    drawn = sampling.temperature > 0
    how: dict[str, Any] = {"do_sample": drawn}
    if drawn:
        # Transformers would keep only the 50 likeliest tokens by default; the samples must come from the model itself.
        how |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    with torch.inference_mode():
        output = network.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=end_ids(network, tokenizer),
            **how,
        )
    ends = set(end_ids(network, tokenizer))
    return [_row(tokenizer, ids, ends) for ids in output[:, longest:].tolist()]


def end_ids(network: Any, tokenizer: Any) -> list[int]:
    """The ids that end a completion: the tokenizer's, and those that the model's generation settings name."""
    configured = network.generation_config.eos_token_id
    configured = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in [tokenizer.eos_token_id, *configured] if i is not None})


def _row(tokenizer: Any, ids: list[int], ends: set[int]) -> dict[str, Any]:
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    kept = ids if stop is None else ids[:stop]
    text = tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {"text": text, "token_ids": kept, "complete": stop is not None}


def score_shard(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Scores a shard's requests. Job: model, device, requests, batch_tokens."""
    network, tokenizer = load(job["model"], job["device"])
    requests: Sequence[ScoreRequest] = job["requests"]
    encoded = [_encode(tokenizer, request) for request in requests]
    rows: list[dict[str, Any]] = [{}] * len(requests)
    for batch in _batches([len(ids) for ids, _ in encoded], job["batch_tokens"]):
        for index, sums in zip(batch, segment_sums(network, [encoded[i] for i in batch]), strict=True):
            rows[index] = {"sums": sums, "tokens": [end - start for start, end in encoded[index][1]]}
    return rows


Spans = list[tuple[int, int]]


def _encode(tokenizer: Any, request: ScoreRequest) -> tuple[list[int], Spans]:
    ids: list[int] = list(tokenizer(request.prefix, add_special_tokens=False)["input_ids"])
    spans: Spans = []
    for place, segment in enumerate(request.segments):
        start = len(ids)
        ids += tokenizer(segment, add_special_tokens=False)["input_ids"] if isinstance(segment, str) else segment
        if request.ends and place == len(request.segments) - 1:
            ids.append(tokenizer.eos_token_id)
        spans.append((start, len(ids)))
    return ids, spans


def segment_sums(network: Any, encoded: Sequence[tuple[list[int], Spans]]) -> list[list[float]]:
    """Summed log-probabilities of each span of token sequences.

    Args:
        network: a causal language model.
        encoded: per sequence its ids, and half-open spans of positions with start >= 1.

    Returns:
        Per sequence one sum a span, in nats.
    """
    import torch

    device = network.device
    longest = max(len(ids) for ids, _ in encoded)
    ids = torch.zeros(len(encoded), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (sequence, _) in enumerate(encoded):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    where = [(row, start, end) for row, (_, spans) in enumerate(encoded) for start, end in spans]
    rows = torch.cat([torch.full((end - start,), row) for row, start, end in where])
    places = torch.cat([torch.arange(start, end) for _, start, end in where])
    with torch.inference_mode():
        hidden = network.base_model(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        states = hidden[rows.to(device), places.to(device) - 1]
        logprobs = _target_logprobs(network.get_output_embeddings(), states, ids[rows, places].to(device))
    sums: list[list[float]] = [[] for _ in encoded]
    lengths = [end - start for _, start, end in where]
    for (row, _, _), part in zip(where, logprobs.double().cpu().split(lengths), strict=True):
        sums[row].append(float(part.sum()))
    return sums


def _target_logprobs(head: Any, states: Any, targets: Any) -> Any:
    import torch

    step = max(1, LOGIT_ELEMENTS // head.weight.shape[0])
    parts = []
    for start in range(0, len(targets), step):
        logits = head(states[start : start + step]).float()
        chosen = logits.gather(1, targets[start : start + step, None]).squeeze(1)
        parts.append(chosen - logits.logsumexp(dim=1))
    return torch.cat(parts) if parts else states.new_zeros(0)


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices by length, longest first, in batches of at most `budget` padded tokens (one sequence at least)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
