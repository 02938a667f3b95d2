"""Continuous batching of transformers: the completions of the plain engine, drawn from the same distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfplay.config import recipe as config
from selfplay.engines import hf_engine
from selfplay.engines.base import ModelRef, Sampling, ScoringRequest
from selfplay.engines.loading import load
from selfplay.engines.sharded import ShardedEngine
from selfplay.preflight import recipe as preflight
from selfplay.run.store import ShardStore
from tests.selfplay.engines.shard_jobs import generate_job, score_job

PROMPTS = [f"Tom has {'plums and ' * (n % 5)}{n}" for n in range(12)]


def completed(model: ModelRef, prompts: list[str], sampling: Sampling, **more: Any) -> list[dict[str, Any]]:
    return hf_engine.generate_shard(
        generate_job(model, prompts, sampling, **({"seed": 1, "continuous_batching": {}} | more))
    )


@pytest.fixture
def ends_often(tiny_model: ModelRef) -> Iterator[ModelRef]:
    """The model, taking a few common tokens as ends, so that completions differ in length."""
    network, tokenizer = load(tiny_model, "cpu")
    ends = network.generation_config.eos_token_id
    network.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(20, 80)]
    yield tiny_model
    network.generation_config.eos_token_id = ends


@pytest.mark.parametrize("batch_tokens", [4096, 64], ids=["all-at-once", "a-few-at-a-time"])
def test_greedy_completions_are_those_of_whole_batches(ends_often: ModelRef, batch_tokens: int) -> None:
    sampling = Sampling(0.0, 20)
    plain = completed(ends_often, PROMPTS, sampling, continuous_batching=None)
    assert completed(ends_often, PROMPTS, sampling, batch_tokens=batch_tokens) == plain


def test_a_seed_gives_the_same_completions(ends_often: ModelRef) -> None:
    sampling = Sampling(1.0, 20)
    first = completed(ends_often, PROMPTS, sampling, batch_tokens=64)
    assert completed(ends_often, PROMPTS, sampling, batch_tokens=64) == first
    assert completed(ends_often, PROMPTS, sampling, batch_tokens=64, seed=2) != first
    assert {row["complete"] for row in first} == {True, False}


@pytest.mark.parametrize(("temperature", "top_p", "fewest", "most"), [(0.05, 0.6, 2, 40), (1.0, 1.0, 200, 1000)])
def test_tokens_come_as_often_as_the_model_says(
    tiny_model: ModelRef, temperature: float, top_p: float, fewest: int, most: int
) -> None:
    import torch

    count = 1200
    rows = completed(tiny_model, ["Tom has"] * count, Sampling(temperature, 1, top_p))
    found = Counter(row["token_ids"][0] for row in rows if row["token_ids"])
    network, tokenizer = load(tiny_model, "cpu")
    with torch.inference_mode():
        logits = network(torch.tensor([tokenizer("Tom has")["input_ids"]])).logits[0, -1]
    likely, ids = torch.softmax(logits / temperature, -1).sort(descending=True)
    nucleus = int((likely.cumsum(0) - likely < top_p).sum())
    kept = likely[:nucleus] / likely[:nucleus].sum()
    assert fewest <= nucleus <= most
    assert len(found) > nucleus / 2
    assert set(found) <= set(ids[:nucleus].tolist())
    for token, probability in zip(ids[:5].tolist(), kept[:5].tolist(), strict=True):
        deviation = (count * probability * (1 - probability)) ** 0.5
        assert abs(found[token] - count * probability) < 4.5 * deviation + 1


def test_scores_are_as_before(tiny_model: ModelRef) -> None:
    job = score_job(tiny_model, [ScoringRequest("Tom ", ("has", "7"))], batch_tokens=512)
    before = hf_engine.score_shard(job)
    completed(tiny_model, PROMPTS, Sampling(1.0, 4))
    assert hf_engine.score_shard(job) == before


def test_a_stage_keeps_them_apart_from_others(tiny_model: ModelRef, in_process: Any, store_folder: Path) -> None:
    store = ShardStore(store_folder)
    plain = ShardedEngine(tiny_model, config.EngineSettings(), in_process, store)
    continuous = ShardedEngine(tiny_model, config.EngineSettings(continuous_batching={}), in_process, store)
    for engine in (plain, continuous, continuous):
        assert len(engine.generate(["a", "b"], Sampling(1.0, 3), 0)) == 2
    assert in_process.jobs == 4


@pytest.mark.parametrize(
    ("args", "refused"),
    [
        ({"max_batch_token": 5}, "max_batch_token: transformers has no such argument; did you mean `max_batch_tokens`"),
        ({"seed": 5}, "seed: is what the run itself decides"),
    ],
)
def test_arguments_that_the_library_lacks_are_refused(args: dict[str, Any], refused: str) -> None:
    from selfplay.config.load import load_recipe

    recipe = load_recipe("configs/quickstart.yaml", [f"engine.continuous_batching={args}"])
    with pytest.raises(preflight.PreflightError, match=f"engine.continuous_batching.{refused}"):
        preflight.check_engine(recipe)


def test_it_is_the_transformers_engine_that_has_it() -> None:
    with pytest.raises(ValueError, match="vLLM always batches so"):
        config.EngineSettings(kind="vllm", continuous_batching={})
