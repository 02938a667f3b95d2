"""Summed log-probabilities: exact, and the same whatever the batch, the padding and the order."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from selfplay.engines import hf_engine, hf_scoring
from selfplay.engines.base import ModelRef, ScoreRequest
from selfplay.engines.loading import load

REQUESTS = [
    ScoreRequest("Write a problem.\n1. doubling\n", ("Double it.", "Tom has 5 plums. How many?")),
    ScoreRequest("x", ("7",)),
    ScoreRequest("Concepts:\n1. limit\n2. halving\n", ("a" * 90, "b"), ends=False),
    ScoreRequest("prefix ", ((5, 6, 7), "and text")),
]


def score(model: ModelRef, requests: list[ScoreRequest], batch_tokens: int = 4096) -> list[dict[str, Any]]:
    return hf_engine.score_shard({"model": model, "device": "cpu", "requests": requests, "batch_tokens": batch_tokens})


def by_hand(model: ModelRef, request: ScoreRequest) -> list[float]:
    """One sequence, full log-softmax, one token at a time."""
    network, tokenizer = load(model, "cpu")

    def ids_of(part: Any) -> list[int]:
        return list(tokenizer(part, add_special_tokens=False)["input_ids"]) if isinstance(part, str) else list(part)

    parts = [ids_of(segment) for segment in request.segments]
    if request.ends:
        parts[-1] = [*parts[-1], tokenizer.eos_token_id]
    sums, context = [], ids_of(request.prefix)
    for part in parts:
        total = 0.0
        for token in part:
            with torch.no_grad():
                logits = network(torch.tensor([context])).logits[0, -1]
            total += float(torch.log_softmax(logits.double(), -1)[token])
            context = [*context, token]
        sums.append(total)
    return sums


def test_sums_equal_a_token_by_token_computation(tiny_model: ModelRef) -> None:
    for row, request in zip(score(tiny_model, REQUESTS), REQUESTS, strict=True):
        assert row["sums"] == pytest.approx(by_hand(tiny_model, request), abs=1e-4)


def test_sums_do_not_depend_on_batch_padding_or_order(tiny_model: ModelRef) -> None:
    together = [row["sums"] for row in score(tiny_model, REQUESTS)]
    alone = [score(tiny_model, [request])[0]["sums"] for request in REQUESTS]
    backwards = [row["sums"] for row in score(tiny_model, REQUESTS[::-1], batch_tokens=64)][::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
        assert a == pytest.approx(c, abs=1e-4)


def test_chunks_of_the_vocabulary_change_nothing(tiny_model: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score(tiny_model, REQUESTS)
    monkeypatch.setattr(hf_scoring, "LOGIT_ELEMENTS", 500)
    for a, b in zip(whole, score(tiny_model, REQUESTS), strict=True):
        assert a["sums"] == pytest.approx(b["sums"], abs=1e-5)


def test_lengths_count_target_tokens_only(tiny_model: ModelRef) -> None:
    rows = score(tiny_model, [ScoreRequest("a long prefix that is not counted", ((9, 8), (7,)))])
    assert rows[0]["tokens"] == [2, 2]


def test_probabilities_of_all_next_tokens_sum_to_one(tiny_model: ModelRef) -> None:
    _, tokenizer = load(tiny_model, "cpu")
    requests = [ScoreRequest("Tom has", ((token,),), ends=False) for token in range(len(tokenizer))]
    total = math.fsum(math.exp(row["sums"][0]) for row in score(tiny_model, requests))
    assert total == pytest.approx(1.0, abs=1e-4)


def generate(model: ModelRef, prompts: list[str], temperature: float, seed: int) -> list[dict[str, Any]]:
    job = {
        "model": model,
        "device": "cpu",
        "prompts": prompts,
        "chat": False,
        "sampling": hf_engine.Sampling(temperature, 12),
        "seed": seed,
        "batch_tokens": 400,
    }
    return hf_engine.generate_shard(job)


PROMPTS = ["Problem: ", "Task: given one line of integers", "x", "Tom has 5 plums. " * 4] * 3


def test_the_same_seed_gives_the_same_completions(tiny_model: ModelRef) -> None:
    first = generate(tiny_model, PROMPTS, 1.0, 7)
    assert first == generate(tiny_model, PROMPTS, 1.0, 7)
    assert first != generate(tiny_model, PROMPTS, 1.0, 8)


def test_greedy_does_not_depend_on_seed_or_order(tiny_model: ModelRef) -> None:
    order = list(range(len(PROMPTS)))
    random.Random(0).shuffle(order)
    straight = generate(tiny_model, PROMPTS, 0.0, 1)
    shuffled = generate(tiny_model, [PROMPTS[i] for i in order], 0.0, 2)
    assert [shuffled[order.index(i)] for i in range(len(PROMPTS))] == straight


def test_greedy_takes_the_likeliest_token(tiny_model: ModelRef) -> None:
    network, tokenizer = load(tiny_model, "cpu")
    row = generate(tiny_model, ["Tom has 5"], 0.0, 0)[0]
    context = tokenizer("Tom has 5", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = int(network(torch.tensor([context])).logits[0, -1].argmax())
    assert row["token_ids"][0] == expected


def test_samples_come_from_the_whole_distribution(tiny_model: ModelRef) -> None:
    """An untrained model is nearly uniform: a hidden top-k of 50 would show as at most 50 different tokens."""
    rows = generate(tiny_model, ["x"] * 300, 1.0, 3)
    assert len({token for row in rows for token in row["token_ids"]}) > 150


def test_cut_completions_are_marked(tiny_model: ModelRef) -> None:
    for row in generate(tiny_model, PROMPTS, 1.0, 5):
        assert row["complete"] == (len(row["token_ids"]) < 12)
