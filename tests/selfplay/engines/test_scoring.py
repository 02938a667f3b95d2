"""Summed log-probabilities: exact, and the same whatever the batch, the padding and the order."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import pytest
import torch

from selfplay.engines import hf_engine, hf_scoring
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.loading import load
from selfplay.engines.model_files import ModelError
from tests.selfplay.engines.shard_jobs import generate_job, score_job

REQUESTS = [
    ScoringRequest("Write a problem.\n1. doubling\n", ("Double it.", "Tom has 5 plums. How many?")),
    ScoringRequest("x", ("7",)),
    ScoringRequest("Concepts:\n1. limit\n2. halving\n", ("a" * 90, "b"), ends=False),
    ScoringRequest("prefix ", ((5, 6, 7), "and text")),
]


def score(model: ModelRef, requests: list[ScoringRequest], batch_tokens: int = 4096) -> list[dict[str, Any]]:
    return hf_engine.score_shard(score_job(model, requests, batch_tokens=batch_tokens))


def by_hand(model: ModelRef, request: ScoringRequest) -> list[float]:
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
    monkeypatch.setitem(hf_scoring.LOGIT_ELEMENTS, "cpu", 3000)
    for a, b in zip(whole, score(tiny_model, REQUESTS), strict=True):
        assert a["sums"] == pytest.approx(b["sums"], abs=1e-5)


def test_lengths_count_target_tokens_only(tiny_model: ModelRef) -> None:
    rows = score(tiny_model, [ScoringRequest("a long prefix that is not counted", ((9, 8), (7,)))])
    assert rows[0]["tokens"] == [2, 2]


def test_probabilities_of_all_next_tokens_sum_to_one(tiny_model: ModelRef) -> None:
    _, tokenizer = load(tiny_model, "cpu")
    requests = [ScoringRequest("Tom has", ((token,),), ends=False) for token in range(len(tokenizer))]
    total = math.fsum(math.exp(row["sums"][0]) for row in score(tiny_model, requests))
    assert total == pytest.approx(1.0, abs=1e-4)


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the sequences that were scored after a shared prefix."""
    counts: list[int] = []
    whole = hf_scoring.sums_after_prefixes

    def counted(network: Any, groups: Any, encoded: Any, batch_tokens: int, sums: Any) -> None:
        counts.append(sum(len(group.members) for group in groups))
        whole(network, groups, encoded, batch_tokens, sums)

    monkeypatch.setattr(hf_scoring, "sums_after_prefixes", counted)
    return counts


CANDIDATES = [
    ScoringRequest(prefix, (tuple(range(20, 20 + 2 * k)), f"problem {n}"))
    for n, prefix in enumerate(["Concepts: limit, halving. " * 3, "Concepts: doubling, and more. " * 2, "short "])
    for k in range(1, 5)
]


def test_a_shared_prefix_changes_nothing(
    tiny_model: ModelRef, sharing: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefixes of different lengths in one pass, members in batches that cut through the groups."""
    shared = [score(tiny_model, CANDIDATES, batch_tokens) for batch_tokens in (4096, 200, 64)]
    # A network that no test had before this one is examined first, by three sequences.
    assert 8 in sharing
    monkeypatch.setattr(hf_scoring, "SHARED_SAVING", 2.0)
    sharing.clear()
    alone = score(tiny_model, CANDIDATES)
    assert sharing == []
    for found in shared:
        for a, b, request in zip(found, alone, CANDIDATES, strict=True):
            assert a["sums"] == pytest.approx(b["sums"], abs=1e-4)
            assert a["sums"] == pytest.approx(by_hand(tiny_model, request), abs=1e-4)


def test_sharing_takes_place_only_where_it_saves(tiny_model: ModelRef) -> None:
    def groups(requests: list[ScoringRequest]) -> list[list[int]]:
        _, tokenizer = load(tiny_model, "cpu")
        encoded = [hf_engine.encode_request(tokenizer, request) for request in requests]
        return [group.members for group in hf_scoring.shared_prefixes(encoded)]

    long = "Concepts: limit, halving. " * 3
    assert groups([ScoringRequest(long, ((5,),)), ScoringRequest(long, ((6,),)), ScoringRequest("x", ((5,),))]) == [
        [0, 1]
    ]
    assert groups([ScoringRequest(long, ((5,),)), ScoringRequest(long + " ", ((6,),))]) == []
    assert groups([ScoringRequest("x", (tuple(range(90)),)), ScoringRequest("x", (tuple(range(80)),))]) == []


def test_equal_requests_have_equal_sums_to_the_last_bit(tiny_model: ModelRef) -> None:
    """So that ties between candidates are ties, wherever they stand and whatever else is in the batch."""
    requests = [REQUESTS[0], *CANDIDATES, REQUESTS[0], REQUESTS[2], CANDIDATES[3], REQUESTS[0]]
    rows = score(tiny_model, requests, batch_tokens=128)
    assert rows[0] == rows[-4] == rows[-1]
    assert rows[4] == rows[-2]


@pytest.mark.parametrize("elements", [49, 10_000, 250_000])
def test_blocks_of_the_vocabulary_change_nothing(
    tiny_model: ModelRef, monkeypatch: pytest.MonkeyPatch, elements: int
) -> None:
    """Square blocks, from 7 tokens of 7 entries up to one that holds everything."""
    whole = score(tiny_model, REQUESTS)
    monkeypatch.setitem(hf_scoring.LOGIT_ELEMENTS, "cpu", elements)
    monkeypatch.setattr(hf_scoring, "_by_tokens", lambda *arguments: hf_scoring._by_vocabulary(*arguments, width=7))
    for a, b in zip(whole, score(tiny_model, REQUESTS), strict=True):
        assert a["sums"] == pytest.approx(b["sums"], abs=1e-4)


@pytest.mark.parametrize("elements", [30_000, 200_000])
def test_the_output_layer_sees_targets_alone_and_never_more_than_fit(
    tiny_model: ModelRef, monkeypatch: pytest.MonkeyPatch, elements: int
) -> None:
    network, _ = load(tiny_model, "cpu")
    hf_scoring.examine(network)
    monkeypatch.setitem(hf_scoring.LOGIT_ELEMENTS, "cpu", elements)
    made: list[tuple[int, ...]] = []
    hook = network.lm_head.register_forward_hook(lambda module, inputs, output: made.append(tuple(output.shape)))
    rows = score(tiny_model, REQUESTS)
    hook.remove()
    assert all(tokens * vocabulary <= elements for tokens, vocabulary in made)
    assert sum(tokens for tokens, _ in made) == sum(sum(row["tokens"]) for row in rows)


def small(architecture: str, **settings: Any) -> Any:
    """An untrained model of another architecture."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **(sizes | settings))).eval()


ARCHITECTURES = [
    ("llama", {}, True),
    ("granite", {"logits_scaling": 0.125}, True),
    ("cohere", {"logit_scale": 4.0}, True),
    ("gemma2", {"final_logit_softcapping": 0.5, "sliding_window": 4}, False),
    ("mistral", {"sliding_window": 4}, False),
    ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}, True),
    ("bloom", {"n_layer": 2, "n_head": 2}, True),
    ("gpt_oss", {"num_local_experts": 2, "num_experts_per_tok": 1}, False),
]


