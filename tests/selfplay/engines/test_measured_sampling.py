"""Top-k, min-p and a system's turn, where models are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfplay.config.annotation import OpenAIEngine
from selfplay.config.compute import EngineSettings
from selfplay.config.section import MeasuredSampling, SamplingSettings
from selfplay.engines.api.wire import generation
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.hf_engine import prompt_ids
from selfplay.engines.loading import load_tokenizer
from selfplay.engines.sharded import ShardedEngine
from selfplay.run.store import ShardStore

PROMPTS = [f"Tom has {n}" for n in range(6)]
TEMPLATE = "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}<assistant>"


def texts(model: ModelRef, workers: Any, folder: Path, sampling: Sampling) -> list[str]:
    engine = ShardedEngine(model, EngineSettings(), workers, ShardStore(folder))
    return [sample.text for sample in engine.generate(PROMPTS, sampling, seed=3)]


@pytest.mark.parametrize("only_the_likeliest", [{"top_k": 1}, {"min_p": 1.0}])
def test_the_likeliest_token_alone_is_the_greedy_one(
    tiny_model: ModelRef, in_process: Any, tmp_path: Path, only_the_likeliest: dict[str, Any]
) -> None:
    greedy = texts(tiny_model, in_process, tmp_path, Sampling(0.0, 8))
    assert texts(tiny_model, in_process, tmp_path, Sampling(1.5, 8, **only_the_likeliest)) == greedy
    assert texts(tiny_model, in_process, tmp_path, Sampling(1.5, 8)) != greedy


def test_settings_of_before_find_what_was_stored_before() -> None:
    assert Sampling(1.0, 8, 0.9).known() == {"temperature": 1.0, "max_new_tokens": 8, "top_p": 0.9}
    kinds = [Sampling(1.0, 8), Sampling(1.0, 8, top_k=5), Sampling(1.0, 8, min_p=0.1), Sampling(1.0, 8, system="x")]
    assert len({str(one.known()) for one in kinds}) == 4


def test_a_recipes_settings_become_these() -> None:
    measured = MeasuredSampling(top_k=20, min_p=0.05, system_prompt="Be short.")
    assert Sampling.of(measured) == Sampling(0.6, 32768, 0.95, 20, 0.05, "Be short.")
    assert Sampling.of(SamplingSettings()) == Sampling(1.0, 4096, 1.0)


def test_a_systems_turn_stands_before_the_prompt(tiny_model: ModelRef) -> None:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = TEMPLATE
    with_system = Sampling(1.0, 8, system="Be short.")
    for sampling, expected in (
        (with_system, "<system>Be short.<user>2 + 2?<assistant>"),
        (None, "<user>2 + 2?<assistant>"),
    ):
        assert tokenizer.decode(prompt_ids(tokenizer, "2 + 2?", True, sampling)) == expected
    # Raw prompts have no turns.
    assert tokenizer.decode(prompt_ids(tokenizer, "2 + 2?", False, with_system)) == "2 + 2?"


def test_endpoints_are_asked_for_what_is_set_alone() -> None:
    settings = OpenAIEngine.model_validate(
        {"kind": "openai", "model": "m", "endpoint": {"base_url": "http://127.0.0.1:1/v1"}}
    )
    _, plain = generation(settings, "2 + 2?", Sampling(1.0, 8), 0)
    assert not {"top_k", "min_p"} & plain.keys()
    assert plain["messages"] == [{"role": "user", "content": "2 + 2?"}]
    _, body = generation(settings, "2 + 2?", Sampling(1.0, 8, top_k=20, min_p=0.1, system="Be short."), 0)
    assert (body["top_k"], body["min_p"]) == (20, 0.1)
    assert body["messages"][0] == {"role": "system", "content": "Be short."}
