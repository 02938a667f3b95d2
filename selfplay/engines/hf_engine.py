"""The work of the transformers engine inside a worker: batched generation, and log-probabilities in bounded memory."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

from selfplay.engines.base import Encoded, Sampling, ScoringRequest
from selfplay.engines.hf_scoring import score_sequences
from selfplay.engines.jobs import GenerateJob, Row, ScoreJob, by_length
from selfplay.engines.loading import load

_ANSWER = "four"


def generate_shard(job: GenerateJob) -> list[Row]:
    """Completes a shard's prompts."""
    import torch

    network, tokenizer = load(job.model, job.device)
    encoded = [prompt_ids(tokenizer, prompt, job.model.chat, job.sampling) for prompt in job.prompts]
    sampling, batch_tokens = job.sampling, job.settings.batch_tokens
    torch.manual_seed(job.seed)
    rows: list[Row] = [{}] * len(encoded)
    for batch in by_length([len(ids) + sampling.max_new_tokens for ids in encoded], batch_tokens):
        for index, row in zip(batch, _complete(network, tokenizer, [encoded[i] for i in batch], sampling), strict=True):
            rows[index] = row | {"prompt_tokens": len(encoded[index])}
    return rows


def templated(tokenizer: Any, prompt: str, sampling: Sampling | None = None) -> str:
    """A prompt as the model's chat template puts it, after a system's turn where the sampling has one."""
    messages = [{"role": "user", "content": prompt}] if sampling is None else sampling.messages(prompt)
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def prompt_ids(tokenizer: Any, prompt: str, chat: bool, sampling: Sampling | None = None) -> list[int]:
    """The ids of a prompt, for engines and trainings alike.

    A template writes its special tokens itself. Before plain text stands the begin-of-text token where the tokenizer
    puts one there by itself (Llama, Gemma): its model has seen no text without it.
    """
    text = templated(tokenizer, prompt, sampling) if chat else prompt
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    begin = tokenizer.bos_token_id
    opened = begin is not None and not chat and list(tokenizer("")["input_ids"])[:1] == [begin]
    return [begin, *ids] if opened else ids


def _complete(network: Any, tokenizer: Any, encoded: Sequence[list[int]], sampling: Sampling) -> list[Row]:
    import torch
    from transformers import LogitsProcessorList

    longest = max(len(ids) for ids in encoded)
    device = network.device
    padded = [[tokenizer.pad_token_id] * (longest - len(ids)) + ids for ids in encoded]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in encoded]
    drawn = sampling.temperature > 0
    how: dict[str, Any] = {"do_sample": drawn}
    heard = TokenLogprobs()
    if drawn:
        # Transformers would keep only the 50 likeliest tokens by default; the samples must come from the model itself.
        how |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        how |= {"min_p": sampling.min_p} if sampling.min_p else {}
    with torch.inference_mode():
        output = network.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=end_ids(network.generation_config, tokenizer),
            logits_processor=LogitsProcessorList([heard]),
            **how,
        )
        logprobs = heard.of(output[:, longest:])
    ends = set(end_ids(network.generation_config, tokenizer))
    rows = [completed(tokenizer, ids, ends) for ids in output[:, longest:].tolist()]
    return [
        row | {"logprobs": values[: len(row["token_ids"])]} for row, values in zip(rows, logprobs.tolist(), strict=True)
    ]


class TokenLogprobs:
    """A logits processor that changes nothing and hears what each drawn token's log-probability was.

    It stands before temperature and top-p. Of the logits it holds those of one step, [batch, vocabulary].
    """

    def __init__(self) -> None:
        self._logits: Any = None
        self._steps: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._take(input_ids[:, -1])
        self._logits = scores
        return scores

    def _take(self, drawn: Any) -> None:
        if self._logits is not None:
            chosen = self._logits.gather(1, drawn[:, None]).squeeze(1)
            self._steps.append(chosen - self._logits.logsumexp(dim=1))

    def of(self, output: Any) -> Any:
        """Those of a whole output [batch, time], nats; what stands after a row's end is without meaning."""
        import torch

        self._take(output[:, -1])
        return torch.stack(self._steps[: output.shape[1]], dim=1)


def end_ids(generation: Any, tokenizer: Any) -> list[int]:
    """The ids that end a completion: the tokenizer's, and those that the model's generation settings name."""
    configured = None if generation is None else generation.eos_token_id
    configured = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in [tokenizer.eos_token_id, *configured] if i is not None})


def turn_end_id(tokenizer: Any, chat: bool) -> int:
    """The id that ends a completion which is learnt from or scored.

    After plain text it is the tokenizer's end of text. In a chat it is the special token that the template writes after
    an answer, which for some models (Gemma, Phi) is another one: that is what they have written.
    """
    return _template_end(tokenizer, tokenizer.chat_template) if chat else int(tokenizer.eos_token_id)


@functools.lru_cache(maxsize=8)
def _template_end(tokenizer: Any, template: str) -> int:
    """By what the template writes after an answer; kept, since every row of a training asks."""
    answered = [{"role": "user", "content": _ANSWER}, {"role": "assistant", "content": _ANSWER}]
    text = tokenizer.apply_chat_template(answered, chat_template=template, tokenize=False)
    closing = tokenizer(text.rpartition(_ANSWER)[2].lstrip(), add_special_tokens=False)["input_ids"][:1]
    special = bool(closing) and closing[0] in tokenizer.added_tokens_decoder
    return int(closing[0] if special else tokenizer.eos_token_id)


def completed(tokenizer: Any, ids: list[int], ends: Collection[int]) -> Row:
    """The row of a completion by its ids, of which those from the first end on are left out."""
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    kept = ids if stop is None else ids[:stop]
    text = tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    end = None if stop is None else ids[stop]
    return {"text": text, "token_ids": kept, "complete": stop is not None, "end": end}


def score_shard(job: ScoreJob) -> list[Row]:
    """Scores a shard's requests."""
    network, tokenizer = load(job.model, job.device)
    encoded = [encode_request(tokenizer, request) for request in job.requests]
    found = score_sequences(network, encoded, job.settings.batch_tokens)
    return [
        {"sums": sums, "tokens": [end - start for start, end in spans]}
        for sums, (_, spans) in zip(found, encoded, strict=True)
    ]


def encode_request(tokenizer: Any, request: ScoringRequest) -> Encoded:
    """The token ids of a request, and the span of positions of each segment."""

    def ids_of(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    prefix = prompt_ids(tokenizer, request.prefix, request.chat)
    return request.encoded(prefix, ids_of, turn_end_id(tokenizer, request.chat))