@pytest.mark.parametrize(("architecture", "settings", "shares"), ARCHITECTURES, ids=[row[0] for row in ARCHITECTURES])
def test_other_architectures_are_scored_as_they_score_themselves(
    architecture: str, settings: dict[str, Any], shares: bool
) -> None:
    """Scaled, capped and windowed models; where a cache is no plain one, prefixes are not shared."""
    network = small(architecture, **settings)
    rng = random.Random(0)
    prefix = [rng.randrange(1, 64) for _ in range(9)]
    encoded = [(prefix + [rng.randrange(1, 64) for _ in range(n)], [(9, 10), (10, 9 + n)]) for n in (3, 5, 4)]
    found = hf_scoring.score_sequences(network, encoded, 4096)
    for (ids, spans), sums in zip(encoded, found, strict=True):
        with torch.no_grad():
            logprobs = torch.log_softmax(network(torch.tensor([ids])).logits[0].double(), -1)
        expected = [sum(float(logprobs[at - 1, ids[at]]) for at in range(*span)) for span in spans]
        assert sums == pytest.approx(expected, abs=1e-4)
    assert hf_scoring.examine(network) == shares


def test_a_model_whose_logits_are_made_in_an_unknown_way_is_refused() -> None:
    network = small("llama")
    plain = network.forward

    def strange(*args: Any, **kwargs: Any) -> Any:
        output = plain(*args, **kwargs)
        output.logits = output.logits * 3 + 1
        return output

    network.forward = strange
    with pytest.raises(ModelError, match="not its output layer times a known factor"):
        hf_scoring.score_sequences(network, [([1, 2, 3], [(1, 3)])], 64)


def generate(model: ModelRef, prompts: list[str], temperature: float, seed: int) -> list[dict[str, Any]]:
    return hf_engine.generate_shard(generate_job(model, prompts, Sampling(temperature, 12), seed, batch_tokens=400))


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


def test_a_prefix_may_go_through_the_chat_template(tiny_model: ModelRef) -> None:
    tokenizer = copy.deepcopy(load(tiny_model, "cpu")[1])
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<answer>"
    plain = hf_engine.encode_request(tokenizer, ScoringRequest("<user>2 + 2</><answer>", ("4",)))
    assert hf_engine.encode_request(tokenizer, ScoringRequest("2 + 2", ("4",), chat=True)) == plain
    assert hf_engine.encode_request(tokenizer, ScoringRequest("2 + 2", ("4",))) != plain


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (0.7, 0.9)])
def test_log_probabilities_of_completions_are_the_models_own_at_temperature_1(
    tiny_model: ModelRef, temperature: float, top_p: float
) -> None:
    job = generate_job(tiny_model, PROMPTS, Sampling(temperature, 12, top_p), 3, batch_tokens=400)
    for prompt, row in zip(PROMPTS, hf_engine.generate_shard(job), strict=True):
        assert len(row["logprobs"]) == len(row["token_ids"])
        request = ScoringRequest(prompt, tuple((token,) for token in row["token_ids"]), ends=False)
        assert row["logprobs"] == pytest.approx(by_hand(tiny_model, request), abs=1e-4)
